import { z } from "zod";
import { within } from "../../base/async.ts";
import { type Clock, systemClock } from "../../base/clock.ts";
import { InvalidError } from "../../control/schema/invalid.ts";
import { content } from "../answer.ts";
import { operation } from "../operation.ts";
import { type ClessEvent, SlowSubscriber } from "../../control/events.ts";
import { whole } from "../query.ts";
import { NOT_HELD_BACK, streamOf } from "../stream.ts";
import { timeOf } from "../views.ts";

/** How long nothing may be heard, ms: what stands between would take the connection for dead. */
const HEARTBEAT_MS = 15_000;
const ID = /^(0|[1-9][0-9]{0,15})$/;

/** What happens, as it happens. */
export const eventOperations = [
  operation({
    id: "streamEvents",
    method: "get",
    path: "/v1/events",
    scope: "read",
    tag: "events",
    summary: "Be told what happens",
    description:
      "Server-sent events. `data` is JSON with `at`, `service` where it is about one, and what the kind of " +
      "event has. `Last-Event-ID` goes on where a connection has ended, as far back as is remembered. Who reads too " +
      "slowly is cut off.",
    query: {
      service: z.string().max(100).optional().meta({ description: "Only what is about this service" }),
      after: whole(0, Number.MAX_SAFE_INTEGER, { description: "As Last-Event-ID, for who cannot set that" }).optional(),
    },
    headers: {
      "Last-Event-ID": z.string().optional().meta({ pattern: ID.source, description: "Only what came after that" }),
    },
    answers: { 200: { description: "The events, without an end", type: "text/event-stream" } },
    run: ({ parts, request, query: { after, service } }) => {
      const id = readLastId(request.headers) ?? after;
      const options = { clock: parts.clock ?? systemClock, ...(service === undefined ? {} : { service }) };
      const body = streamOf((signal) => {
        const events = parts.events.subscribe({ signal, ...(id === undefined ? {} : { after: id }) });
        return eventText(events, options);
      }, parts.stopping);
      return content(body, "text/event-stream", { headers: NOT_HELD_BACK });
    },
  }),
];

function readLastId(headers: Headers): number | undefined {
  const value = headers.get("last-event-id");
  if (value === null || value === "") return undefined;
  if (!ID.test(value)) throw new InvalidError(["Last-Event-ID"], "must be the id of an event");
  return Number(value);
}

/** Events as text, with a word now and then where there are none. */
async function* eventText(
  events: AsyncIterable<ClessEvent>,
  { clock, service }: { readonly clock: Clock; readonly service?: string },
): AsyncIterable<string> {
  const iterator = events[Symbol.asyncIterator]();
  let next = iterator.next(); // now, so that whoever has seen the first line has missed nothing
  try {
    yield ": cless\n\n";
    for (let due = clock.now() + HEARTBEAT_MS;;) {
      const result = await within(next, clock, due - clock.now());
      if (result?.done) return;
      if (result !== undefined) next = iterator.next();
      const text = result === undefined
        ? ":\n\n"
        : service === undefined || result.value.service === service
        ? showEvent(result.value)
        : undefined;
      if (text === undefined) continue;
      yield text;
      due = clock.now() + HEARTBEAT_MS;
    }
  } catch (error) {
    if (!(error instanceof SlowSubscriber)) throw error;
    yield ": too slow; go on with the last id\n\n";
  } finally {
    next.catch(() => {});
    iterator.return?.().catch(() => {});
  }
}

function showEvent({ at, data, id, service, type }: ClessEvent): string {
  const head = id === undefined ? "" : `id: ${id}\n`;
  return `${head}event: ${type}\ndata: ${JSON.stringify({ at: timeOf(at), service, ...data })}\n\n`;
}
