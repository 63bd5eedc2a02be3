import { ClessError } from "../base/errors.ts";
import { isShrinkable, MOST_COMING, needed, stableForMs } from "./scaling.ts";
import { backgroundBackoffMs, crashLoop, HEALTHY_MS, requestBackoffMs } from "./start_backoff.ts";
import {
  comingCount,
  isServing,
  leastCount,
  liveCount,
  type Member,
  type PoolState,
  readyCount,
  resumable,
} from "./state.ts";

/** How often the demand is observed while there may be too many instances. */
const SAMPLE_MS = 500;
/** The shortest time until an instance in use is looked at again: it may be idle by then. */
const LEAST_LOOK_MS = 100;
/** How long requests that do not keep an instance awake may go on once it is to be stopped. */
const QUIET_DRAIN_MS = 5000;

/** Something that a pool is to do. */
export type Action =
  | { readonly do: "launch" }
  | { readonly do: "resume" | "pause" | "probe"; readonly id: string }
  /** Resumes a container that somebody paused during its start or its last requests. */
  | { readonly do: "thaw"; readonly id: string }
  /** Gives an instance no more requests, and lets those in flight go on until `by`, clock ms. */
  | { readonly do: "drain"; readonly id: string; readonly by: number; readonly why: "idle" | "surplus" }
  /** Removes a container: `stop` asks the app to end, `kill` does not, `clear` is for one that has ended. */
  | { readonly do: "stop"; readonly id: string; readonly how: "stop" | "kill" | "clear" }
  | { readonly do: "refuse"; readonly error: ClessError };

/** What a pool is to do. */
export interface Decision {
  /** From one rule; other rules may want more once these have begun. */
  readonly actions: readonly Action[];
  /** When to decide again even if nothing happens, clock ms; `Infinity` for never. */
  readonly lookAgainAt: number;
}

// In order of priority: the first rule that wants an action wins. A suspended or retired pool starts nothing.
const WHILE_SUSPENDED = [stopDrained, letGoOn, probe];
const ONCE_RETIRED = [refuseFailed, ...WHILE_SUSPENDED, answerRetired];
const RULES = [refuseFailed, ...WHILE_SUSPENDED, startForWaiting, startForWoken, keepUp, endIdle, shrink];

/** Decides what a pool does now, clock ms. Call it again once the actions have begun, until there are none. */
export function decide(state: PoolState, now: number): Decision {
  for (const rule of state.suspensions > 0 ? WHILE_SUSPENDED : state.retired ? ONCE_RETIRED : RULES) {
    const actions = rule(state, now);
    if (actions.length > 0) return { actions, lookAgainAt: now };
  }
  return { actions: [], lookAgainAt: nextLook(state, now) };
}

/** The error for requests that reach a retired pool. */
export function retiredError(): ClessError {
  return new ClessError("draining", "The service is being stopped", { retryAfterS: 1 });
}

/** Whether a paused instance may be stopped early: no request waits for it, and it need not be kept up. */
export function mayEvict(state: PoolState, id: string): boolean {
  const member = resumable(state).find((paused) => paused.id === id);
  return member !== undefined && member.use.inFlight === 0 && liveCount(state) > leastCount(state);
}

/** Passes the error of a failed start to the requests that waited for it, unless another instance may serve them. */
function refuseFailed({ queue, startError }: PoolState): Action[] {
  return queue.size > 0 && startError !== undefined ? [{ do: "refuse", error: startError }] : [];
}

/** Stops draining instances that are idle or out of time, and removes ended ones. */
function stopDrained({ members }: PoolState, now: number): Action[] {
  return members.flatMap(({ coming, drainBy, id, phase, running, stopping, use }): Action[] => {
    if (stopping) return [];
    if (phase === "draining" && (use.inFlight === 0 || now >= drainBy)) {
      return [{ do: "stop", id, how: running ? "stop" : "kill" }];
    }
    // A start that has failed or was called off removes its container itself.
    return (phase === "stopped" || phase === "failed") && !coming ? [{ do: "stop", id, how: "clear" }] : [];
  });
}

