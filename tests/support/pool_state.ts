import type { Revision } from "../../src/model/revision.ts";
import { initialState, type Member, type PoolState, type Use } from "../../src/pool/state.ts";
import { newRevision } from "./kit.ts";

/** When the states of these tests are looked at, clock ms. */
export const NOW = 100_000;

/** An instance that has been ready and idle since `NOW`, unless a test says otherwise. */
export function memberOf(id: string, { use, ...changes }: Partial<Omit<Member, "use">> & { use?: Partial<Use> } = {}) {
  const member: Member = {
    id,
    use: {
      inFlight: 0,
      inUse: 0,
      requests: use?.inFlight ?? 0,
      idleSince: NOW,
      hasServed: false,
      isOurs: true,
      slots: Infinity,
      ...use,
    },
    phase: "ready",
    coming: false,
    attempt: 0,
    countBefore: 0,
    readySince: NOW,
    pausing: false,
    pauseAt: -Infinity,
    asking: false,
    askAt: -Infinity,
    getting: false,
    getAt: -Infinity,
    isShort: false,
    hibernating: false,
    pressed: false,
    hibernateAt: -Infinity,
    reclaimed: true,
    probeAt: Infinity,
    unreachable: false,
    hung: false,
    drainBy: Infinity,
    running: true,
    stopping: false,
    ...changes,
  };
  return member;
}

/** A pool that may have three instances, which are paused after 10 s and stopped after 60 s. */
export function stateOf(
  changes: Partial<Omit<PoolState, "revision" | "queue">> & { revision?: Partial<Revision>; waiting?: number } = {},
): PoolState {
  const { revision, waiting = 0, ...others } = changes;
  const limits = { maxInstances: 3, concurrency: 1, pauseAfterMs: 10_000, stopAfterMs: 60_000 };
  return { ...initialState({ ...newRevision(), ...limits, ...revision }, { size: waiting }), ...others };
}
