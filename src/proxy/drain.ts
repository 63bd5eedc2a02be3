import { atMost, delay } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { shuttingDown } from "../base/errors.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { Activator } from "../routing/activator.ts";
import type { UnansweredRequests } from "./request_context.ts";

/** What is drained when the program ends. */
export interface Drained {
  readonly servers: readonly { shutdown(): Promise<void> }[];
  readonly activator: Pick<Activator, "drain" | "holding">;
  readonly fleet: Pick<Fleet, "instances" | "pools">;
  /** The commands that operators run in instances. */
  readonly sessions: { close(why: string): Promise<void> };
  readonly unanswered: Pick<UnansweredRequests, "abortAll" | "list" | "total">;
}

/**
 * Once a superseded process has got no request for this long, it closes its connections. It waits because a client may
 * be sending a request at the very moment when its connection is closed. Until then, each response says
 * `Connection: close`, so that its client connects to the successor.
 */
const LAST_REQUEST_MS = 1000;
/** A superseded process that still gets requests closes its connections after this time. */
const LAST_REQUESTS_MS = 5000;
const LOOK_MS = 50;

/**
 * Finishes a superseded process: one that a successor has taken over from. Call it when no more connections are
 * accepted. Waits up to `timeoutMs` for the requests in flight, refuses the rest, and closes the connections.
 */
export async function finish(drained: Drained, clock: Clock, timeoutMs: number): Promise<void> {
  const { servers, fleet, sessions, unanswered } = drained;
  const began = clock.now();
  const deadline = began + timeoutMs;
  let requests = unanswered.total;
  let lastRequestAt = began;
  const mayComeMore = () => {
    if (unanswered.total !== requests) [requests, lastRequestAt] = [unanswered.total, clock.now()];
    return clock.now() < Math.min(lastRequestAt + LAST_REQUEST_MS, began + LAST_REQUESTS_MS);
  };
  // The servers are shut down last, since that cuts uploads and WebSockets.
  const isBusy = () => unanswered.list().length > 0 || fleet.instances().some(({ inFlight }) => inFlight > 0);
  while ((mayComeMore() || isBusy()) && clock.now() < deadline) {
    await delay(clock, Math.min(LOOK_MS, deadline - clock.now()));
  }
  refuse(drained);
  await sessions.close("the session is over, since a new process of cless has taken over; it can be opened again");
  await atMost(Promise.all(servers.map((server) => server.shutdown())), clock, deadline - clock.now());
}

/** Refuses new requests, waits up to `timeoutMs` for those in flight, and refuses the rest with `draining`. */
export async function drain(drained: Drained, clock: Clock, timeoutMs: number): Promise<void> {
  const { servers, activator, fleet, sessions } = drained;
  activator.drain();
  sessions.close("the session is over, since cless is stopping"); // a shell that somebody has left open must not keep all services away
  const answered = Promise.all(servers.map((server) => server.shutdown()));
  // A WebSocket counts as answered long before its instance is idle.
  const idle = answered.then(() => Promise.all(fleet.instances().map((instance) => instance.untilIdle())));
  await atMost(idle, clock, timeoutMs);
  refuse(drained);
}

function refuse({ activator, fleet, unanswered }: Drained): void {
  activator.drain();
  const draining = shuttingDown();
  for (const pool of fleet.pools().union(activator.holding())) pool.refuse(draining);
  unanswered.abortAll(draining);
}
