import type { ActivityJson } from "../../admin/operations/activity.ts";
import type { InstanceJson } from "../../admin/operations/instances.ts";
import { delay } from "../../base/async.ts";
import { type Clock, systemClock } from "../../base/clock.ts";
import { plainMessageOf } from "../../base/errors.ts";
import { linesOf } from "../../base/streams.ts";
import type { ServiceLogLine } from "../../logs/instance_output.ts";
import { ApiError, type Client, NoAnswerError, servicePath } from "../client.ts";
import { parseObject } from "../streams.ts";

/** How many minutes the sparkline has. */
const MINUTES = 10;
/** From one answer to the next question. */
const POLL_MS = 1000;
/** A connection that takes longer for an answer is lost. */
const ANSWER_MS = 10_000;
/** Lines of each instance that a log begins with. */
const TAIL = 200;

/** What all services do now. @throws {OperatorError} */
export function readActivity(client: Client, signal?: AbortSignal): Promise<ActivityJson[]> {
  return client.get<ActivityJson[]>("/v1/activity", { query: { minutes: MINUTES }, signal });
}

/** What changes on the screen. */
export interface Audience {
  /** The service whose instances are needed. */
  readonly opened: string | undefined;
  /** Takes an answer. */
  answered(services: ActivityJson[], instances: InstanceJson[]): void;
  /** There is no answer, for this reason. */
  lost(reason: string): void;
}

/**
 * Asks again and again what services do, until the signal is aborted. A connection that is lost is made again.
 *
 * @throws {ApiError} If the API refuses.
 */
export async function poll(
  client: Client,
  audience: Audience,
  signal: AbortSignal,
  clock = systemClock,
): Promise<void> {
  while (!signal.aborted) {
    const late = new AbortController();
    const cancel = clock.after(ANSWER_MS, () => late.abort());
    const either = AbortSignal.any([signal, late.signal]);
    try {
      const { opened } = audience;
      const instances = opened === undefined
        ? Promise.resolve([])
        : client.get<InstanceJson[]>("/v1/instances", { query: { service: opened }, signal: either });
      const [services, own] = await Promise.all([readActivity(client, either), instances]);
      if (audience.opened === opened) audience.answered(services, own);
      else audience.answered(services, []);
    } catch (error) {
      if (signal.aborted) return;
      if (isRefusal(error)) throw error;
      audience.lost(late.signal.aborted ? `no answer for ${ANSWER_MS / 1000} s` : reasonOf(error));
    } finally {
      cancel();
    }
    await delay(clock, POLL_MS, signal);
  }
}

/** Takes what comes of a log. */
export interface LogReader {
  /** The log begins, also again after a lost connection. */
  begun(): void;
  line(line: ServiceLogLine): void;
  /** There is no log now, for this reason. */
  missing(reason: string): void;
}

/** Follows the log of a service until the signal is aborted. Begins again after a lost connection. */
export async function followLog(
  client: Client,
  service: string,
  reader: LogReader,
  signal: AbortSignal,
  clock: Clock = systemClock,
): Promise<void> {
  const request = { query: { follow: true, tail: TAIL }, accept: "application/x-ndjson", signal };
  while (!signal.aborted) {
    try {
      const { body } = await client.send("GET", servicePath(service, "logs"), request);
      reader.begun();
      for await (const text of linesOf(body!, signal)) {
        const line = parseObject(text);
        if (typeof line?.["text"] === "string") reader.line(line as unknown as ServiceLogLine);
      }
    } catch (error) {
      if (signal.aborted) return;
      reader.missing(error instanceof ApiError ? error.message : "the log has broken off; trying again");
    }
    await delay(clock, POLL_MS, signal);
  }
}

/** Whether the API has answered, and will answer the same the next time. */
function isRefusal(error: unknown): boolean {
  return error instanceof ApiError && error.status < 500;
}

/** Why there is no answer, in a few words: `connection refused`. */
function reasonOf(error: unknown): string {
  return error instanceof NoAnswerError ? error.reason : plainMessageOf(error);
}
