import type { ClessError } from "../base/errors.ts";
import { type InstanceState, mayBecome } from "../model/instance_state.ts";
import type { Revision } from "../model/revision.ts";
import {
  afterFailedStart,
  afterLostInstance,
  backgroundBackoffMs,
  type Failure,
  type Mishap,
  NO_FAILURES,
  resetIfHealthy,
  type StartBackoff,
} from "./start_backoff.ts";
import { isShrinkable, type Observation, observe, stableForMs } from "./scaling.ts";

/*
 * The life of an instance:
 *
 *     launch                              pause
 *       │                          ┌────────────────┐
 *       ▼       first answer       │                ▼
 *    starting ─────────────────► ready ◄───────── paused
 *     │    │                       │    resume      │
 *     │    │ the start is          │                │
 *     │    │ called off            ├── drain ───────┤
 *     │    │                       ▼                │
 *     │    │                    draining ◄──────────┘
 *     │    │                       │ nothing is in flight, or the time is up
 *     ▼    └──────────────────►    ▼
 *   failed                      stopped
 *
 * A container that ends by itself, or by somebody else's hand, takes its instance from any phase to `stopped`, or from
 * `starting` to `failed`. A container that is found at the start of the program enters as `starting` or `paused`.
 */

/** Counted on the path of each request, which does not pass {@linkcode reduce}. An `Instance` counts it. */
export interface Use {
  /** How many requests are open. */
  readonly inFlight: number;
  /** How many of them the instance is kept awake for. */
  readonly inUse: number;
  /** Since when there has been none of the latter, clock ms; meaningless while there is one. */
  readonly idleSince: number;
}

/** An instance in the state of its pool. Times are in the clock's ms. */
export interface Member {
  readonly id: string;
  readonly use: Use;
  readonly phase: InstanceState;
  /** Whether its start, adoption or resume is under way. A start that was called off is, until it has noticed. */
  readonly coming: boolean;
  /** Counts its resumes: what an earlier one comes to does not matter any more. */
  readonly attempt: number;
  /** How many failures there had been when its start began; `undefined` for one that was found. */
  readonly countBefore: number | undefined;
  readonly readySince: number | undefined;
  /** Whether the engine is carrying out a pause; it may take so long that the app serves again meanwhile. */
  readonly pausing: boolean;
  /** Not before this time may it be paused: the engine has just failed to. */
  readonly pauseAt: number;
  /** Whether somebody has paused it while it starts or ends its last requests. */
  readonly frozen: boolean;
  /** When it is due to be asked whether it is well; `Infinity` for never, and while that is being asked. */
  readonly probeAt: number;
  /** Until when requests may go on while it is draining. */
  readonly drainBy: number;
  /** Whether its processes run: a paused one cannot end by itself, and is killed. */
  readonly running: boolean;
  /** Whether its container is being removed. */
  readonly stopping: boolean;
}

/** A pool at one moment. */
export interface PoolState {
  readonly revision: Revision;
  /** All whose containers are not gone, oldest first. */
  readonly members: readonly Member[];
  /** How many requests wait; counted outside, as {@linkcode Use} is. */
  readonly queue: { readonly size: number };
  /** Whether the revision gets requests, and so should have its smallest number of instances. */
  readonly kept: boolean;
  /** Whether an operator has it sleep until a request comes. */
  readonly asleep: boolean;
  /** Whether an instance is wanted though no request waits. */
  readonly woken: boolean;
  /** How often it is suspended: then it starts nothing, and requests wait. */
  readonly suspensions: number;
  /** Whether it has ended for good. */
  readonly retired: boolean;
  /** Whether the last start that somebody else ended was excused, and none has come to anything since. */
  readonly excused: boolean;
  readonly backoff: StartBackoff;
  /** How much there was to do lately; empty unless there may be too many instances. */
  readonly window: readonly Observation[];
  /** When the last instance that was not needed was drained, clock ms. */
  readonly shrunkAt: number;
  /** Set by one event and cleared by the next: the error for the requests that waited for what has just failed. */
  readonly startError: ClessError | undefined;
}

/** Why a start failed: the app, the engine, or somebody who removed the container; a failed adoption is no failure. */
export type Blame = "app" | "engine" | "somebody" | "nobody";

