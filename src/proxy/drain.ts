import { atMost } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { ClessError } from "../base/errors.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { Activator } from "../routing/activator.ts";
import type { UnansweredRequests } from "./request_context.ts";

/** What drains when the program ends. */
export interface Drained {
  readonly servers: readonly { shutdown(): Promise<void> }[];
  readonly activator: Pick<Activator, "drain" | "holding">;
  readonly fleet: Pick<Fleet, "instances" | "pools">;
  readonly unanswered: Pick<UnansweredRequests, "abortAll">;
}

/** Refuses new requests, waits `timeoutMs` for those in flight, and refuses the rest with `draining`. */
export async function drain(
  { servers, activator, fleet, unanswered }: Drained,
  clock: Clock,
  timeoutMs: number,
): Promise<void> {
  activator.drain();
  const answered = Promise.all(servers.map((server) => server.shutdown()));
  // An upgraded connection counts as answered long before its instance is idle.
  const idle = answered.then(() => Promise.all(fleet.instances().map((instance) => instance.untilIdle())));
  await atMost(idle, clock, timeoutMs);
  const draining = new ClessError("draining", "cless is shutting down", { retryAfterS: 5 });
  for (const pool of fleet.pools().union(activator.holding())) pool.refuse(draining);
  unanswered.abortAll(draining);
}
