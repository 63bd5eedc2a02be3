import type { ClessError } from "../base/errors.ts";
import { type InstanceState, isAsleep, mayBecome } from "../model/instance_state.ts";
import type { Revision } from "../model/revision.ts";
import type { Instance } from "./instance.ts";
import {
  afterFailedStart,
  afterLostInstance,
  backgroundBackoffMs,
  type Mishap,
  NO_FAILURES,
  resetByProof,
  type StartBackoff,
} from "./start_backoff.ts";

/*
 * The life of an instance:
 *
 *     launch                              pause
 *       │                          ┌────────────────┐
 *       ▼       first answer       │                ▼
 *    starting ─────────────────► ready ◄───────── paused
 *     │    │                       │    resume      │
 *     │    │ the start is          │                │
 *     │    │ cancelled             ├── drain ───────┤
 *     │    │                       ▼                │
 *     │    │                    draining ◄──────────┘
 *     │    │                       │ nothing is in flight, or the time is up
 *     ▼    └──────────────────►    ▼
 *   failed                      stopped
 *
 * A paused instance becomes `hibernated` when its memory has been moved to disk, and `paused` again if the memory comes
 * back without a request. From `hibernated` it goes on as from `paused`.
 *
 * A container that ends by itself, or is ended by somebody else, moves its instance from `starting` to `failed`, or from
 * a later phase to `stopped`. A container that is found when the program starts enters as `starting` or `paused`, also
 * one whose memory is on disk.
 */

/** How an instance is used. The instance counts this itself, since requests do not go through {@linkcode reduce}. */
export type Use = Readonly<
  Pick<Instance, "inFlight" | "inUse" | "requests" | "slots" | "idleSince" | "hasServed" | "isOurs">
>;

/** An instance in its pool's state. Times are clock ms. */
export interface Member {
  readonly id: string;
  readonly use: Use;
  readonly phase: InstanceState;
  /** Whether a start, adoption or resume of it is running, also a start that was cancelled but has not ended yet. */
  readonly coming: boolean;
  /** The number of its last resume. The outcomes of earlier resumes are ignored. */
  readonly attempt: number;
  /** The count of failures when its start began; `Infinity` for an instance that was adopted. */
  readonly countBefore: number;
  readonly readySince: number | undefined;
  /** Whether the engine is pausing it. The app may serve again before that is done. */
  readonly pausing: boolean;
  /** The earliest time for the next pause, after one that failed or came too late. */
  readonly pauseAt: number;
  /** Whether the others who use it are being asked whether it may end. */
  readonly asking: boolean;
  /** The earliest time to ask them again, after one has not agreed. */
  readonly askAt: number;
  /** Whether the others who use it are being asked for slots. */
  readonly getting: boolean;
  /** The earliest time to ask them again, after they have not given all that were wanted. */
  readonly getAt: number;
  /** Whether they use all slots that this process does not hold, as far as it knows. */
  readonly isShort: boolean;
  /** Whether its memory is being moved to disk. It is still paused meanwhile. */
  readonly hibernating: boolean;
  /** Whether memory is short, so that it hibernates before its time. */
  readonly pressed: boolean;
  /** The earliest time for the next attempt to hibernate it, after one that failed. */
  readonly hibernateAt: number;
  /** Whether its memory was moved to swap at a pause before, or an earlier process may have done that. */
  readonly reclaimed: boolean;
  /** When its next liveness probe is due; `Infinity` for never, and while a probe is under way. */
  readonly probeAt: number;
  /**
   * Whether it drains because it did not answer requests or probes, which need not be the app's fault. If it then ends
   * by itself, that counts as a failure of the app.
   */
  readonly unreachable: boolean;
  /** Whether it drains because its app hangs: it will answer none of its requests. */
  readonly hung: boolean;
  /** Until when its requests may continue while it drains. */
  readonly drainBy: number;
  /** Whether its processes run. If they are paused, they cannot end by themselves, and must be killed. */
  readonly running: boolean;
  readonly stopping: boolean;
}

/**
 * The highest number of requests, in flight and waiting together, between the previous observation and `at`, clock ms.
 */
