import { ClessError } from "../base/errors.ts";
import { isAsleep } from "../model/instance_state.ts";
import type { Revision } from "../model/revision.ts";
import { backgroundBackoffMs, crashLoop, HEALTHY_MS, requestBackoffMs } from "./start_backoff.ts";
import {
  comingCount,
  isComing,
  isServing,
  isShrinkable,
  leastCount,
  liveCount,
  type Member,
  type PoolState,
  readyCount,
  resumable,
  stableForMs,
} from "./state.ts";

/** At most this many instances of a revision start or resume at the same time: more would slow each other down. */
const MAX_COMING = 10;
/** The demand is observed at this interval while an instance may be surplus. */
const SAMPLE_MS = 500;
/** While the machine cannot hibernate, an instance whose time has come checks at this interval whether it can now. */
const UNABLE_MS = 15_000;
/** The shortest time until an instance in use is checked again for idleness. */
const MIN_LOOK_MS = 100;
/** When an idle instance is to stop, requests that do not keep it awake may continue for this long. */
const QUIET_DRAIN_MS = 5000;

/**
 * What a process may do with its containers. `all` is the normal case. The other two apply during a take-over. Then a
 * process starts and resumes containers only for its requests, and stops only draining ones. With `finish`, it also
 * starts no container with a volume, since the other process serves, and may be using the volume.
 */
export type Tenure = "all" | "serve" | "finish";

/** What a process and its machine allow its pools to do. */
export interface Means {
  readonly tenure: Tenure;
  /** Whether memory can be moved to disk now. */
  readonly canHibernate: boolean;
}

const ALL_MEANS: Means = { tenure: "all", canHibernate: true };

/** One action of a pool. */
export type Action =
  | { readonly do: "launch" }
  | { readonly do: "resume" | "pause" | "hibernate" | "reclaim" | "probe" | "get slots"; readonly id: string }
  /** Gives an instance no more requests, and lets those in flight continue until `by`, clock ms. */
  | { readonly do: "drain"; readonly id: string; readonly by: number; readonly why: "idle" | "surplus" }
  | { readonly do: "stop"; readonly id: string; readonly how: StopHow }
  | { readonly do: "refuse"; readonly error: ClessError };

/**
 * How a container is removed. `stop` asks the app to end. `stop soon` does too, but gives it less time. `kill` does not
 * ask. `clear` removes an ended container after reading its output.
 */
export type StopHow = "stop" | "stop soon" | "kill" | "clear";

/** What a pool does next. */
export interface Decision {
  /** The actions of one rule. Once they have begun, other rules may give more. */
  readonly actions: readonly Action[];
  /** When to decide again if nothing happens before, clock ms; `Infinity` for never. */
  readonly lookAgainAt: number;
}

/** The time of a decision. Also collects when to decide again if no event comes first. */
class Moment {
  readonly now: number;
  readonly canHibernate: boolean;
  /** The earliest noted time, clock ms. */
  next = Infinity;

  constructor(now: number, { canHibernate }: Means) {
    this.now = now;
    this.canHibernate = canHibernate;
  }

  note(time: number): void {
    if (time > this.now && time < this.next) this.next = time;
  }

  /** Whether a time has come. If not, notes it. */
  isAt(time: number): boolean {
    this.note(time);
    return time <= this.now;
  }
}

// In order of priority: the first rule that wants an action wins. A suspended or retired pool starts nothing.
const WHILE_SUSPENDED = [stopDrained, resumeBusy, probe];
const ONCE_RETIRED = [refuseFailed, ...WHILE_SUSPENDED, getSlots, refuseIfRetired];
const STARTING = [startForWaiting, startForWoken, keepUp];
const SERVING = [refuseFailed, stopDrained, resumeBusy, getSlots, startForWaiting];
const FINISHING = [refuseFailed, stopDrained, resumeBusy, getSlots, startToFinish];
const RULES = [refuseFailed, ...WHILE_SUSPENDED, getSlots, ...STARTING, endIdle, shrink, awaitHealth];

/**
 * Decides what a pool does at the time `now`, clock ms. Call it again once the actions have begun, until there are
 * none.
 */
export function decide(state: PoolState, now: number, means = ALL_MEANS): Decision {
  const moment = new Moment(now, means);
  for (const rule of rulesOf(state, means.tenure)) {
    const actions = rule(state, moment);
    if (actions.length > 0) return { actions, lookAgainAt: now };
  }
  return { actions: [], lookAgainAt: moment.next };
}

