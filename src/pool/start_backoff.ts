import { ClessError } from "../base/errors.ts";

/** This many failures in a row are a crash loop. */
export const CRASH_LOOP = 3;
const MIN_MS = 500;
/** The random part of a back-off, so that many services do not try again at the same time. */
const JITTER = 0.2;
const MAX_MS = 60_000 / (1 + JITTER);
/** An instance that has been ready for this long is healthy. */
export const HEALTHY_MS = 60_000;
/**
 * A failure this long after the last one starts a new count. A healthy instance resets the count too, but short-lived
 * instances never become healthy.
 */
const ROW_MS = 600_000;

/** Why a revision does not work; for operators. */
export interface Failure {
  readonly reason: string;
  /** The last lines that the app wrote; empty until the pool has read them. */
  output: string;
  /** Wall-clock time. */
  readonly at: Date;
  /** When the first failure was after which no instance has served a request or has been ready for long. */
  readonly since: Date;
  /** How many failures in a row, including this one. */
  readonly count: number;
}

/** A failure to record. */
export interface Mishap {
  readonly reason: string;
  /** Wall-clock time. */
  readonly at: Date;
  /** A random number from 0 to below 1, for the random part of the back-off. */
  readonly chance: number;
  /** The last lines that the app wrote, once they are read. */
  readonly output?: Promise<string> | undefined;
}

/**
 * How often a revision has failed in a row, and until when starts are delayed. Until the third failure, a request may
 * start an instance at once. Starts that no request waits for are delayed after each failure. Times are clock ms.
 */
export interface StartBackoff {
  /** Failures in a row: failed starts, and apps that crashed soon after they were ready. */
  readonly count: number;
  readonly until: number;
  /**
   * How many instances in a row ended early, for whatever reason. Early means that they had served no request, and had
   * not been ready for long.
   */
  readonly ends: number;
  readonly endsUntil: number;
  /** When a start last failed, or an instance last ended early. */
  readonly lastAt: number;
  /** The last failure, unless a healthy instance came after it. */
  readonly failure: Failure | undefined;
  /** The {@linkcode Failure.since} of the next failure; `undefined` if that is the first. */
  readonly since: Date | undefined;
}

/** The back-off of a revision that has not failed. */
export const NO_FAILURES: StartBackoff = Object.freeze({
  count: 0,
  until: -Infinity,
  ends: 0,
  endsUntil: -Infinity,
  lastAt: -Infinity,
  failure: undefined,
  since: undefined,
});

/**
 * Records a failed start. Failed starts that began before any of them had failed are counted as one, since they fail
 * for the same reason.
 */
export function afterFailedStart(
  backoff: StartBackoff,
  { at, chance, reason }: Mishap,
  countBefore: number,
  now: number,
): StartBackoff {
  const isNext = countBefore === backoff.count;
  const noted = afterEnd(backoff, now);
  const count = noted.count + (isNext ? 1 : 0);
  const until = isNext ? now + backoffMs(count - CRASH_LOOP, chance) : noted.until;
  const since = noted.since ?? at;
  return { ...noted, count, until, since, failure: { reason, output: "", at, since, count } };
}

/**
 * Records an instance that ended or was given up. It counts as a failure if the instance had neither served a request
 * nor been ready for long, and nobody stopped it by hand.
 */
export function afterLostInstance(
  backoff: StartBackoff,
  { byHand, mishap, ...proof }: Proof & { byHand: boolean; mishap: Mishap },
  now: number,
): StartBackoff {
  const judged = resetByProof(backoff, proof, now);
  if (proof.hasServed || proof.ageMs >= HEALTHY_MS) return judged;
  const noted = afterEnd(judged, now);
  const reason = `${mishap.reason} soon after it was ready`;
  const after = byHand ? noted : afterFailedStart(noted, { ...mishap, reason }, noted.count, now);
  const ends = after.ends + 1;
  // A single early end does not delay the next start.
  const endsUntil = ends > 1 ? now + backoffMs(ends - 2, mishap.chance) : after.endsUntil;
  return { ...after, ends, endsUntil };
}

/** What shows that a revision works: for how long an instance has been ready, and whether it has served a request. */
export interface Proof {
  readonly ageMs: number;
  readonly hasServed: boolean;
}

/**
 * Resets the count of failures if an instance has served a request or has been ready for long. In the latter case, the
 * last failure is forgotten too. An instance that was ready before the last failure proves nothing.
 */
export function resetByProof(backoff: StartBackoff, { ageMs, hasServed }: Proof, now: number): StartBackoff {
  if (now - ageMs < backoff.lastAt) return backoff;
  const { failure, lastAt } = backoff;
  if (ageMs >= HEALTHY_MS) return { ...NO_FAILURES, lastAt };
  const isRow = backoff.count > 0 || backoff.ends > 0 || backoff.since !== undefined;
  return hasServed && isRow ? { ...NO_FAILURES, lastAt, failure } : backoff;
}

/** The remaining time for which requests are refused, ms; 0 if they are not. */
export function requestBackoffMs({ count, until }: StartBackoff, now: number): number {
  return count < CRASH_LOOP ? 0 : Math.max(0, until - now);
}

/** The remaining delay for starts that no request waits for, ms. */
export function backgroundBackoffMs({ endsUntil, until }: StartBackoff, now: number): number {
  return Math.max(0, Math.max(until, endsUntil) - now);
}

/** The error for requests during the back-off. */
export function crashLoop(backoff: StartBackoff, now: number): ClessError {
  const { count, failure } = backoff;
  return new ClessError("crash_loop", "The service has failed to start several times in a row", {
    detail: `${count} failures in a row, the last: ${failure?.reason}`,
    ...(failure === undefined ? {} : { output: failure.output }),
    retryAfterS: Math.max(1, Math.ceil(requestBackoffMs(backoff, now) / 1000)),
  });
}

function afterEnd(backoff: StartBackoff, now: number): StartBackoff {
  return now - backoff.lastAt > ROW_MS ? { ...backoff, count: 0, ends: 0, lastAt: now } : { ...backoff, lastAt: now };
}

function backoffMs(doublings: number, chance: number): number {
  const ms = Math.min(MAX_MS, MIN_MS * 2 ** Math.max(0, doublings));
  return ms * (1 - JITTER + 2 * JITTER * chance);
}