export interface Observation {
  readonly at: number;
  readonly peak: number;
}

/** A pool at one moment. */
export interface PoolState {
  readonly revision: Revision;
  /** The instances whose containers are not gone, oldest first. */
  readonly members: readonly Member[];
  /** How many requests wait; counted elsewhere, like {@linkcode Use}. */
  readonly queue: { readonly size: number };
  /**
   * Whether the minimum of instances must be kept up. That is so while the revision has a share of its service's
   * requests.
   */
  readonly kept: boolean;
  /** Whether an operator put it to sleep. The next request or wake ends that. */
  readonly asleep: boolean;
  /** Whether an instance is wanted although no request waits. */
  readonly woken: boolean;
  /** How many suspensions are in force. While there is one, nothing starts and requests wait. */
  readonly suspensions: number;
  readonly retired: boolean;
  /**
   * Whether the last failed start was excused because somebody had ended the container. The next failed start, or an
   * instance that becomes ready, resets this. So two such starts in a row are not both excused.
   */
  readonly excused: boolean;
  readonly backoff: StartBackoff;
  /** Recent observations of the demand. Recorded only while an instance may be surplus. */
  readonly window: readonly Observation[];
  /** When a surplus instance was last drained, clock ms. */
  readonly shrunkAt: number;
  /** The error of a start or resume that has just failed, for the requests that waited; cleared by the next event. */
  readonly startError: ClessError | undefined;
}

/**
 * Who made a start fail. `machine`: cless lagged or had no file descriptor left. `somebody`: somebody stopped, killed
 * or removed the container. `nobody`: the container was only adopted.
 */
export type Blame = "app" | "engine" | "machine" | "somebody" | "nobody";

/** An event of one instance. */
type Of<T extends string> = { readonly type: T; readonly id: string };

/** Something that has happened to a pool. */
export type PoolEvent =
  // Requests, time and operators.
  | { readonly type: "asked" | "released" | "woken" | "fell asleep" | "suspended" | "unsuspended" | "retired" }
  | { readonly type: "looked"; /** The highest number of requests since the last look. */ readonly peak: number }
  | { readonly type: "kept"; readonly kept: boolean }
  // Actions that have begun.
  | Of<"launched"> & { readonly use: Use }
  | Of<"found"> & { readonly use: Use; readonly phase: "starting" | "paused" }
  | Of<
    | "resuming"
    | "pausing"
    | "asking"
    | "pressed"
    | "hibernating"
    | "memory back"
    | "probing"
    | "stopping"
    | "getting slots"
  >
  | Of<"draining"> & { readonly by: number; readonly isSurplus?: boolean }
  // The outcomes of actions.
  | Of<"got slots"> & { /** Whether others use those that are missing. */ readonly isShort: boolean }
  | Of<"ready" | "paused" | "disagreed" | "hibernate failed" | "well" | "gone">
  | Of<"resumed" | "answers" | "hibernated" | "reclaimed"> & { readonly attempt: number }
  | Of<"start failed"> & { readonly error: ClessError; readonly blame: Blame; readonly mishap: Mishap }
  | Of<"resume failed"> & { readonly attempt: number; readonly error: ClessError | undefined }
  | Of<"pause failed"> & { readonly runs: boolean; readonly isUsedElsewhere?: boolean }
  // What the engine and the health checks report.
  | Of<"engine paused" | "engine resumed">
  | Of<"engine ended"> & { readonly byHand: boolean; readonly mishap: Mishap }
  | Of<"unhealthy"> & { readonly byApp: boolean; readonly mishap: Mishap }
  | Of<"hung"> & { readonly mishap: Mishap };

/** Requests on an unhealthy instance may continue for this long. */
const UNHEALTHY_DRAIN_MS = 10_000;
/** After a pause that failed or came too late, the next one must wait this long. */
const PAUSE_RETRY_MS = 5000;
/** The same if another cless still uses the instance. */
const SHARED_PAUSE_RETRY_MS = 1000;
/** After a failed attempt to hibernate an instance, the next one must wait this long. */
const HIBERNATE_RETRY_MS = 15_000;
/** If slots are missing that others use, they are asked again after this time: what they had to say may be lost. */
const SLOTS_RETRY_MS = 1000;
const MAX_WINDOW_MS = 60_000;

