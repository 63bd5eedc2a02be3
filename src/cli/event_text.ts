import type { Traffic } from "../model/traffic.ts";
import { fieldsText } from "./preview.ts";
import type { EventJson } from "./streams.ts";
import { durationText, plainText, splitText } from "./text.ts";

/** Writes what an event says, without its time and service: `web-00002-a1b2 is ready after 312ms`. */
export function eventText({ type, data }: EventJson): string {
  const text = (field: string) => plainText(String(data[field] ?? ""));
  const [instance, revision] = [text("instance"), text("revision")];
  const reason = data["reason"] === undefined ? "" : `: ${text("reason")}`;
  switch (type) {
    case "service.created":
      return `the service is made, with ${revision}`;
    case "service.changed":
      return `the service is changed${changedText(data["changed"])}`;
    case "service.deleted":
      return "the service is deleted";
    case "service.state":
      return `the service is ${text("state")}${data["failure"] === undefined ? "" : `: ${text("failure")}`}`;
    case "revision.pulling":
      return `pulling ${text("image")}`;
    case "revision.starting":
      return `starting ${revision}`;
    case "revision.warning":
      return `warning about ${revision}: ${text("warning")}`;
    case "revision.ready":
      return `${revision} is ready${after(data["ms"])}`;
    case "revision.failed":
      return `${revision} has failed${Number(data["count"]) > 1 ? ` ${text("count")} times in a row` : ""}${reason}`;
    case "revision.deleted":
      return `${revision} is deleted`;
    case "traffic.changed":
      return `traffic: ${Array.isArray(data["traffic"]) ? plainText(splitText(data["traffic"] as Traffic)) : "-"}`;
    case "instance.starting":
      return `${instance} is starting`;
    case "instance.ready":
      return `${instance} is ready${after(data["coldStartMs"])}`;
    case "instance.paused":
      return `${instance} is paused`;
    case "instance.hibernated":
      return `${instance} is hibernated`;
    case "instance.draining":
      return `${instance} answers its last requests`;
    case "instance.stopped":
      return `${instance} has stopped${reason}`;
    case "instance.failed":
      return `${instance} has failed${reason}`;
    case "exec.started":
      return `${text("by")} runs ${text("command")} in ${instance}`;
    case "exec.ended":
      // Without a code, the client has gone, and the command may go on.
      if (data["code"] === undefined) {
        return `${text("by")} is connected to ${text("command")} in ${instance} no more${after(data["ms"])}`;
      }
      return `${text("command")} of ${text("by")} has ended in ${instance}${after(data["ms"])}${
        codeText(data["code"])
      }`;
    default: // of a later version
      return plainText([type, ...Object.entries(data).flatMap(otherField)].join(" "));
  }
}

function changedText(changed: unknown): string {
  return Array.isArray(changed) && changed.length > 0 ? `: ${plainText(fieldsText(changed.map(String)))}` : "";
}

function codeText(code: unknown): string {
  return typeof code === "number" ? `, with code ${code}` : "";
}

function after(ms: unknown): string {
  return typeof ms === "number" ? ` after ${durationText(ms)}` : "";
}

function otherField([name, value]: [string, unknown]): string[] {
  return name === "at" || name === "service"
    ? []
    : [`${name}=${typeof value === "string" ? value : JSON.stringify(value)}`];
}
