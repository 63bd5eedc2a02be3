import { delay, within } from "../base/async.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import { isExhausted } from "../base/file_reserve.ts";
import type { Lag } from "../base/lag.ts";
import { formatDuration } from "../model/time.ts";
import type { Revision } from "../model/revision.ts";

/** Bounds of the pause between two attempts, which grows with the time passed. */
const MIN_PAUSE_MS = 1;
const MAX_PAUSE_MS = 50;
/** The pause between two attempts, as a share of the time passed. */
const PAUSE_SHARE = 0.01;
/** If an attempt is unanswered for this long, a second one begins beside it. */
const FIRST_WAIT_MS = 100;
/** `HTTP/1.1 200` */
const STATUS_BYTES = 12;
/** The rest of an answer is read up to this size, and for at most this time. */
const REST_BYTES = 64 * 1024;
const REST_MS = 10;

/**
 * The number of apps that calls of {@linkcode untilReady} are waiting for. With more apps, each is probed less often,
 * so that many cost little more than one.
 */
let waiting = 0;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * The result of a probe: the status of the app's answer; `refused` if nothing listens; `closed` if the connection ended
 * without an answer; `garbage` if the answer is not HTTP; `silent` if nothing came in time. It is `unsure` if cless
 * itself lagged or had no file descriptor left: then the probe says nothing about the app.
 */
export type Probed = number | "refused" | "closed" | "garbage" | "silent" | "unsure";

/** Probes an app once. If the signal is aborted, the result is `silent`. */
export type Ask = (url: string, signal: AbortSignal) => Promise<Probed>;

/** How apps are probed. */
export interface Asking {
  /** Waits until the app at a URL answers; rejects with {@linkcode NotReady}, or the signal's reason. */
  readonly untilReady: (
    url: string,
    clock: Clock,
    signal: AbortSignal,
    onProbed?: (probed: Probed) => void,
  ) => Promise<void>;
  readonly ask: Ask;
  /** The lag of cless itself; if missing, there is none. */
  readonly lag?: Lag;
}

/** The wait for an app ended before the app was ready. */
export class NotReady extends Error {
  override readonly name = "NotReady";
  /** What the app did at the last attempt. */
  readonly last: Probed;

  constructor(last: Probed, reason: unknown) {
    super(messageOf(reason), { cause: reason });
    this.last = last;
  }
}

/**
 * Waits until an app answers a GET with a status below 500. A refused or broken connection, an empty answer and a
 * server error mean "not yet". The longer the app takes, the rarer are the attempts.
 *
 * @param onProbed Called with the result of each probe.
 * @throws {NotReady} Once the signal is aborted, with its reason as the cause.
 */
export async function untilReady(
  url: string,
  clock: Clock,
  signal: AbortSignal,
  ask: Ask = probe,
  onProbed?: (probed: Probed) => void,
): Promise<void> {
  waiting++;
  try {
    await askUntilReady(url, clock, signal, ask, onProbed);
  } finally {
    waiting--;
  }
}

async function askUntilReady(
  url: string,
  clock: Clock,
  signal: AbortSignal,
  ask: Ask,
  onProbed: (probed: Probed) => void = () => {},
): Promise<void> {
  const ready = new AbortController();
  const end = AbortSignal.any([signal, ready.signal]);
  const attempts: Promise<boolean>[] = [];
  const began = clock.now();
  let pauseMs = MIN_PAUSE_MS;
  // If an attempt gets no answer, either its packet came too early and got lost, or the app needs long for its first
  // answer. So the attempt continues, and another one begins beside it. The wait until then doubles with each
  // unanswered attempt.
  let waitMs = FIRST_WAIT_MS;
  let last: Probed = "silent";
  while (!end.aborted) {
    await delay(clock, pauseMs, end);
    const attempt = ask(url, end).then((probed) => {
      if (!end.aborted) onProbed(last = probed);
      if (isWell(probed)) ready.abort();
      return true;
    });
    attempts.push(attempt);
    if (await within(attempt, clock, waitMs) === undefined) {
      waitMs *= 2;
      onProbed(last = "silent");
    }
    pauseMs = pauseAfter(clock.now() - began);
  }
  await Promise.all(attempts);
  if (!ready.signal.aborted) throw new NotReady(last, signal.reason);
}

function pauseAfter(passedMs: number): number {
  return Math.min(MAX_PAUSE_MS, Math.max(MIN_PAUSE_MS * waiting, passedMs * PAUSE_SHARE));
}

/** Whether an app serves: it has answered with a status below 500. */
export function isWell(probed: Probed): boolean {
  return typeof probed === "number" && probed < 500;
}

/**
 * Probes an app once with a GET, over a new connection. It does not use `fetch`, which would obey HTTP_PROXY, nor the
 * client for requests, which does not distinguish a refused connection from a broken one.
 */
