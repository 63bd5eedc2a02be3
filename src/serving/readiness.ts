import { type Clock, pause } from "./clock.ts";

const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 50;
const FIRST_PATIENCE_MS = 100;

/**
 * Waits until an app answers a GET with any status below 500. A refused or broken connection, an empty answer and a
 * server error mean "not yet".
 *
 * @param url What to ask for.
 * @param signal Ends the waiting.
 * @throws The signal's reason, once it is aborted.
 */
export async function untilReady(url: string, clock: Clock, signal: AbortSignal): Promise<void> {
  const client = Deno.createHttpClient({ http2: false, poolMaxIdlePerHost: 0 });
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
    const attempt = isReady(url, client, end).then((yes) => {
      settled.abort();
      if (yes) ready.abort();
    });
    attempts.push(attempt);
    await pause(clock, patience, AbortSignal.any([end, settled.signal]));
    if (!settled.signal.aborted) patience *= 2;
    wait = Math.min(LONGEST_PAUSE_MS, wait * 1.5);
  }
  await Promise.all(attempts);
  client.close();
  if (!ready.signal.aborted) throw signal.reason;
}

/** Asks an app whether it is well: see {@linkcode Probe}. */
export async function probe(url: string, signal: AbortSignal): Promise<boolean> {
  using client = Deno.createHttpClient({ http2: false, poolMaxIdlePerHost: 0 });
  return await isReady(url, client, signal);
}

async function isReady(url: string, client: Deno.HttpClient, signal: AbortSignal): Promise<boolean> {
  try {
    const response = await fetch(url, { client, redirect: "manual", signal });
    await response.body?.cancel();
    return response.status < 500;
  } catch {
    return false;
  }
}