const NEW_MEMBER: Omit<Member, "id" | "use"> = {
  phase: "starting",
  coming: true,
  attempt: 0,
  countBefore: Infinity,
  readySince: undefined,
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
  reclaimed: false,
  probeAt: Infinity,
  unreachable: false,
  hung: false,
  drainBy: Infinity,
  running: true,
  stopping: false,
};

/** The state of a new pool. */
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

/** How many instances serve or could serve soon. */
export function liveCount({ members }: PoolState): number {
  return members.filter(({ phase }) => phase === "starting" || phase === "ready" || isAsleep(phase)).length;
}

/** How many starts and resumes are running. */
export function comingCount({ members }: PoolState): number {
  return members.filter(isComing).length;
}

/** Whether a start or resume of an instance is running. */
export function isComing({ coming, phase }: Member): boolean {
  return coming && (phase === "starting" || isAsleep(phase) || phase === "failed");
}

export function readyCount({ members }: PoolState): number {
  return members.filter(({ phase }) => phase === "ready").length;
}

/** The sleeping instances that are not being resumed: the paused ones before the hibernated, the last used first. */
export function resumable({ members }: PoolState): Member[] {
  const byUse = members.filter(({ coming, phase }) => isAsleep(phase) && !coming)
    .sort((a, b) => b.use.idleSince - a.use.idleSince);
  return [...byUse.filter(({ phase }) => phase === "paused"), ...byUse.filter(({ phase }) => phase === "hibernated")];
}

/** Whether an instance is ready or coming up. */
export function isServing(state: PoolState): boolean {
  return readyCount(state) > 0 || comingCount(state) > 0;
}

/** The minimum of instances that must be kept up now. */
export function leastCount({ asleep, kept, revision }: PoolState): number {
  return kept && !asleep ? revision.minInstances : 0;
}

/** Whether there may be too many ready instances, so that the demand must be observed. */
export function isShrinkable(state: PoolState): boolean {
  const { concurrency, minInstances } = state.revision;
  return concurrency > 0 && readyCount(state) > Math.max(1, minInstances);
}

/** A surplus instance is stopped once fewer have been enough for this long, ms. Never longer than `stopAfterMs`. */
export function stableForMs(stopAfterMs: number): number {
  return Math.min(MAX_WINDOW_MS, stopAfterMs);
}

/** Adds an observation, and removes those that the window no longer needs. */
export function observe(window: readonly Observation[], last: Observation, stableForMs: number): Observation[] {
  const first = window.findLastIndex(({ at }) => at <= last.at - stableForMs);
  return [...window.slice(Math.max(0, first)), last];
}