function rulesOf({ retired, suspensions }: PoolState, tenure: Tenure) {
  if (suspensions > 0) return WHILE_SUSPENDED;
  if (retired) return ONCE_RETIRED;
  return tenure === "all" ? RULES : tenure === "serve" ? SERVING : FINISHING;
}

/** The error for requests that reach a retired pool. */
export function retiredError(): ClessError {
  return new ClessError("draining", "The service is being stopped", { retryAfterS: 1 });
}

/**
 * Whether a sleeping instance may hibernate or be stopped early: no request is on it, and the minimum of instances does
 * not need it.
 */
export function mayEvict(state: PoolState, id: string): boolean {
  const member = resumable(state).find((member) => member.id === id);
  return member !== undefined && member.use.isOurs && member.use.inFlight === 0 && liveCount(state) > leastCount(state);
}

/**
 * Passes the error of a failed start to the requests that waited for it. `startError` is set only if no other instance
 * may serve them.
 */
function refuseFailed({ queue, startError }: PoolState): Action[] {
  return queue.size > 0 && startError !== undefined ? [{ do: "refuse", error: startError }] : [];
}

/** Stops draining instances that are idle or out of time, and removes ended ones. */
function stopDrained({ members }: PoolState, moment: Moment): Action[] {
  return members.flatMap(({ coming, drainBy, hung, id, phase, running, stopping, use }): Action[] => {
    if (stopping) return [];
    if (phase === "draining" && (use.inFlight === 0 || moment.isAt(drainBy))) {
      return [{ do: "stop", id, how: hung ? "stop soon" : running ? "stop" : "kill" }];
    }
    // A start that has failed or was cancelled removes its container itself.
    return (phase === "stopped" || phase === "failed") && !coming ? [{ do: "stop", id, how: "clear" }] : [];
  });
}

/** Resumes instances that somebody paused while they had requests. */
function resumeBusy({ members }: PoolState): Action[] {
  return members.filter(({ coming, phase, use }) => isAsleep(phase) && !coming && use.inFlight > 0)
    .map(({ id }) => ({ do: "resume", id }));
}

function probe({ members }: PoolState, moment: Moment): Action[] {
  return members.filter(({ phase, probeAt, use }) => phase === "ready" && use.isOurs && moment.isAt(probeAt))
    .map(({ id }) => ({ do: "probe", id }));
}

/**
 * Asks for slots of ready instances that other cless use too, for as many instances as the waiting requests may need.
 * Only if others use them all, another instance is started.
 */
function getSlots({ members, queue, revision: { concurrency } }: PoolState, moment: Moment): Action[] {
  if (queue.size === 0) return [];
  const ready = members.filter(({ phase, use }) => phase === "ready" && use.slots < concurrency);
  const sought = (members: readonly Member[]) => members.reduce((sum, { use }) => sum + concurrency - use.slots, 0);
  let wanted = queue.size - sought(ready.filter(({ getting }) => getting));
  return ready.flatMap((member): Action[] => {
    if (member.getting || wanted <= 0 || !moment.isAt(member.getAt)) return [];
    wanted -= sought([member]);
    return [{ do: "get slots", id: member.id }];
  });
}

/**
 * Refuses the waiting requests of a pool that starts no instances, unless an instance is ready or coming up. The pool
 * is retired, or has volumes and another process serves.
 */
function refuseIfRetired(state: PoolState): Action[] {
  return state.queue.size === 0 || isServing(state) ? [] : [{ do: "refuse", error: retiredError() }];
}

/**
 * Starts as many instances as the waiting requests need. It does so at once, without observing the demand first.
 * Refuses the requests if no instance may be started, and none is ready or coming up.
 */
function startForWaiting(state: PoolState, moment: Moment): Action[] {
  if (state.queue.size === 0) return [];
  const { backoff, members } = state;
  const { now } = moment;
  const isAllowed = moment.isAt(now + requestBackoffMs(backoff, now));
  // A running start that began before the last failure probably fails for the same reason.
  const isLikelyToFail = members.some(({ coming, countBefore, phase }) =>
    coming && phase === "starting" && countBefore < backoff.count
  );
  const actions = start(state, missingCount(state), isAllowed && !isLikelyToFail);
  if (actions.length > 0 || isServing(state)) return actions;
  return [{ do: "refuse", error: crashLoop(backoff, now) }];
}

