import { messageOf, OperatorError } from "../base/errors.ts";
import { ApiError, type Client, type Query, servicePath } from "./client.ts";
import { eventText } from "./event_text.ts";
import { flag } from "./flags.ts";
import { newEvents } from "./new_events.ts";
import { type EventJson, eventsOf, untilInterrupted } from "./streams.ts";
import { type Paint, paintFor, writeLine } from "./terminal.ts";
import { plainText } from "./text.ts";
import { clientVerb, JSON_FLAG } from "./verb.ts";

/** The events that come each second, which are not worth a line. */
const NOT_KEPT: ReadonlySet<string> = new Set(["stats", "service.waiting"]);

/** `cless events`: prints what has happened, and what happens. */
export const events = clientVerb({
  name: "events",
  summary: "Print what has happened to services, revisions and instances",
  flags: [
    flag("-f, --follow", "Keep printing what happens from now on; Ctrl-C ends it"),
    flag("-n, --tail N", "Only the last N of what has happened"),
    flag("--service NAME", "Only what has happened to one service"),
    { ...JSON_FLAG, help: "Print each event as a line of JSON" },
  ],
  notes: [
    "cless keeps the last thousand events of all services since it was started.",
    "With --follow, a connection that is lost is made again, and what has happened meanwhile is printed.",
  ],
  example: [
    "cless events -f --service web",
    `cless events --json | jq -r 'select(.type == "instance.failed").reason'`,
  ],
  check: (call) => {
    call.whole("tail");
  },
  run: async (call) => {
    const isJson = call.on("json");
    const show = isJson ? jsonLine : shower(paintFor(Deno.stdout, call.surroundings));
    const isShown = isJson ? () => true : pullsOnce();
    const isNews = (event: EventJson) => !NOT_KEPT.has(event.type) && isShown(event);
    const tail = call.whole("tail") ?? Infinity;
    const query = { service: call.text("service") };
    return await untilInterrupted(async (signal) => {
      const past = await readPast(call.client, query, call.on("follow"), signal);
      const news = past.filter(isNews);
      for (const event of news.slice(Math.max(0, news.length - tail))) {
        if (!await writeLine(show(event))) return 0; // nobody reads any more
      }
      if (!call.on("follow")) {
        const named = call.text("service");
        if (past.length === 0 && named !== undefined) await call.client.get(servicePath(named)); // it may not be there
        if (news.length === 0 && !isJson) console.error("there are no such events now; -f waits for the next ones");
        return 0;
      }
      const last = past.findLast(({ id }) => id !== undefined)?.id ?? "0";
      for await (const event of newEvents(call.client, query, last, { signal })) {
        if (isNews(event) && !await writeLine(show(event))) return 0;
      }
      signal.throwIfAborted();
      return 0;
    });
  },
});

/**
 * The events that the API still has. An older cless has no end of them: then none, if they are followed, which begins
 * with them. @throws {OperatorError}
 */
async function readPast(client: Client, query: Query, isFollowed: boolean, signal: AbortSignal): Promise<EventJson[]> {
  const request = { query: { ...query, after: 0, follow: false }, accept: "text/event-stream", signal };
  const opened = await client.send("GET", "/v1/events", request).catch((error) => {
    if (!(error instanceof ApiError) || error.status !== 400 || !error.message.startsWith("follow:")) throw error;
    if (isFollowed) return undefined;
    throw new OperatorError("that cless is older than this command, and has only events -f");
  });
  if (opened === undefined) return [];
  const { body } = opened;
  try {
    return await Array.fromAsync(eventsOf(body!, signal));
  } catch (error) {
    throw new OperatorError(`the events have broken off: ${messageOf(error)}`);
  } finally {
    signal.throwIfAborted();
  }
}

/** Says which events are shown: all of them, but only the first one of a pull, and not its progress. */
function pullsOnce(): (event: EventJson) => boolean {
  const pulls = new Map<unknown, EventJson["data"]>();
  return ({ type, data }) => {
    if (type !== "revision.pulling") return true;
    const before = pulls.get(data["service"]);
    pulls.set(data["service"], data);
    return before === undefined || before["image"] !== data["image"] || Number(data["done"]) < Number(before["done"]);
  };
}

function jsonLine({ data, id, type }: EventJson): string {
  return JSON.stringify({ id: id === undefined ? id : Number(id), type, ...data });
}

/** Writes each event after its time and service. The column of services is as wide as the widest one so far. */
function shower(paint: Paint): (event: EventJson) => string {
  let width = 0;
  return (event) => {
    const at = plainText(String(event.data["at"] ?? "")).replace(/\.\d+Z$/, "Z");
    const service = plainText(String(event.data["service"] ?? ""));
    width = Math.max(width, service.length);
    const text = eventText(event);
    return `${at}  ${service.padEnd(width)}  ${event.type.endsWith(".failed") ? paint(text, "red") : text}`;
  };
}
