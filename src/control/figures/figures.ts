import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import { MINUTE_MS } from "../../model/time.ts";
import type { StatusWatch } from "../status_watch.ts";
import type { Store } from "../store.ts";
import type { Costs } from "./costs.ts";
import type { IdleGaps } from "./idle_gaps.ts";
import type { LastHour } from "./last_hour.ts";
import { dayNumberOf, hourOf, minuteOf } from "./periods.ts";
import type { NewFigures } from "./records.ts";
import type { RequestCounts } from "./request_counts.ts";
import type { SpellLog } from "./spell_log.ts";
import type { UsageMeter } from "./usage_meter.ts";
import type { WakeCounts } from "./wake_counts.ts";
import type { WakeLog } from "./wake_log.ts";

const log = logger("figures");
/** What is awake is measured at this interval, and what is new is stored. */
const INTERVAL_MS = 60_000;
/** The oldest figures are forgotten at this interval, and for how long services have slept is added to the hours. */
const TRIM_INTERVAL_MS = 3_600_000;
/** What is told by minute is retained for this long, and so are spells and single wakes. */
const DAY_MINUTES = 24 * 60;
/** What is told by hour is retained for 90 days. */
const RETAINED_HOURS = 90 * 24;
/** Gaps are retained for this many days, with the one under way. */
const GAP_DAYS = 31;

/** What {@linkcode Figures} works with. */
export interface FiguresOptions {
  readonly clock: Clock;
  /** Wall-clock time, ms since 1970. */
  readonly now: () => number;
  readonly store: Pick<
    Store,
    "addFigures" | "costs" | "idle" | "runs" | "spells" | "trimFigures"
  >;
  readonly meter: Pick<UsageMeter, "keepUp" | "start" | "stop">;
  readonly costs: Pick<Costs, "clean" | "dirty" | "forget" | "load">;
  readonly wakes: WakeCounts;
  readonly requests: Pick<RequestCounts, "clean" | "forget" | "pending">;
  readonly lastHour: Pick<LastHour, "forget" | "stored">;
  readonly wakeLog: WakeLog;
  readonly gaps: IdleGaps;
  readonly spells: SpellLog;
  readonly statusWatch: Pick<StatusWatch, "resume">;
}

/**
 * Stores the figures of services, each minute in which there are new ones. While all instances sleep and nothing
 * happens, nothing is measured or stored.
 */
export class Figures {
  readonly #options: FiguresOptions;
  #stopTicking: (() => void) | undefined;
  #trimmedMs = -Infinity;

  constructor(options: FiguresOptions) {
    this.#options = options;
  }

  /**
   * Takes what an earlier process has stored.
   *
   * @param isSuccessor Whether that process hands over to this one now, so that services go on with what they do.
   */
  load(isSuccessor = false): void {
    const { costs, gaps, now, spells, statusWatch, store } = this.#options;
    costs.load(store.costs());
    gaps.load(store.idle());
    const run = isSuccessor ? store.runs().at(-1) : undefined;
    if (run === undefined) return;
    spells.resume(run, store.spells(now()));
    statusWatch.resume(spells.current);
  }

  /** Begins to measure and to store. Call it when all instances of an earlier process are known. */
  start(): void {
    this.#stopTicking ??= this.#options.clock.every(INTERVAL_MS, () => this.#tick());
    this.#options.meter.start();
  }

  stop(): void {
    this.#stopTicking?.();
    this.#stopTicking = undefined;
    this.#options.meter.stop();
  }

  /** Forgets a service that was deleted. */
  forget(service: string): void {
    const { costs, gaps, lastHour, requests, spells, wakeLog, wakes } = this.#options;
    for (const figures of [costs, wakes, wakeLog, gaps, requests, spells, lastHour]) figures.forget(service);
  }

  /** Stores what is new. If the store refuses, the next call tries again. */
  save(): void {
    const { clock, spells } = this.#options;
    spells.charge("awake");
    if (!this.#hasPending()) return;
    if (clock.now() - this.#trimmedMs >= TRIM_INTERVAL_MS) spells.charge("all");
    this.#store();
  }

  /** Stores everything, also that cless ran until now. Call it before this process ends or hands over. */
  finish(): void {
    this.#options.spells.charge("all");
    this.#store();
  }

  /** What is counted of requests and wakes, and not stored yet. */
  get counted(): NewFigures {
    const { requests, wakeLog, wakes } = this.#options;
    return { requests: requests.pending, wakes: wakes.pending, wakeLog: wakeLog.pending };
  }

  /** Stores what a predecessor has counted after it had handed over the store. */
  inherit(counted: NewFigures): void {
    const { lastHour, store } = this.#options;
    try {
      store.addFigures(counted);
      lastHour.stored(counted.requests ?? [], counted.wakes ?? []);
    } catch (error) {
      log.debug("cannot store the figures of the predecessor", { reason: messageOf(error) });
    }
  }

  #hasPending(): boolean {
    const { costs, gaps, requests, spells, wakeLog, wakes } = this.#options;
    const pending = [costs.dirty, wakes.pending, wakeLog.pending, requests.pending, spells.pending, spells.times];
    return gaps.hasPending || spells.isRunNew || pending.some(({ length }) => length > 0);
  }

  #store(): void {
    const { clock, costs, gaps, lastHour, now, requests, spells, store, wakeLog, wakes } = this.#options;
    const counts = { requests: requests.pending, wakes: wakes.pending };
    const doings = { stateTimes: spells.times, spells: spells.pending, run: spells.run };
    try {
      store.addFigures({ costs: costs.dirty, wakeLog: wakeLog.pending, ...gaps.pending, ...counts, ...doings });
      lastHour.stored(counts.requests, counts.wakes);
      for (const stored of [costs, wakes, wakeLog, gaps, requests, spells]) stored.clean();
      if (clock.now() - this.#trimmedMs < TRIM_INTERVAL_MS) return;
      this.#trimmedMs = clock.now();
      store.trimFigures({
        minute: minuteOf(now()) - DAY_MINUTES,
        hour: hourOf(now()) - RETAINED_HOURS,
        day: dayNumberOf(now()) - GAP_DAYS + 1,
        spells: now() - DAY_MINUTES * MINUTE_MS,
      });
    } catch (error) {
      log.debug("cannot store figures", { reason: messageOf(error) });
    }
  }

  async #tick(): Promise<void> {
    await this.#options.meter.keepUp();
    if (this.#stopTicking !== undefined) this.save();
  }
}