/**
 * The pool's state after an event at the time `now`, clock ms. Events that come too late or are of unknown instances
 * change nothing.
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
      const mayStart = backgroundBackoffMs(state.backoff, now) === 0 || resumable(state).length > 0;
      return { ...state, asleep: false, woken: !isServing(state) && mayStart };
    }
    case "fell asleep":
      return { ...state, asleep: true, woken: false };
    case "suspended":
      return { ...state, suspensions: state.suspensions + 1, woken: false };
    case "unsuspended":
      return { ...state, suspensions: Math.max(0, state.suspensions - 1) };
    case "retired":
      return { ...state, retired: true, woken: false };
    case "kept":
      return { ...state, kept: event.kept };
    case "looked":
      return looked(state, event.peak, now);
    case "launched":
      return join(state, event.id, event.use, { countBefore: state.backoff.count });
    case "found":
      // An earlier process may have reclaimed its memory.
      return join(state, event.id, event.use, {
        phase: event.phase,
        coming: event.phase === "starting",
        reclaimed: true,
      });
  }
  const member = state.members.find(({ id }) => id === event.id);
  if (member === undefined) return state;
  const { phase } = member;
  switch (event.type) {
    case "resuming":
      return set(state, member, { coming: true, attempt: member.attempt + 1, pressed: false });
    case "pausing":
      return enter(state, member, "paused", now, { pausing: true });
    case "pressed":
      return set(state, member, { pressed: phase === "paused" && !member.coming });
    case "memory back":
      return phase === "hibernated" && !member.coming
        ? enter(state, member, "paused", now, { hibernateAt: now + HIBERNATE_RETRY_MS })
        : state;
    case "asking":
      return set(state, member, { asking: true });
    case "disagreed":
      return set(state, member, { asking: false, askAt: now + PAUSE_RETRY_MS });
    case "getting slots": // what was known before is out of date, unless this repeats it
      return set(state, member, { getting: true, isShort: member.isShort && now < member.getAt + SLOTS_RETRY_MS });
    case "got slots":
      return set(state, member, {
        getting: false,
        isShort: event.isShort,
        getAt: event.isShort ? now + SLOTS_RETRY_MS : member.getAt,
      });
    case "hibernating":
      return set(state, member, { hibernating: true });
    case "probing":
      return set(state, member, { probeAt: Infinity });
    case "stopping":
      return set(state, member, { stopping: true });
    case "draining": {
      const drained = drain(state, member, event.by, now);
      return event.isSurplus ? { ...drained, shrunkAt: now } : drained;
    }
    case "ready": // it may have ended, or been cancelled, at that very moment
      return enter(state, member, phase === "starting" ? "ready" : phase, now, { coming: false });
    case "resumed":
    case "answers": // the app answers while a pause is still running
      if (event.attempt !== member.attempt) return state;
      return enter(state, member, isAsleep(phase) ? "ready" : phase, now, {
        coming: false,
        running: true,
        pauseAt: event.type === "answers" ? now + PAUSE_RETRY_MS : member.pauseAt,
      });
    case "paused":
      if (phase !== "ready") return set(state, member, { pausing: false });
      // An `answers` event made it ready again while the pause was running. Now the pause has taken effect.
      return enter(state, member, "paused", now, { pausing: false });
    case "hibernated":
    case "reclaimed": {
      // A request may have come meanwhile, and gone.
      const isWanted = phase === "paused" && !member.coming && event.attempt === member.attempt;
      const changes = { hibernating: false, reclaimed: member.reclaimed || isWanted };
      if (event.type === "reclaimed") return set(state, member, changes);
      return enter(state, member, isWanted ? "hibernated" : phase, now, { ...changes, pressed: false });
    }
    case "hibernate failed": {
      const hibernateAt = phase === "paused" && !member.coming ? now + HIBERNATE_RETRY_MS : member.hibernateAt;
      return set(state, member, { hibernating: false, pressed: false, hibernateAt });
    }
    case "pause failed": {
      // Its idle time counts from its last use anywhere, which is known.
      const pauseAt = now + (event.isUsedElsewhere ? SHARED_PAUSE_RETRY_MS : PAUSE_RETRY_MS);
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
      return leave({ ...state, backoff: judgedBackoff(state, now) }, member);
    case "engine paused":
      return phase === "ready" ? enter(state, member, "paused", now) : state;
    case "engine resumed": // if a pause is running, this event dates from before it
      if (phase === "draining") return set(state, member, { running: true });
      if (!isAsleep(phase) || member.pausing) return state;
      return enter(state, member, "ready", now, { coming: false, attempt: member.attempt + 1 });
    case "engine ended": {
      if (phase === "starting") return enter(state, member, "failed", now); // the running start reports the reason
      if (phase !== "ready" && !isAsleep(phase) && phase !== "draining") return state;
      const stopped = enter(state, member, "stopped", now);
      const isExpected = phase === "draining" && (event.byHand || !member.unreachable);
      return isExpected ? stopped : lose(stopped, member, event, now);
    }
    case "unhealthy": {
      if (phase !== "ready") return state;
      // If the app only did not answer, somebody may have ended it, which the engine reports later.
      const changes = { drainBy: now + UNHEALTHY_DRAIN_MS, unreachable: !event.byApp };
      const drained = enter(state, member, "draining", now, changes);
      return event.byApp ? lose(drained, member, { ...event, byHand: false }, now) : drained;
    }
    case "hung": {
      if (phase === "draining") return set(state, member, { drainBy: now, hung: true });
      if (phase !== "ready") return state;
      const drained = enter(state, member, "draining", now, { drainBy: now, hung: true });
      return lose(drained, member, { ...event, byHand: false }, now);
    }
  }
}

function looked(state: PoolState, peak: number, now: number): PoolState {
  const { revision } = state;
  const backoff = judgedBackoff(state, now);
  const isWide = isShrinkable(state);
  if (!isWide && state.window.length === 0) return { ...state, backoff };
  const window = isWide ? observe(state.window, { at: now, peak }, stableForMs(revision.stopAfterMs)) : [];
  return { ...state, backoff, window };
}

/** The back-off, reset if an instance has shown since the last failure that the revision works. */
function judgedBackoff({ backoff, members }: PoolState, now: number): StartBackoff {
  return members.reduce((backoff, { readySince, use: { hasServed } }) => {
    return readySince === undefined ? backoff : resetByProof(backoff, { ageMs: now - readySince, hasServed }, now);
  }, backoff);
}