/** Resumes containers that somebody paused during a start or during requests. */
function letGoOn({ members }: PoolState): Action[] {
  return members.flatMap(({ coming, frozen, id, phase, use }): Action[] => {
    if (frozen) return [{ do: "thaw", id }];
    return phase === "paused" && !coming && use.inFlight > 0 ? [{ do: "resume", id }] : [];
  });
}

function probe({ members }: PoolState, now: number): Action[] {
  return members.filter(({ phase, probeAt }) => phase === "ready" && now >= probeAt)
    .map(({ id }) => ({ do: "probe", id }));
}

/** Gives the requests that wait in a retired pool its present instances, but starts no new one. */
function answerRetired(state: PoolState): Action[] {
  return state.queue.size === 0 || isServing(state) ? [] : [{ do: "refuse", error: retiredError() }];
}

/**
 * Starts at once as many instances as the requests need, since they must not wait for a window of observations. Refuses
 * the requests if no start can succeed.
 */
function startForWaiting(state: PoolState, now: number): Action[] {
  if (state.queue.size === 0) return [];
  const { backoff, members, revision: { concurrency } } = state;
  // A start that began before the last failure most likely fails for the same reason.
  const isDoubtful = members.some(({ coming, countBefore, phase }) =>
    coming && phase === "starting" && countBefore < backoff.count
  );
  const mayLaunch = !isDoubtful && requestBackoffMs(backoff, now) === 0;
  const missing = needed(demandOf(state), concurrency) - readyCount(state) - comingCount(state);
  const actions = start(state, missing, mayLaunch);
  if (actions.length > 0 || isServing(state)) return actions;
  return [{ do: "refuse", error: crashLoop(backoff, now) }];
}

/** Starts an instance for an operator, or for a deploy. */
function startForWoken(state: PoolState, now: number): Action[] {
  return state.woken && !isServing(state) ? start(state, 1, backgroundBackoffMs(state.backoff, now) === 0) : [];
}

/** Starts as many instances as should always be up, unless the last start has just failed. */
function keepUp(state: PoolState, now: number): Action[] {
  if (backgroundBackoffMs(state.backoff, now) > 0) return [];
  return start(state, leastCount(state) - readyCount(state) - comingCount(state), true);
}

/** Resumes instances, and launches others if that is not enough and there may be more; only so many at once. */
function start(state: PoolState, wanted: number, mayLaunch: boolean): Action[] {
  const coming = comingCount(state);
  const paused = resumable(state);
  const count = Math.max(0, Math.min(wanted, MOST_COMING - coming));
  const resumed = paused.slice(0, count).map(({ id }): Action => ({ do: "resume", id }));
  const room = state.revision.maxInstances - readyCount(state) - coming - paused.length;
  const launched = mayLaunch ? Math.max(0, Math.min(room, count - resumed.length)) : 0;
  return [...resumed, ...Array<Action>(launched).fill({ do: "launch" })];
}

function endIdle(state: PoolState, now: number): Action[] {
  const { pause, stop } = idleSteps(state.members, state.revision, { least: leastCount(state), now });
  return [
    ...stop.map(({ id }): Action => ({ do: "drain", id, by: now + QUIET_DRAIN_MS, why: "idle" })),
    ...pause.map(({ id }): Action => ({ do: "pause", id })),
  ];
}

/** Stops one instance if fewer were enough for the peak of a whole window, so that a recurring load keeps its own. */
function shrink(state: PoolState, now: number): Action[] {
  const { members, revision: { concurrency, minInstances, stopAfter }, shrunkAt, window } = state;
  const [first, last] = [window[0], window.at(-1)];
  if (first === undefined || first.at > now - stableForMs(stopAfter) || last!.at <= shrunkAt) return [];
  const peak = Math.max(demandOf(state), ...window.map(({ peak }) => peak));
  // The last one is never surplus: its idle time decides when it stops.
  const enough = Math.max(needed(peak, concurrency), minInstances, 1);
  if (comingCount(state) > 0 || readyCount(state) <= enough) return [];
  const [leastUsed] = members.filter(({ phase }) => phase === "ready")
    .sort(({ use: a }, { use: b }) => a.inFlight - b.inFlight || a.idleSince - b.idleSince);
  return [{ do: "drain", id: leastUsed!.id, by: Infinity, why: "surplus" }];
}

