import { type Clock, pause } from "./clock.ts";

const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 50;
const FIRST_PATIENCE_MS = 1000;

/**
 * Waits until an app answers a GET with any status below 500. A refused or broken connection, an empty answer and a
 * server error mean "not yet".
 *
 * @param url What to ask for.
 * @param signal Ends the waiting.
 * @throws The signal's reason, once it is aborted.
 */
export async function untilReady(url: string, clock: Clock, signal: AbortSignal): Promise<void> {
  let wait = FIRST_PAUSE_MS;
  // A container's address swallows a packet that comes too early, and an app may need long for its first answer:
  // each attempt is given up after a while, and that while grows.
  let patience = FIRST_PATIENCE_MS;
  const client = Deno.createHttpClient({ http2: false, poolMaxIdlePerHost: 0 });
  try {
    for (;;) {
      await pause(clock, wait, signal);
      signal.throwIfAborted();
      const attempt = new AbortController();
      const stop = () => attempt.abort();
      signal.addEventListener("abort", stop, { once: true });
      let impatient = false;
      const cancel = clock.after(patience, () => {
        impatient = true;
        stop();
      });
      try {
        const response = await fetch(url, { client, redirect: "manual", signal: attempt.signal });
        await response.body?.cancel();
        if (response.status < 500) return;
      } catch {
        if (impatient) patience *= 2;
      } finally {
        cancel();
        signal.removeEventListener("abort", stop);
      }
      wait = Math.min(LONGEST_PAUSE_MS, wait * 1.5);
    }
  } finally {
    client.close();
  }
}
