import { table } from "../bench/support/table.ts";
import { Harms } from "../support/harms.ts";

/** How a request found its service: with an instance ready, paused or hibernated, or with none. */
export type Tier = "warm" | "resume" | "hibernated" | "cold";

/** What came of one request. */
export interface Outcome {
  readonly service: string;
  readonly method: string;
  /** When it began and ended, in the clock's ms. */
  readonly began: number;
  readonly ended: number;
  /** Whether the client itself has broken it off. */
  readonly aborted: boolean;
  /** What was wrong; missing where nothing was. */
  readonly failure?: string;
  /** Whether a part of the answer had come. */
  readonly answering: boolean;
  readonly tier: Tier;
  /** Until the answer's head, ms. */
  readonly ms: number;
}

/** What a request comes to that may have reached an app which went away with it. */
const CUT_OFF = "502 upstream_failed";

/** Counts what comes of the requests. */
export class Tally {
  readonly #harms = new Harms();
  readonly #waits: Record<Tier, number[]> = { warm: [], resume: [], hibernated: [], cold: [] };
  readonly #failures = new Map<string, number>();
  #requests = 0;
  #aborted = 0;
  #excused = 0;

  /** How many requests there have been. */
  get requests(): number {
    return this.#requests;
  }

  /** Whether any request has failed that should not have. */
  get failed(): boolean {
    return this.#failures.size > 0;
  }

  /** Notes that a container of a service is about to be harmed; what is returned is to be called once that is done. */
  harming(service: string): () => void {
    return this.#harms.harming(service);
  }

  /** Whether a container of a service was harmed within a time. */
  wasHarmed(service: string, began: number, ended: number): boolean {
    return this.#harms.wasHarmed(service, began, ended);
  }

  add(outcome: Outcome): void {
    this.#requests++;
    if (outcome.aborted) this.#aborted++;
    else if (outcome.failure === undefined) this.#waits[outcome.tier].push(outcome.ms);
    else if (this.#isUnavoidable(outcome)) this.#excused++;
    else this.fail(`${outcome.method} ${outcome.failure}`);
  }

  /** Counts a failure of any kind by its cause. */
  fail(cause: string): void {
    this.#failures.set(cause, (this.#failures.get(cause) ?? 0) + 1);
  }

  /** What came of the requests. */
  requestsTable(): string {
    const good = Object.values(this.#waits).reduce((sum, { length }) => sum + length, 0);
    return table(["requests", "count"], [
      ["all", `${this.#requests}`],
      ["answered as they should be", `${good}`],
      ["broken off by the client", `${this.#aborted}`],
      ["in flight on a container that was harmed, and not to be repeated", `${this.#excused}`],
      ["failed", `${this.#requests - good - this.#aborted - this.#excused}`],
    ]);
  }

  /** What has failed, requests and changes alike. */
  failuresTable(): string {
    const rows = [...this.#failures].map(([cause, count]) => [cause, `${count}`]);
    return table(["failures by cause", "count"], rows.length > 0 ? rows : [["none", "0"]]);
  }

  /** How long the requests waited for their answer's head, by what they found. @param bare What the engine alone takes, ms. */
  wakesTable(bare: Readonly<Record<string, readonly number[]>>): string {
    const rows = Object.entries({ ...this.#waits, ...bare }).map(([what, waits]) => {
      const sorted = waits.toSorted((a, b) => a - b);
      return [what, `${sorted.length}`, at(sorted, 0.5), at(sorted, 0.99)];
    });
    return table(["wakes by tier", "count", "p50, ms", "p99, ms"], rows);
  }

  /** Whether nobody could have done better: what the app had taken, or begun to answer, went away with it. */
  #isUnavoidable({ answering, began, ended, failure, method, service }: Outcome): boolean {
    return (answering || (method === "POST" && failure === CUT_OFF)) && this.wasHarmed(service, began, ended);
  }
}

/** A quantile of values that are in order. */
function at(sorted: readonly number[], share: number): string {
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return value === undefined ? "-" : value.toFixed(1);
}