/**
 * The instances to pause or stop, the longest idle first. Both times count from the end of the last request that keeps
 * an instance awake. An instance that still answers another request is not paused, which would freeze the answer, but
 * it may be stopped.
 *
 * @param least How many instances stay; preferably running ones.
 */
export function idleSteps(
  members: readonly Member[],
  { pauseAfter, stopAfter }: { readonly pauseAfter: number; readonly stopAfter: number },
  { least, now }: { readonly least: number; readonly now: number },
): { readonly pause: readonly Member[]; readonly stop: readonly Member[] } {
  let running = members.filter(({ phase }) => phase === "starting" || phase === "ready").length;
  let live = running + members.filter(({ phase }) => phase === "paused").length;
  const pause: Member[] = [];
  const stop: Member[] = [];
  for (const member of members.filter(isIdle).sort((a, b) => a.use.idleSince - b.use.idleSince)) {
    const { phase, use } = member;
    const isReady = phase === "ready";
    if (live <= least || (isReady && running <= least)) continue;
    if (now >= use.idleSince + stopAfter) {
      stop.push(member);
      live--;
      if (isReady) running--;
    } else if (isReady && now >= pausableAt(member, pauseAfter) && use.inFlight === 0) {
      pause.push(member);
      running--;
    }
  }
  return { pause, stop };
}

/** Whether an instance is unused, and in a phase in which it could be paused or stopped. */
function isIdle({ coming, phase, use }: Member): boolean {
  return use.inUse === 0 && (phase === "ready" || (phase === "paused" && !coming));
}

function pausableAt({ pauseAt, pausing, use }: Member, pauseAfterMs: number): number {
  return pausing ? Infinity : Math.max(use.idleSince + pauseAfterMs, pauseAt);
}

/** How many requests are on ready instances, or wait. */
function demandOf({ members, queue }: PoolState): number {
  return members.reduce((sum, { phase, use }) => phase === "ready" ? sum + use.inFlight : sum, queue.size);
}

/** When a rule may want something only because time has passed. */
function nextLook(state: PoolState, now: number): number {
  const { backoff, members, queue, retired, revision, suspensions, window } = state;
  const times = members.flatMap(({ drainBy, phase, probeAt, stopping }) => {
    if (phase === "ready") return [probeAt];
    return phase === "draining" && !stopping ? [drainBy] : [];
  });
  if (suspensions === 0 && !retired) {
    const isShort = leastCount(state) > readyCount(state) + comingCount(state);
    if (queue.size > 0) times.push(now + requestBackoffMs(backoff, now));
    if (isShort) times.push(now + backgroundBackoffMs(backoff, now));
    if (backoff.failure !== undefined || backoff.ends > 0) {
      times.push(...members.map(({ readySince = Infinity }) => readySince + HEALTHY_MS));
    }
    if (isShrinkable(readyCount(state), revision)) times.push((window.at(-1)?.at ?? now) + SAMPLE_MS);
    times.push(...members.flatMap((member) => idleTimes(member, revision, now)));
  }
  return Math.min(Infinity, ...times.filter((time) => time > now));
}

/** When an instance may be due to be paused or stopped. One in use may be idle at any time. */
function idleTimes(
  member: Member,
  { pauseAfter, stopAfter }: { readonly pauseAfter: number; readonly stopAfter: number },
  now: number,
): number[] {
  const { phase, use } = member;
  if (phase === "ready" && use.inUse > 0) return [now + Math.max(LEAST_LOOK_MS, Math.min(pauseAfter, stopAfter))];
  if (!isIdle(member)) return [];
  const stopAt = use.idleSince + stopAfter;
  if (phase === "paused") return [stopAt];
  const pauseAt = pausableAt(member, pauseAfter);
  return [stopAt, use.inFlight > 0 && pauseAt <= now ? now + SAMPLE_MS : pauseAt];
}