/** Something that has happened to a pool. */
export type PoolEvent =
  // Requests, time and operators.
  | { readonly type: "asked" | "released" | "woken" | "fell asleep" | "suspended" | "unsuspended" | "retired" }
  | { readonly type: "looked"; /** Most requests at once since the last look. */ readonly peak: number }
  | { readonly type: "kept"; readonly kept: boolean }
  // Orders that have been given.
  | { readonly type: "launched"; readonly id: string; readonly use: Use }
  | { readonly type: "found"; readonly id: string; readonly use: Use; readonly phase: "starting" | "paused" }
  | { readonly type: "resuming" | "pausing" | "probing" | "thawed" | "stopping"; readonly id: string }
  | { readonly type: "drained"; readonly id: string; readonly by: number; readonly isSurplus?: boolean }
  // What the orders have come to.
  | { readonly type: "ready" | "paused" | "well" | "gone"; readonly id: string }
  | { readonly type: "resumed" | "answers"; readonly id: string; readonly attempt: number }
  | { readonly type: "start failed"; readonly id: string; readonly error: ClessError; readonly blame: Blame } & Noted
  | {
    readonly type: "resume failed";
    readonly id: string;
    readonly attempt: number;
    readonly error: ClessError | undefined;
  }
  | { readonly type: "pause failed"; readonly id: string; readonly runs: boolean }
  | { readonly type: "explained"; readonly failure: Failure; readonly by: Failure }
  // What the engine and the health checks report.
  | { readonly type: "engine paused" | "engine resumed"; readonly id: string }
  | { readonly type: "engine ended"; readonly id: string; readonly byHand: boolean } & Noted
  | { readonly type: "unhealthy"; readonly id: string; readonly byApp: boolean } & Noted;

/** What comes with a failure: the app's last lines may follow later. */
interface Noted {
  readonly mishap: Mishap;
  readonly output?: Promise<string>;
}

/** How long requests on an unhealthy instance may go on. */
const UNHEALTHY_DRAIN_MS = 10_000;
/** After a pause that failed. */
const PAUSE_RETRY_MS = 5000;

const NEW_MEMBER: Omit<Member, "id" | "use"> = {
  phase: "starting",
  coming: true,
  attempt: 0,
  countBefore: undefined,
  readySince: undefined,
  pausing: false,
  pauseAt: -Infinity,
  frozen: false,
  probeAt: Infinity,
  drainBy: Infinity,
  running: true,
  stopping: false,
};

/** That of a new pool. */
export function initialState(revision: Revision, queue: { readonly size: number }): PoolState {
  return {
    revision,
    queue,
    members: [],
    kept: false,
    asleep: false,
    woken: false,
    suspensions: 0,
    retired: false,
    excused: false,
    backoff: NO_FAILURES,
    window: [],
    shrunkAt: -Infinity,
    startError: undefined,
  };
}

/** How many instances serve, or could soon. */
export function liveCount({ members }: PoolState): number {
  return members.filter(({ phase }) => phase === "starting" || phase === "ready" || phase === "paused").length;
}

/** How many starts and resumes have not come to anything yet. */
export function comingCount({ members }: PoolState): number {
  return members.filter(({ coming, phase }) =>
    coming && (phase === "starting" || phase === "paused" || phase === "failed")
  ).length;
}

/** How many instances are ready. */
export function readyCount({ members }: PoolState): number {
  return members.filter(({ phase }) => phase === "ready").length;
}

/** The paused instances that are not being resumed; the one that was used last comes first. */
export function sleepers({ members }: PoolState): Member[] {
  return members.filter(({ coming, phase }) => phase === "paused" && !coming)
    .sort((a, b) => b.use.idleSince - a.use.idleSince);
}

/** Whether an instance is ready, or on its way. */
export function isServing(state: PoolState): boolean {
  return readyCount(state) > 0 || comingCount(state) > 0;
}

/** How many instances should be kept up. */
export function leastCount({ asleep, kept, revision }: PoolState): number {
  return kept && !asleep ? revision.minInstances : 0;
}

/**
 * What an event makes of a pool. An event about an instance that is gone, or for which it comes too late, changes nothing.
 *
 * @param now Clock ms.
 */
