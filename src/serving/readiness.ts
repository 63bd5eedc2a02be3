import { type Clock, pause } from "./clock.ts";

const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 50;
const FIRST_PATIENCE_MS = 100;
/** `HTTP/1.1 200` */
const STATUS_BYTES = 12;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Waits until an app answers a GET with any status below 500. A refused or broken connection, an empty answer and a
 * server error mean "not yet".
 *
 * @param url What to ask for.
 * @param signal Ends the waiting.
 * @throws The signal's reason, once it is aborted.
 */
export async function untilReady(url: string, clock: Clock, signal: AbortSignal): Promise<void> {
  const ready = new AbortController();
  const end = AbortSignal.any([signal, ready.signal]);
  const attempts: Promise<void>[] = [];
  let wait = FIRST_PAUSE_MS;
  // A packet that comes too early gets lost, but an app may need long for its first answer: another attempt is made
  // beside one that gets none, after a while that grows.
  let patience = FIRST_PATIENCE_MS;
  while (!end.aborted) {
    await pause(clock, wait, end);
    const settled = new AbortController();
    const attempt = probe(url, end).then((yes) => {
      settled.abort();
      if (yes) ready.abort();
    });
    attempts.push(attempt);
    await pause(clock, patience, AbortSignal.any([end, settled.signal]));
    if (!settled.signal.aborted) patience *= 2;
    wait = Math.min(LONGEST_PAUSE_MS, wait * 1.5);
  }
  await Promise.all(attempts);
  if (!ready.signal.aborted) throw signal.reason;
}

/**
 * Asks an app once whether it is there: one GET, answered with any status below 500.
 *
 * By hand and over a connection of its own, since `fetch` would go by the proxy that HTTP_PROXY names.
 *
 * @param signal Ends the asking; the app is not there then.
 */
export async function probe(url: string, signal: AbortSignal): Promise<boolean> {
  const { host, hostname, pathname, port, search } = new URL(url);
  let connection: Deno.TcpConn | undefined;
  const stop = () => {
    connection?.close();
    connection = undefined;
  };
  try {
    connection = await Deno.connect({ hostname, port: Number(port || 80), signal });
    signal.addEventListener("abort", stop, { once: true });
    signal.throwIfAborted();
    const headers = [`host: ${host}`, "user-agent: cless", "accept: */*", "connection: close"];
    await write(connection, `GET ${pathname}${search} HTTP/1.1\r\n${headers.join("\r\n")}\r\n\r\n`);
    return await statusOf(connection) < 500;
  } catch {
    return false;
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
}

async function write(connection: Deno.Conn, text: string): Promise<void> {
  let rest = encoder.encode(text);
  while (rest.length > 0) rest = rest.subarray(await connection.write(rest));
}

/** The status that an answer begins with; `Infinity` where that is no answer. */
async function statusOf(connection: Deno.Conn): Promise<number> {
  const buffer = new Uint8Array(STATUS_BYTES);
  let filled = 0;
  while (filled < STATUS_BYTES) {
    const count = await connection.read(buffer.subarray(filled));
    if (count === null) break;
    filled += count;
  }
  const status = /^HTTP\/1\.[01] ([1-9]\d\d)/.exec(decoder.decode(buffer.subarray(0, filled)))?.[1];
  return Number(status ?? Infinity);
}
