import { delay } from "../base/async.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { ApiError, type Client, type Query } from "./client.ts";
import { type EventJson, eventsOf } from "./streams.ts";

/** The times between two attempts to connect again: the first one, which doubles, and the longest one. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;
/** A connection without a byte for this long is lost: the API sends a comment every 15 s. */
const SILENCE_MS = 45_000;

/** Options of {@linkcode newEvents}. */
export interface NewEventsOptions {
  /** Ends the iteration. */
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  /** Gets what the user should know about the connection. */
  readonly tell?: (text: string) => void;
}

/**
 * The events after one, without an end. Connects again whenever the connection is lost.
 *
 * @param query Which events.
 * @param last The id of the one before.
 * @throws {ApiError} If the API refuses.
 */
export async function* newEvents(
  client: Client,
  query: Query,
  last: string,
  { signal, clock = systemClock, tell = console.error }: NewEventsOptions,
): AsyncGenerator<EventJson, void, void> {
  let pauseMs = FIRST_PAUSE_MS;
  let isLost = false;
  while (!signal.aborted) {
    const silence = new AbortController();
    const hangUp = () => silence.abort();
    let cancel = clock.after(SILENCE_MS, hangUp);
    const heard = () => {
      cancel();
      cancel = clock.after(SILENCE_MS, hangUp);
    };
    const either = AbortSignal.any([signal, silence.signal]);
    try {
      const request = { query: { ...query, after: last }, accept: "text/event-stream", signal: either };
      const { body } = await client.send("GET", "/v1/events", request);
      if (isLost) tell("connected again");
      [isLost, pauseMs] = [false, FIRST_PAUSE_MS];
      for await (const event of eventsOf(body!, either, heard)) {
        last = event.id ?? last;
        yield event;
      }
    } catch (error) {
      if (signal.aborted || (error instanceof ApiError && error.status < 500)) throw error;
      if (!isLost) tell("the connection is lost; trying again");
      isLost = true;
    } finally {
      cancel();
      silence.abort(); // closes what is still open
    }
    await delay(clock, pauseMs, signal);
    pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
  }
}