export function reduce(before: PoolState, event: PoolEvent, now: number): PoolState {
  const state: PoolState = before.startError === undefined ? before : { ...before, startError: undefined };
  switch (event.type) {
    case "released":
      return state;
    case "asked":
      return state.asleep ? { ...state, asleep: false } : state;
    case "woken": {
      if (state.retired || state.suspensions > 0) return state;
      const mayStart = backgroundBackoffMs(state.backoff, now) === 0 || sleepers(state).length > 0;
      return { ...state, asleep: false, woken: !isServing(state) && mayStart };
    }
    case "fell asleep":
      return { ...state, asleep: true, woken: false };
    case "suspended":
      return { ...state, suspensions: state.suspensions + 1, woken: false };
    case "unsuspended":
      return { ...state, suspensions: state.suspensions - 1 };
    case "retired":
      return { ...state, retired: true, woken: false };
    case "kept":
      return { ...state, kept: event.kept };
    case "looked":
      return looked(state, event.peak, now);
    case "explained":
      if (state.backoff.failure !== event.failure) return state;
      return { ...state, backoff: { ...state.backoff, failure: event.by } };
    case "launched":
      return join(state, event.id, event.use, { countBefore: state.backoff.count });
    case "found":
      return join(state, event.id, event.use, { phase: event.phase, coming: event.phase === "starting" });
  }
  const member = state.members.find(({ id }) => id === event.id);
  if (member === undefined) return state;
  const { phase } = member;
  switch (event.type) {
    case "resuming":
      return set(state, member, { coming: true, attempt: member.attempt + 1 });
    case "pausing":
      return enter(state, member, "paused", now, { pausing: true });
    case "probing":
      return set(state, member, { probeAt: Infinity });
    case "thawed":
      return set(state, member, { frozen: false });
    case "stopping":
      return set(state, member, { stopping: true });
    case "drained": {
      const drained = drain(state, member, event.by, now);
      return event.isSurplus ? { ...drained, shrunkAt: now } : drained;
    }
    case "ready": // it may have ended, or been called off, at that very moment
      return enter(state, member, phase === "starting" ? "ready" : phase, now, { coming: false });
    case "resumed":
    case "answers": // though the engine still hangs over its pause
      if (event.attempt !== member.attempt) return state;
      return enter(state, member, phase === "paused" ? "ready" : phase, now, {
        coming: false,
        pauseAt: event.type === "answers" ? now + PAUSE_RETRY_MS : member.pauseAt,
      });
    case "paused":
      if (phase !== "ready") return set(state, member, { pausing: false });
      return enter(state, member, "paused", now, { pausing: false }); // it answered meanwhile, and is paused after all
    case "pause failed": {
      const pauseAt = now + PAUSE_RETRY_MS;
      const isReady = event.runs && phase === "paused";
      return enter(state, member, isReady ? "ready" : phase, now, { pausing: false, pauseAt });
    }
    case "start failed":
      return startFailed(state, member, event, now);
    case "resume failed":
      return event.attempt === member.attempt ? resumeFailed(state, member, event.error, now) : state;
    case "well":
      return set(state, member, { probeAt: nextProbe(state, now) });
    case "gone":
      return leave(state, member);
    case "engine paused":
      if (phase === "ready") return enter(state, member, "paused", now);
      // A frozen app never becomes ready, and never ends what is in flight.
      if (phase !== "starting" && (phase !== "draining" || member.use.inFlight === 0)) return state;
      return set(state, member, { frozen: true });
    case "engine resumed": // what the engine says while a pause is under way is older than that
      if (phase !== "paused" || member.pausing) return state;
      return enter(state, member, "ready", now, { coming: false, attempt: member.attempt + 1 });
    case "engine ended": {
      if (phase === "starting") return enter(state, member, "failed", now); // the start notices, and says what it means
      if (phase === "draining") return enter(state, member, "stopped", now);
      if (phase !== "ready" && phase !== "paused") return state;
      return lose(enter(state, member, "stopped", now), member, event, now);
    }
    case "unhealthy": {
      if (phase !== "ready") return state;
      const drained = drain(state, member, now + UNHEALTHY_DRAIN_MS, now);
      // One that cannot be reached may have been ended by somebody, which the engine tells later.
      return event.byApp ? lose(drained, member, { ...event, byHand: false }, now) : drained;
    }
  }
}

