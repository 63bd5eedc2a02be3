import { APP_HOST } from "../support/app.ts";
import type { Count } from "../support/count.ts";
import type { GoSender } from "../support/go_sender.ts";
import type { Load } from "./loads.ts";

/** How long requests that were begun may take to end, ms. */
const PATIENCE_MS = 90_000;

/** How long {@linkcode send} begins new requests, or how many it sends. */
export type Amount = { readonly seconds: number } | { readonly requests: number };

/** What the sender prints. */
interface Printed {
  readonly requests: number;
  readonly seconds: number;
  readonly p99Ms: number;
}

/**
 * Sends the requests of a load, lets each finish, and looks at every byte of every answer: `sender/main.go`.
 *
 * @param url The proxy's loopback address.
 * @throws {BenchError} When there was a wrong answer.
 */
export async function send(
  sender: GoSender,
  load: Load,
  url: string,
  amount: Amount,
  signal: AbortSignal,
): Promise<Count> {
  const limitMs = ("seconds" in amount ? amount.seconds * 1000 : 0) + PATIENCE_MS;
  const args = [
    `-address=${new URL(url).host}`,
    `-host=${APP_HOST}`,
    `-connections=${load.connections}`,
    `-download=${load.download}`,
    `-upload=${load.upload ?? 0}`,
    `-once=${load.once ?? false}`,
    "seconds" in amount ? `-seconds=${amount.seconds}` : `-requests=${amount.requests}`,
  ];
  const { requests, seconds, p99Ms } = await sender.run<Printed>(args, limitMs, signal);
  return { requests, requestsPerSecond: requests / seconds, p99Ms };
}
