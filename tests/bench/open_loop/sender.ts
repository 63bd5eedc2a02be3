import type { GoSender } from "../support/go_sender.ts";

/** Where the source of the sender is. */
export const SENDER = "open_loop/sender";
/** How many requests are due in a second, on average. */
export const RATE = 1000;
/** How long the last requests may take to end, and the sender to print, ms; it waits for 30 s itself. */
const PATIENCE_MS = 45_000;

/** What is sent during one turn. */
export interface SendOptions {
  /** Whom the requests are for, each as often as the others. */
  readonly hosts: readonly string[];
  /** How long is sent before it is measured. */
  readonly warmUpSeconds: number;
  readonly seconds: number;
  /** When requests are due, and for whom: the same seed gives the same. */
  readonly seed: number;
}

/** What became of the requests of one turn; those of the warm-up count as failures only. */
export interface Sent {
  /** From when a request was due to the end of its answer, µs, of each that was answered as it should be. */
  readonly micros: readonly number[];
  /** By how much the sender itself was late with each, µs. */
  readonly lateMicros: readonly number[];
  readonly failures: number;
  /** What was wrong with the first that failed; empty where none did. */
  readonly failure: string;
  /** How many connections there were in the end. */
  readonly connections: number;
}

/**
 * Sends the requests of a turn to a loopback address when they are due, and never waits for an answer before the next:
 * `sender/main.go`.
 *
 * @throws {BenchError} When the sender does not end.
 */
export function sendWhenDue(
  sender: GoSender,
  url: string,
  { hosts, seconds, seed, warmUpSeconds }: SendOptions,
  signal: AbortSignal,
): Promise<Sent> {
  const args = [
    `-address=${new URL(url).host}`,
    `-hosts=${hosts.join(",")}`,
    `-rate=${RATE}`,
    `-warm-up=${warmUpSeconds}`,
    `-seconds=${seconds}`,
    `-seed=${seed}`,
  ];
  return sender.run(args, (warmUpSeconds + seconds) * 1000 + PATIENCE_MS, signal);
}
