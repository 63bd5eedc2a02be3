import type { Clock } from "../../base/clock.ts";
import { HOUR_MS, MINUTE_MS } from "../../model/time.ts";
import type { ServiceStatus } from "../service_status.ts";
import { NO_TIMES, sumOfTimes } from "./periods.ts";
import type { RunRecord, SpellRecord, StateTime } from "./records.ts";
import { isUse, type Spell, thinned, timesIn } from "./spells.ts";

/** Of more changes of a service within a minute, the shortest spells are left out. */
const MAX_PER_MINUTE = 6;
/** While nothing can be stored, at most this many spells of a service are retained. */
const MAX_PENDING = 360;

/** If the wall clock is set back by more than this, what is recorded of later times is not true any more. */
const SET_BACK_MS = 1000;

/** What a service did or does, for certain. */
type KnownSpell = Spell & Pick<ServiceStatus, "state">;

/** What a service does now. */
interface Current {
  readonly spell: KnownSpell;
  /** Until when its time is in the sums, by the clock that never goes back. */
  readonly chargedMs: number;
}

/**
 * Records what services do and for how long, until it is stored: see `Figures`.
 *
 * It records also when cless runs. A run is known to last until the last write: each minute in which something happens,
 * and when cless ends in order. After a crash or a kill, the time from the last write to the next start is unknown, even
 * if cless ran for most of it while all services slept. If the wall clock is set back, another run begins at the time
 * that it then shows.
 */
export class SpellLog {
  readonly #clock: Pick<Clock, "now">;
  readonly #wallNow: () => number;
  /** When this run began. */
  #sinceMs: number;
  /** The last time that was read. */
  #seenMs: number;
  #isRunNew = false;
  /** The services that do not sleep. */
  readonly #current = new Map<string, Current>();
  readonly #pending = new Map<string, KnownSpell[]>();
  /** By service and hour. */
  readonly #times = new Map<string, Map<number, StateTime>>();

  /** @param now Wall-clock time, ms since 1970. */
  constructor(clock: Pick<Clock, "now">, now: () => number) {
    this.#clock = clock;
    this.#wallNow = now;
    this.#sinceMs = this.#seenMs = now();
  }

  /** Continues the run of a predecessor. @param last The last spell of each service. */
  resume({ since, until }: RunRecord, last: readonly SpellRecord[]): void {
    this.#sinceMs = since;
    const sinceWrite = Math.max(0, this.#now() - until);
    for (const { at, failure, service, state } of last) {
      if (at < since || state === "asleep") continue;
      this.#current.set(service, {
        spell: { state, from: at, failure },
        chargedMs: this.#clock.now() - sinceWrite,
      });
    }
  }

  /** What each service does that does not sleep. */
  get current(): [service: string, status: ServiceStatus][] {
    return Array.from(this.#current, ([service, { spell: { failure, state } }]) => {
      return [service, failure === undefined ? { state } : { state, failure }];
    });
  }

  /** Begins a spell of a service. */
  changed(service: string, { failure, state }: ServiceStatus): void {
    const now = this.#now();
    const before = this.#current.get(service)?.spell ?? { state: "asleep", failure: undefined };
    if (before.state === state && before.failure === failure) return;
    this.#charge(service);
    const spell: KnownSpell = { state, from: now, failure };
    if (state === "asleep") this.#current.delete(service);
    else this.#current.set(service, { spell, chargedMs: this.#clock.now() });
    const spells = this.#pending.getOrInsertComputed(service, () => []);
    spells.push(spell);
    if (spells.length > MAX_PENDING) spells.shift();
    const last = spells.slice(-MAX_PER_MINUTE - 1);
    if (last.length <= MAX_PER_MINUTE || now - last[0]!.from >= MINUTE_MS) return;
    spells.splice(-last.length, last.length, ...thinned(last, MAX_PER_MINUTE));
  }

  /**
   * Adds the time until now to the sums. @param those `awake` to leave those alone that sleep: what sleeps is to cause
   * no write.
   */
  charge(those: "awake" | "all"): void {
    this.#now(); // sees if the clock was set back
    for (const [service, { spell }] of this.#current) {
      if (those === "all" || spell.state === "ready" || spell.state === "starting") this.#charge(service);
    }
  }

  /** The present run. */
  get run(): RunRecord {
    const until = this.#now();
    return { since: this.#sinceMs, until };
  }

  /** Whether the present run has begun because the clock was set back, and is not stored yet. */
  get isRunNew(): boolean {
    return this.#isRunNew;
  }

  /** The spells that are not stored yet, by service, oldest first. */
  get pending(): SpellRecord[] {
    return Array.from(this.#pending, ([service, spells]) => {
      return spells.map(({ failure, from, state }) => ({ service, at: from, state, failure }));
    }).flat();
  }

  /** The times in states that are not stored yet, by hour. */
  get times(): StateTime[] {
    return [...this.#times.values()].flatMap((byHour) => [...byHour.values()]);
  }

  /** The times of a service that are not stored yet, with the state that goes on. */
  timesOf(service: string): StateTime[] {
    return [...this.#times.get(service)?.values() ?? [], ...this.#uncharged(service)];
  }

  /** Notes that all is stored. */
  clean(): void {
    this.#pending.clear();
    this.#times.clear();
    this.#isRunNew = false;
  }

  forget(service: string): void {
    this.#current.delete(service);
    this.#pending.delete(service);
    this.#times.delete(service);
  }

  #now(): number {
    const now = this.#wallNow();
    if (now < this.#seenMs - SET_BACK_MS) this.#beginRun(now);
    this.#seenMs = now;
    return now;
  }

  #beginRun(since: number): void {
    this.#sinceMs = since;
    this.#isRunNew = true;
    for (const [service, spells] of this.#pending) {
      this.#pending.set(
        service,
        spells.filter(({ from }) => from < since),
      );
    }
    for (const [service, { chargedMs, spell }] of this.#current) {
      const again = { ...spell, from: since };
      this.#current.set(service, { spell: again, chargedMs });
      this.#pending.getOrInsertComputed(service, () => []).push(again);
    }
  }

  #charge(service: string): void {
    const times = this.#uncharged(service);
    if (times.length === 0) return;
    const byHour = this.#times.getOrInsertComputed(service, () => new Map());
    for (const time of times) {
      byHour.set(time.at, { ...time, ...sumOfTimes(byHour.get(time.at) ?? NO_TIMES, time) });
    }
    const { chargedMs, spell } = this.#current.get(service)!;
    this.#current.set(service, { spell, chargedMs: chargedMs + this.#wholeMsSince(chargedMs) });
  }

  #uncharged(service: string): StateTime[] {
    const current = this.#current.get(service);
    if (current === undefined || !isUse(current.spell.state)) return [];
    const now = this.#now();
    const from = now - this.#wholeMsSince(current.chargedMs);
    return timesIn(service, [{ state: current.spell.state, from }], HOUR_MS, now);
  }

  /** The clock counts in parts of milliseconds, and the store in whole ones. */
  #wholeMsSince(chargedMs: number): number {
    return Math.floor(this.#clock.now() - chargedMs);
  }
}