/** Starts instances for the last requests of a superseded process. */
function startToFinish(state: PoolState, moment: Moment): Action[] {
  return state.revision.volumes.length === 0 ? startForWaiting(state, moment) : refuseIfRetired(state);
}

/** Starts an instance for an operator, or for a deploy. */
function startForWoken(state: PoolState, { now }: Moment): Action[] {
  return state.woken && !isServing(state) ? start(state, 1, backgroundBackoffMs(state.backoff, now) === 0) : [];
}

/** Starts instances up to the minimum, unless the last start has just failed. */
function keepUp(state: PoolState, moment: Moment): Action[] {
  const missing = leastCount(state) - readyCount(state) - comingCount(state);
  if (missing <= 0 || !moment.isAt(moment.now + backgroundBackoffMs(state.backoff, moment.now))) return [];
  return start(state, missing, true);
}

/** Resumes paused instances, then launches new ones if more are wanted and allowed. Limits how many come up at once. */
function start(state: PoolState, wanted: number, mayLaunch: boolean): Action[] {
  const coming = comingCount(state);
  const paused = resumable(state);
  const count = Math.max(0, Math.min(wanted, MAX_COMING - coming));
  const resumed = paused.slice(0, count).map(({ id }): Action => ({ do: "resume", id }));
  const room = state.revision.maxInstances - readyCount(state) - coming - paused.length;
  const launched = mayLaunch ? Math.max(0, Math.min(room, count - resumed.length)) : 0;
  return [...resumed, ...Array<Action>(launched).fill({ do: "launch" })];
}

/**
 * Pauses, hibernates or stops idle instances, the longest idle first. The times count from the end of the last request
 * that keeps an instance awake. An instance whose only requests are quiet ones, which do not keep it awake, is not
 * paused, since that would freeze them, but it may be stopped. The minimum of instances stays, preferably as running
 * ones. An instance that another cless decides about is left alone.
 */
function endIdle(state: PoolState, moment: Moment): Action[] {
  const { members, revision: { pauseAfterMs, stopAfterMs, stopHibernatedAfterMs } } = state;
  const { now } = moment;
  const least = leastCount(state);
  let running = members.filter(({ phase }) => phase === "starting" || phase === "ready").length;
  let live = liveCount(state);
  const actions: Action[] = [];
  const settled = members.filter(({ coming, phase }) => phase === "ready" || (isAsleep(phase) && !coming));
  for (const member of settled.sort(byIdleTime)) {
    const { askAt, asking, hibernating, id, pauseAt, pausing, phase, use } = member;
    const isReady = phase === "ready";
    if (!use.isOurs) continue;
    if (asking) { // it is most likely about to end
      live--;
      if (isReady) running--;
      continue;
    }
    if (use.inUse > 0) {
      moment.note(now + Math.max(MIN_LOOK_MS, Math.min(pauseAfterMs, stopAfterMs))); // it may become idle at any time
      continue;
    }
    if (live <= least || (isReady && running <= least)) continue;
    const endAfterMs = phase === "hibernated" || hibernating ? stopHibernatedAfterMs : stopAfterMs;
    if (moment.isAt(Math.max(use.idleSince + endAfterMs, askAt))) {
      actions.push({ do: "drain", id, by: now + QUIET_DRAIN_MS, why: "idle" });
      live--;
      if (isReady) running--;
    } else if (isReady && !pausing && moment.isAt(Math.max(use.idleSince + pauseAfterMs, pauseAt))) {
      if (use.inFlight > 0) moment.note(now + SAMPLE_MS);
      else {
        actions.push({ do: "pause", id });
        running--;
      }
    } else if (isToHibernate(state, member, moment)) actions.push({ do: "hibernate", id });
    else if (isToReclaim(state, member, moment)) actions.push({ do: "reclaim", id });
  }
  return actions;
}

/** Whether it is time to hibernate an instance. Unless memory is short, it never is if it would be stopped by then. */
function isToHibernate({ revision }: PoolState, member: Member, moment: Moment): boolean {
  if (!isResting(member)) return false;
  if (member.pressed) return true;
  if (!mayHibernate(revision)) return false;
  if (!moment.isAt(Math.max(member.use.idleSince + revision.hibernateAfterMs, member.hibernateAt))) return false;
  return mayNow(moment);
}