export async function probe(url: string, signal: AbortSignal): Promise<Probed> {
  const { host, hostname, pathname, port, search } = new URL(url);
  let connection: Deno.TcpConn | undefined;
  let isConnected = false;
  const stop = () => {
    connection?.close();
    connection = undefined;
  };
  try {
    connection = await Deno.connect({ hostname, port: Number(port || 80), signal });
    isConnected = true;
    signal.addEventListener("abort", stop, { once: true });
    signal.throwIfAborted();
    const headers = [`host: ${host}`, "user-agent: cless", "accept: */*", "connection: close"];
    const request = `GET ${pathname}${search} HTTP/1.1\r\n${headers.join("\r\n")}\r\n\r\n`;
    await connection.write(encoder.encode(request)); // the buffer of a new connection takes all of it
    const probed = await readStatus(connection);
    if (typeof probed === "number") await readRest(connection, stop);
    return probed;
  } catch (error) {
    if (signal.aborted) return "silent";
    if (isExhausted(error)) return "unsure";
    if (isConnected) return "closed";
    return error instanceof Deno.errors.ConnectionRefused ? "refused" : "silent";
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
}

/** Reads and drops the rest of an answer. Otherwise an app that writes in pieces would log a closed connection. */
async function readRest(connection: Deno.Conn, stop: () => void): Promise<void> {
  const cancel = systemClock.after(REST_MS, stop);
  const room = new Uint8Array(4096);
  try {
    for (let left = REST_BYTES; left > 0;) left -= await connection.read(room) ?? left;
  } catch {
    return; // it took too long or broke off, but only the status matters
  } finally {
    cancel();
  }
}

/**
 * Probes apps, and reports `unsure` if the outcome is not the app's fault: if this program lagged, or had no file
 * descriptor left for the probe.
 */
export class Prober implements Asking {
  readonly lag: Lag;
  readonly #clock: Clock;
  readonly #reserve: { lend(): unknown };
  readonly #probe: Ask;

  /** @param reserve Lends file descriptors when there are no others. */
  constructor(clock: Clock, lag: Lag, reserve: { lend(): unknown }, ask: Ask = probe) {
    this.#clock = clock;
    this.lag = lag;
    this.#reserve = reserve;
    this.#probe = ask;
  }

  readonly ask: Ask = async (url, signal) => {
    const sinceMs = this.#clock.now();
    const stop = this.lag.watch();
    try {
      const probed = await this.#probe(url, signal);
      if (probed === "unsure") this.#reserve.lend();
      // A refusal comes from the kernel, so this program's lag does not cause it.
      return (probed === "silent" || probed === "closed") && this.lag.wasLate(sinceMs) ? "unsure" : probed;
    } finally {
      stop();
    }
  };

  readonly untilReady: Asking["untilReady"] = (url, clock, signal, onProbed) =>
    untilReady(url, clock, signal, this.ask, onProbed);
}

/** Probes an app with a time limit. */
export async function askWithin(ask: Ask, url: string, clock: Clock, ms: number): Promise<Probed> {
  const end = new AbortController();
  const cancel = clock.after(ms, () => end.abort());
  try {
    return await ask(url, end.signal);
  } finally {
    cancel();
  }
}

/** Reads the start of an answer: its status, or `closed` or `garbage`. */
async function readStatus(connection: Deno.Conn): Promise<Probed> {
  const buffer = new Uint8Array(STATUS_BYTES);
  let filled = 0;
  while (filled < STATUS_BYTES) {
    const count = await connection.read(buffer.subarray(filled));
    if (count === null) break;
    filled += count;
  }
  const status = /^HTTP\/1\.[01] ([1-9]\d\d)/.exec(decoder.decode(buffer.subarray(0, filled)))?.[1];
  return status !== undefined ? Number(status) : filled === 0 ? "closed" : "garbage";
}

/** One line for operators: why an app was not ready in time, judging by its last probe, and what to do. */
export function notInTime(
  { port, readinessPath, startTimeoutMs }: Revision,
  last: Probed,
  exposedPorts: readonly number[] = [],
): string {
  const time = formatDuration(startTimeoutMs);
  const [exposed, ...more] = exposedPorts;
  if (exposed !== undefined && more.length === 0 && exposed !== port && (last === "refused" || last === "closed")) {
    const what = last === "refused" ? `nothing listens on port ${port}` : `port ${port} closes connections`;
    return `${what} after ${time}; the image exposes ${exposed}: deploy with --port ${exposed}`;
  }
  switch (last) {
    case "refused":
      return `nothing listens on port ${port} after ${time}; the app must listen there on all addresses`;
    case "closed":
      // Docker's forwarder accepts connections even if nothing listens behind it.
      return `port ${port} closes connections without an answer after ${time}; the app must listen there on all addresses, and speak HTTP`;
    case "garbage":
      return `what answers on port ${port} after ${time} is not HTTP/1.1; the app must speak HTTP/1.1 there`;
    case "unsure":
      return `cless itself was too busy, or short of file descriptors, to see an answer on port ${port} within ${time}`;
    case "silent":
      return `no answer on port ${port} within ${time}; the app must listen there on all addresses, and answer GET ${readinessPath}`;
    default:
      return `GET ${readinessPath} on port ${port} still gives ${last} after ${time}; the app must give a status below 500 there`;
  }
}