function looked(state: PoolState, peak: number, now: number): PoolState {
  const { members, revision } = state;
  let { backoff } = state;
  for (const { readySince } of members) {
    if (readySince !== undefined) backoff = resetIfHealthy(backoff, now - readySince, now);
  }
  const isWide = isShrinkable(readyCount(state), revision);
  if (!isWide && state.window.length === 0) return { ...state, backoff };
  const window = isWide ? observe(state.window, { at: now, peak }, stableForMs(revision.stopAfter)) : [];
  return { ...state, backoff, window };
}

function startFailed(
  state: PoolState,
  member: Member,
  { blame, error, mishap }: Extract<PoolEvent, { type: "start failed" }>,
  now: number,
): PoolState {
  const left = leave(state, member);
  if (member.phase === "stopped" || blame === "nobody") return left; // it was called off, or nobody waited for it alone
  const over: PoolState = { ...left, woken: false, excused: false };
  if (blame === "somebody" && !state.excused) return { ...over, excused: true };
  const backoff = blame === "engine"
    ? state.backoff
    : afterFailedStart(state.backoff, mishap, member.countBefore ?? state.backoff.count, now);
  const isLast = state.suspensions === 0 && liveCount(left) === 0;
  return { ...over, backoff, startError: isLast ? error : undefined };
}

function resumeFailed(state: PoolState, member: Member, error: ClessError | undefined, now: number): PoolState {
  const late = set(state, member, { coming: false });
  if (member.phase !== "paused") return late;
  const drained = drain(late, late.members.find(({ id }) => id === member.id)!, now, now);
  const woken = state.woken && backgroundBackoffMs(state.backoff, now) === 0;
  // Requests that have waited for as long as a start may take are told so; they do not wait once more.
  const isLast = state.suspensions === 0 && !state.retired && !isServing(drained);
  return { ...drained, woken, startError: isLast ? error : undefined };
}

function drain(state: PoolState, member: Member, by: number, now: number): PoolState {
  switch (member.phase) {
    case "starting":
      return enter(state, member, "stopped", now); // the start notices, and removes the container
    case "ready":
    case "paused":
      return enter(state, member, "draining", now, { drainBy: by, running: member.phase === "ready" });
    case "draining":
      return by < member.drainBy ? set(state, member, { drainBy: by }) : state;
    default:
      return state;
  }
}

function lose(state: PoolState, { readySince }: Member, event: { byHand: boolean; mishap: Mishap }, now: number) {
  const ageMs = readySince === undefined ? 0 : now - readySince;
  const backoff = afterLostInstance(state.backoff, { ...event, ageMs }, now);
  return { ...state, backoff, woken: state.woken && backgroundBackoffMs(backoff, now) === 0 };
}

function join(state: PoolState, id: string, use: Use, known: Partial<Member>): PoolState {
  return { ...state, members: [...state.members, { ...NEW_MEMBER, id, use, ...known }] };
}

function leave(state: PoolState, member: Member): PoolState {
  return { ...state, members: state.members.filter((other) => other !== member) };
}

function set(state: PoolState, member: Member, changes: Partial<Member>): PoolState {
  return { ...state, members: state.members.map((other) => other === member ? { ...other, ...changes } : other) };
}

/** Moves an instance to another phase. @throws {Error} If that step is not a legal one. */
function enter(
  state: PoolState,
  member: Member,
  phase: InstanceState,
  now: number,
  changes: Partial<Member> = {},
): PoolState {
  if (member.phase === phase) return set(state, member, changes);
  if (!mayBecome(member.phase, phase)) throw new Error(`Cannot make a ${member.phase} instance ${phase}: ${member.id}`);
  if (phase !== "ready") return set(state, member, { ...changes, phase });
  const readySince = member.readySince ?? now;
  const entered = set(state, member, { ...changes, phase, readySince, frozen: false, probeAt: nextProbe(state, now) });
  return { ...entered, woken: false, excused: false };
}

function nextProbe({ revision: { liveness } }: PoolState, now: number): number {
  return liveness === undefined ? Infinity : now + liveness.every;
}
