import { APP_HOST } from "../support/app.ts";
import type { GoSender } from "../support/go_sender.ts";

const PATIENCE_MS = 90_000;

/** What those who sent a herd have seen; times are from the first request on, ms. */
export interface Sent {
  readonly answers: number;
  readonly failures: number;
  /** What was wrong with one that failed; empty where none did. */
  readonly failure: string;
  readonly firstMs: number;
  readonly lastMs: number;
}

/**
 * Sends a herd: many requests for the 12 bytes at once, each over a connection of its own: `sender/herd.go`.
 *
 * @param url The proxy's loopback address.
 * @throws {BenchError} When it has not been answered in time.
 */
export function sendHerd(sender: GoSender, url: string, size: number, signal: AbortSignal): Promise<Sent> {
  const args = ["-herd", `-address=${new URL(url).host}`, `-host=${APP_HOST}`, `-connections=${size}`, "-download=12"];
  return sender.run(args, PATIENCE_MS, signal);
}
