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

/** What a request comes to that waits for a start. */
const NOT_STARTED = "502 start_failed";
/** A start that somebody has ended is repeated once. */
const MOST_STARTS = 2;
/** What a client says that nobody listens to. */
const REFUSED = /Connection refused/;
/** What a request comes to that has an answer, of whatever kind. */
const ANSWERED = /^\d{3} /;

/** Counts what comes of the requests. */
export class Tally {
  readonly #harms = new Harms();
  /** When cless was killed, until it was back. */
  readonly #kills = new Harms();
  /** When the engine was away. */
  readonly #absences = new Harms();
  /** How many requests of a service are under way, and when their number became what it is, clock ms. */
  readonly #open = new Map<string, { readonly count: number; readonly since: number }>();
  readonly #waits: Record<Tier, number[]> = { warm: [], resume: [], hibernated: [], cold: [] };
  readonly #failures = new Map<string, number>();
  #requests = 0;
  #aborted = 0;
  #excused = 0;
  #refused = 0;
  #cutOff = 0;
  #thwarted = 0;

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

  /** Notes that cless is about to be killed; what is returned is to be called once it is back. */
  killing(): () => void {
    return this.#kills.harming();
  }

  /** Notes that the engine is about to end; what is returned is to be called once it is back. Its containers go on. */
  engineAway(): () => void {
    return this.#absences.harming();
  }

  /** Whether nobody can expect a change of a service to succeed that was made within a time. */
  isChangeExcused(service: string, began: number, ended: number): boolean {
    return [this.#harms, this.#kills, this.#absences].some((harms) => harms.wasHarmed(service, began, ended));
  }

  /** Notes that a request begins, which is to be added when it has ended. */
  begin(service: string): void {
    this.#open.set(service, { count: this.#openAt(service).count + 1, since: performance.now() });
  }

  /** For how long no request of a service has been under way, ms; 0 if one is. */
  quietMs(service: string): number {
    const { count, since } = this.#openAt(service);
    return count > 0 ? 0 : performance.now() - since;
  }

  /** Counts a request that has ended. */
  add(outcome: Outcome): void {
    this.#requests++;
    this.#open.set(outcome.service, { count: this.#openAt(outcome.service).count - 1, since: performance.now() });
    if (outcome.aborted) this.#aborted++;
    else if (outcome.failure === undefined) this.#waits[outcome.tier].push(outcome.ms);
    else if (this.#isLostWithCless(outcome)) {
      if (REFUSED.test(outcome.failure)) this.#refused++;
      else this.#cutOff++;
    } else if (this.#isUnavoidable(outcome)) this.#excused++;
    else if (this.#isThwarted(outcome)) this.#thwarted++;
    else this.fail(`${outcome.method} ${outcome.failure}`);
  }

  /** Counts a failure of any kind by its cause. */
  fail(cause: string): void {
    this.#failures.set(cause, (this.#failures.get(cause) ?? 0) + 1);
  }

  /** What came of the requests. */
  requestsTable(): string {
    const good = Object.values(this.#waits).reduce((sum, { length }) => sum + length, 0);
    const lost = this.#excused + this.#thwarted + this.#cutOff + this.#refused;
    return table(["requests", "count"], [
      ["all", `${this.#requests}`],
      ["answered as they should be", `${good}`],
      ["broken off by the client", `${this.#aborted}`],
      ["in flight on a container that was harmed, and not to be repeated", `${this.#excused}`],
      ["waiting for a start, of which somebody ended two", `${this.#thwarted}`],
      ["in flight on cless when it was killed", `${this.#cutOff}`],
      ["refused while nobody listened", `${this.#refused}`],
      ["failed", `${this.#requests - good - this.#aborted - lost}`],
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
    return (answering || (method === "POST" && failure === CUT_OFF)) && this.#harms.wasHarmed(service, began, ended);
  }

  /** Whether its start was ended by hand, and the next one too. */
  #isThwarted({ began, ended, failure, service }: Outcome): boolean {
    return failure === NOT_STARTED && this.#harms.count(service, began, ended) >= MOST_STARTS;
  }

  /** Whether the connection ended, or there was none, since cless had been killed. */
  #isLostWithCless({ answering, began, ended, failure, service }: Outcome): boolean {
    return (answering || !ANSWERED.test(failure!)) && this.#kills.wasHarmed(service, began, ended);
  }

  #openAt(service: string): { readonly count: number; readonly since: number } {
    return this.#open.get(service) ?? { count: 0, since: -Infinity };
  }
}

/** A quantile of values that are in order. */
function at(sorted: readonly number[], share: number): string {
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return value === undefined ? "-" : value.toFixed(1);
}
