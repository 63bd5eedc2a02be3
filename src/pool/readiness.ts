import { messageOf } from "../base/errors.ts";
import { delay } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";

/** From one attempt to the next at least and at most, ms. */
const LEAST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 50;
/** How much later than it could be an answer may be noticed, as a share of the time that has passed. */
const LATE_SHARE = 0.01;
const FIRST_PATIENCE_MS = 100;
/** `HTTP/1.1 200` */
const STATUS_BYTES = 12;
/** How much of the rest of an answer is read, and how long that may hold up who waits for the app. */
const REST_BYTES = 64 * 1024;
const REST_MS = 10;

/** How many apps are being waited for: they share the attempts, so that many at once cost little more than one. */
let waiting = 0;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * What an app did when it was asked: the status that it answered with; `refused` where nothing listens, `closed` where the
 * connection ended without an answer, `garbage` where what came is no HTTP, and `silent` where nothing came.
 */
export type Probed = number | "refused" | "closed" | "garbage" | "silent";

/** Asks an app once whether it is there; the app was silent where the signal ends that. */
export type Ask = (url: string, signal: AbortSignal) => Promise<Probed>;

/** An app was not ready when the waiting ended. */
export class NotReady extends Error {
  override readonly name = "NotReady";
  /** What it did last. */
  readonly last: Probed;

  constructor(last: Probed, reason: unknown) {
    super(messageOf(reason), { cause: reason });
    this.last = last;
  }
}

/**
 * Waits until an app answers a GET with any status below 500. A refused or broken connection, an empty answer and a
 * server error mean "not yet". An app that is soon ready is asked often, and one that takes long more and more rarely.
 *
 * @param url What to ask for.
 * @param signal Ends the waiting.
 * @throws {NotReady} Once the signal is aborted, with its reason as the cause.
 */
export async function untilReady(url: string, clock: Clock, signal: AbortSignal): Promise<void> {
  waiting++;
  try {
    await askUntilReady(url, clock, signal);
  } finally {
    waiting--;
  }
}

async function askUntilReady(url: string, clock: Clock, signal: AbortSignal): Promise<void> {
  const ready = new AbortController();
  const end = AbortSignal.any([signal, ready.signal]);
  const attempts: Promise<void>[] = [];
  const began = clock.now();
  let wait = LEAST_PAUSE_MS;
  // A packet that comes too early gets lost, but an app may need long for its first answer: another attempt is made
  // beside one that gets none, after a while that grows.
  let patience = FIRST_PATIENCE_MS;
  let last: Probed = "silent";
  while (!end.aborted) {
    await delay(clock, wait, end);
    const settled = new AbortController();
    const attempt = probe(url, end).then((probed) => {
      settled.abort();
      if (!end.aborted) last = probed;
      if (isWell(probed)) ready.abort();
    });
    attempts.push(attempt);
    await delay(clock, patience, AbortSignal.any([end, settled.signal]));
    if (!settled.signal.aborted) {
      patience *= 2;
      if (!end.aborted) last = "silent";
    }
    wait = pauseAfter(clock.now() - began);
  }
  await Promise.all(attempts);
  if (!ready.signal.aborted) throw new NotReady(last, signal.reason);
}

/** How long to wait for the next attempt, ms. @param passed Since the beginning, ms. */
function pauseAfter(passed: number): number {
  return Math.min(LONGEST_PAUSE_MS, Math.max(LEAST_PAUSE_MS * waiting, passed * LATE_SHARE));
}

/** Whether what an app did means that it serves: any status below 500. */
export function isWell(probed: Probed): boolean {
  return typeof probed === "number" && probed < 500;
}

/**
 * Asks an app once whether it is there, with a GET.
 *
 * By hand and over a connection of its own, since `fetch` would go by the proxy that HTTP_PROXY names.
 *
 * @param signal Ends the asking; the app was silent then.
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
    await write(connection, `GET ${pathname}${search} HTTP/1.1\r\n${headers.join("\r\n")}\r\n\r\n`);
    const probed = await firstOf(connection);
    if (typeof probed === "number") await readRest(connection, stop);
    return probed;
  } catch (error) {
    if (signal.aborted) return "silent";
    if (isConnected) return "closed";
    return error instanceof Deno.errors.ConnectionRefused ? "refused" : "silent";
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
}

/**
 * Reads what nobody wants to know, up to a limit: an app that writes its answer in pieces would else find the connection
 * closed, and fill its log with that.
 */
async function readRest(connection: Deno.Conn, stop: () => void): Promise<void> {
  const timer = setTimeout(stop, REST_MS);
  const room = new Uint8Array(4096);
  try {
    for (let left = REST_BYTES; left > 0;) left -= await connection.read(room) ?? left;
  } catch {
    return; // it went on for too long, or has broken off: what it has said holds
  } finally {
    clearTimeout(timer);
  }
}

/** What an app does when it is asked, within some milliseconds. */
export async function askWithin(ask: Ask, url: string, clock: Clock, ms: number): Promise<Probed> {
  const end = new AbortController();
  const cancel = clock.after(ms, () => end.abort());
  try {
    return await ask(url, end.signal);
  } finally {
    cancel();
  }
}

async function write(connection: Deno.Conn, text: string): Promise<void> {
  let rest = encoder.encode(text);
  while (rest.length > 0) rest = rest.subarray(await connection.write(rest));
}

/** The status that an answer begins with, or what else comes. */
async function firstOf(connection: Deno.Conn): Promise<Probed> {
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
