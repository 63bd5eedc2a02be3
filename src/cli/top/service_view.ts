import type { ActivityJson } from "../../admin/operations/activity.ts";
import type { InstanceJson } from "../../admin/operations/instances.ts";
import type { ServiceLogLine } from "../../logs/instance_output.ts";
import { age, ago, durationText, plainText, sizeText, stateText, table } from "../text.ts";
import { COLOURS } from "../terminal.ts";
import { type Line, span } from "./frame.ts";
import { type Data, hints, withLast } from "./list_view.ts";
import type { LogLines } from "./log_lines.ts";
import type { Size } from "./screen.ts";
import type { TopState } from "./state.ts";
import { inFlightText, rateText, sparkline } from "./table.ts";

/** What is known of the service that fills the screen. */
export interface ServiceData extends Data {
  readonly instances: readonly InstanceJson[];
  readonly log: LogLines;
  /** Why there is no log; `undefined` if there is. */
  readonly logProblem?: string | undefined;
}

/** At most this part of the rows is for instances. */
const INSTANCES_PART = 1 / 3;

/** How many lines of the log there is room for. */
export function logPage(name: string, data: ServiceData, size: Size): number {
  return Math.max(1, size.rows - headLines(name, data, size).length - 1);
}

/** One service: its figures, its instances and its log. */
export function serviceLines(name: string, state: TopState, data: ServiceData, size: Size): Line[] {
  const head = headLines(name, data, size);
  const { log, logProblem } = data;
  const page = logPage(name, data, size);
  // What is held may have gone.
  const end = state.logEnd === undefined ? undefined : Math.max(state.logEnd, log.bounds.first + page - 1);
  const lines = log.upTo(end, page).map((line) => logLine(line, state.logLeft, data));
  const none = lines.length > 0 ? [] : [[span(logProblem ?? "nothing is written yet", "dim")]];
  const follow = state.logEnd === undefined ? "hold" : "follow";
  const foot = hints([["Esc", "back"], ["Space", follow], ["↑↓←→", "move"], ["q", "quit"]]);
  return withLast([...head, ...none, ...lines], foot, size.rows);
}

function headLines(name: string, data: ServiceData, { rows }: Size): Line[] {
  const service = data.services.find(({ service }) => service === name);
  const title = data.lost === undefined
    ? [span(plainText(name), "bold"), span(service === undefined ? " is not there any more" : " is ")]
    : [span(`connection lost (${data.lost}), trying again`, "bold", "red")];
  const isShort = rows < 12;
  if (service === undefined) return [title, []];
  const state = data.lost === undefined
    ? [span(stateText(service, data.now), service.state === "failing" ? "red" : "bold")]
    : [];
  const instances = isShort ? [] : instanceLines(data, Math.max(2, Math.floor(rows * INSTANCES_PART)));
  return [[...title, ...state], ...(isShort ? [] : factLines(service)), ...instances, []];
}

function factLines(service: ActivityJson): Line[] {
  const { errorsPerSecond, memoryBytes, p50Ms, p99Ms, perMinute, requestsPerSecond, swapBytes, wakes } = service;
  const times = p50Ms === undefined || p99Ms === undefined
    ? "no answers in the last minute"
    : `answers after ${durationText(p50Ms)} (p50), ${durationText(p99Ms)} (p99)`;
  return [
    [
      span(`${rateText(requestsPerSecond)} requests/s, `),
      span(`${rateText(errorsPerSecond)} errors/s`, ...(errorsPerSecond > 0 ? ["red"] as const : [])),
      span(`, ${inFlightText(service)} in flight, ${times}`),
    ],
    [span(`${sizeText(memoryBytes)} of memory${swapBytes > 0 ? `, and ${sizeText(swapBytes)} in the swap` : ""}`)],
    [span(
      `woken in the last hour: ${wakes.cold} cold, ${wakes.resume} from paused, ${wakes.hibernated} from hibernated`,
    )],
    [span("requests a minute: "), span(sparkline(perMinute), "blue"), span(` at most ${Math.max(0, ...perMinute)}`)],
  ];
}

function instanceLines({ instances, now }: ServiceData, room: number): Line[] {
  if (instances.length === 0) return [[], [span("no instance runs now", "dim")]];
  const isSwapped = instances.some(({ swapBytes = 0 }) => swapBytes > 0);
  const count = instances.length < room ? instances.length : room - 2;
  const rows = instances.slice(0, count).map((instance) => [
    ...[instance.id, instance.state, String(instance.inFlight)],
    instance.memoryBytes === undefined ? "-" : sizeText(instance.memoryBytes),
    ...(isSwapped ? [sizeText(instance.swapBytes ?? 0)] : []),
    ...[age(instance.startedAt, now), ago(instance.lastUsedAt, now), plainText(instance.failure ?? "")],
  ]);
  const heads = ["INSTANCE", "STATE", "IN-FLIGHT", "MEMORY", ...(isSwapped ? ["SWAP"] : []), "AGE", "LAST-USED", ""];
  const [head = "", ...texts] = table(heads, rows).split("\n");
  const more = instances.length - count;
  return [
    [],
    [span(head, "dim")],
    ...texts.map((text) => [span(text)]),
    ...(more > 0 ? [[span(`and ${more} more`, "dim")]] : []),
  ];
}

/** A line of the log after its instance, with a colour for each instance that has not ended. */
function logLine({ instance, text }: ServiceLogLine, left: number, { instances }: ServiceData): Line {
  const at = instances.findIndex(({ id }) => id === instance);
  const shown = Array.from(plainText(text)).slice(left).join("");
  return [span(`${instance} | `, at < 0 ? "dim" : COLOURS[at % COLOURS.length]!), span(shown)];
}