/** Whether the machine can hibernate. If not, notes when to look again. */
function mayNow(moment: Moment): boolean {
  if (!moment.canHibernate) moment.note(moment.now + UNABLE_MS);
  return moment.canHibernate;
}

/**
 * Whether to move the memory of an instance to disk at its first undisturbed pause, though it stays paused. Requests
 * bring back only what they use. From then on its pauses take no more memory than that, and its wakes are as fast as
 * before. The idea is that of "TMO: Transparent Memory Offloading in Datacenters" (Weiner et al., ASPLOS
 * 2022).
 */
function isToReclaim({ revision }: PoolState, member: Member, moment: Moment): boolean {
  if (!isResting(member) || member.reclaimed || !mayHibernate(revision) || !moment.isAt(member.hibernateAt)) {
    return false;
  }
  return mayNow(moment);
}

/** Whether it is paused, and nothing is being done with it. */
function isResting({ hibernating, pausing, phase, use }: Member): boolean {
  return phase === "paused" && !pausing && !hibernating && use.inFlight === 0;
}

/** Whether its instances hibernate before they are stopped. */
function mayHibernate({ hibernateAfterMs, pauseAfterMs, stopAfterMs }: Revision): boolean {
  return Math.max(pauseAfterMs, hibernateAfterMs) < stopAfterMs;
}

function byIdleTime({ use: a }: Member, { use: b }: Member): number {
  return a.idleSince - b.idleSince;
}

/**
 * Drains one instance if fewer would have been enough for the highest demand of the last `stableForMs`. So a load that
 * comes back within that time keeps its instances.
 */
function shrink(state: PoolState, moment: Moment): Action[] {
  const { members, revision: { minInstances, stopAfterMs }, shrunkAt, window } = state;
  const { now } = moment;
  const [first, last] = [window[0], window.at(-1)];
  if (isShrinkable(state)) moment.note((last?.at ?? now) + SAMPLE_MS);
  if (first === undefined || first.at > now - stableForMs(stopAfterMs) || last!.at <= shrunkAt) return [];
  const peak = Math.max(demandOf(state), ...window.map(({ peak }) => peak));
  // The last instance is never surplus: its idle time decides when it stops.
  const enough = Math.max(enoughFor(peak, state), minInstances, 1);
  if (comingCount(state) > 0 || readyCount(state) <= enough) return [];
  if (members.some(({ asking }) => asking)) return [];
  const [leastUsed] = members.filter(({ askAt, phase, use }) => phase === "ready" && use.isOurs && askAt <= now)
    .sort((a, b) => a.use.inFlight - b.use.inFlight || byIdleTime(a, b));
  return leastUsed === undefined ? [] : [{ do: "drain", id: leastUsed.id, by: Infinity, why: "surplus" }];
}

/**
 * Gives no action. Notes when an instance will have become healthy, so that the look at that time resets the back-off.
 */
function awaitHealth({ backoff, members }: PoolState, moment: Moment): Action[] {
  if (backoff.failure === undefined && backoff.ends === 0) return [];
  for (const { readySince = Infinity } of members) moment.note(readySince + HEALTHY_MS);
  return [];
}

/** How many requests are on ready instances or waiting. */
function demandOf({ members, queue }: PoolState): number {
  return members.reduce((sum, { phase, use }) => phase === "ready" ? sum + use.requests : sum, queue.size);
}

/** How many more instances the present demand needs than are ready or coming up. */
function missingCount(state: PoolState): number {
  const { members, revision: { concurrency } } = state;
  if (concurrency === 0) return 1 - readyCount(state) - comingCount(state);
  const present = members.filter((member) => member.phase === "ready" || isComing(member));
  const slots = present.reduce((sum, { isShort, phase, use }) => {
    return sum + (phase === "ready" && isShort ? use.slots : concurrency); // it may get all that others do not use
  }, 0);
  return enoughFor(demandOf(state) - slots, state);
}

/** So many instances are enough for `demand` simultaneous requests. */
function enoughFor(demand: number, { revision: { concurrency } }: PoolState): number {
  return concurrency === 0 ? 1 : Math.ceil(demand / concurrency);
}