function startFailed(
  state: PoolState,
  member: Member,
  { blame, error, mishap }: Extract<PoolEvent, { type: "start failed" }>,
  now: number,
): PoolState {
  const left = leave(state, member);
  // The start was cancelled, or the instance was only adopted, so no request depends on it.
  if (member.phase === "stopped" || blame === "nobody") return left;
  const over: PoolState = { ...left, woken: false, excused: false };
  if (blame === "somebody" && !state.excused) return { ...over, excused: true };
  const judged = judgedBackoff(state, now);
  const backoff = blame === "engine" || blame === "machine"
    ? judged
    : afterFailedStart(judged, mishap, member.countBefore, now);
  const isLast = state.suspensions === 0 && liveCount(left) === 0;
  return { ...over, backoff, startError: isLast ? error : undefined };
}

function resumeFailed(state: PoolState, member: Member, error: ClessError | undefined, now: number): PoolState {
  if (!isAsleep(member.phase)) return set(state, member, { coming: false });
  const drained = enter(state, member, "draining", now, { coming: false, drainBy: now, running: false });
  const woken = state.woken && backgroundBackoffMs(state.backoff, now) === 0;
  // Requests that have waited for a whole start timeout get the error; they do not wait again.
  const isLast = state.suspensions === 0 && !state.retired && !isServing(drained);
  return { ...drained, woken, startError: isLast ? error : undefined };
}

function drain(state: PoolState, member: Member, by: number, now: number): PoolState {
  switch (member.phase) {
    case "starting":
      return enter(state, member, "stopped", now); // the running start notices it, and removes the container
    case "ready":
    case "paused":
    case "hibernated":
      return enter(state, member, "draining", now, {
        drainBy: by,
        running: member.phase === "ready",
        asking: false,
      });
    case "draining":
      return by < member.drainBy ? set(state, member, { drainBy: by }) : state;
    default:
      return state;
  }
}

function lose(state: PoolState, member: Member, event: { byHand: boolean; mishap: Mishap }, now: number) {
  const { readySince, use: { hasServed } } = member;
  if (readySince === undefined) return state; // found paused: how long it was ready is unknown
  const backoff = afterLostInstance(judgedBackoff(state, now), { ...event, ageMs: now - readySince, hasServed }, now);
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

/** Moves an instance to another phase. @throws {Error} If that is not allowed. */
function enter(
  state: PoolState,
  member: Member,
  phase: InstanceState,
  now: number,
  changes: Partial<Member> = {},
): PoolState {
  if (phase !== "paused") changes = { pressed: false, ...changes };
  if (member.phase === phase) return set(state, member, changes);
  if (!mayBecome(member.phase, phase)) throw new Error(`Cannot make a ${member.phase} instance ${phase}: ${member.id}`);
  if (phase !== "ready") return set(state, member, { ...changes, phase });
  const readySince = member.readySince ?? now;
  const entered = set(state, member, { ...changes, phase, readySince, probeAt: nextProbe(state, now) });
  return { ...entered, woken: false, excused: false };
}

function nextProbe({ revision: { liveness } }: PoolState, now: number): number {
  return liveness === undefined ? Infinity : now + liveness.every;
}
