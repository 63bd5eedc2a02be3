import { HOUR_MS, MINUTE_MS } from "../../model/time.ts";
import type { Catalog } from "../catalog.ts";
import type { DeployEnd } from "../records.ts";
import type { Store } from "../store.ts";
import { hourOf, minuteOf, periodsOf, summed } from "./periods.ts";
import type { Period, RunRecord, WakeRecord } from "./records.ts";
import type { RequestCounts } from "./request_counts.ts";
import type { SpellLog } from "./spell_log.ts";
import { type Spell, spellsSince, thinned, timesIn } from "./spells.ts";
import { summarize, type WakeCounts, type WakeSummary } from "./wake_counts.ts";
import { MAX_STORED_WAKES, type WakeLog } from "./wake_log.ts";

const HOUR_MINUTES = 60;
/** Of more spells of a service, the shortest are left out. */
const MAX_SPELLS = 500;
/** Of more wakes of a service, the oldest are left out. */
const MAX_WAKES = 200;

/** What a service did in a time. */
export interface Timeline {
  readonly service: string;
  /** Wall-clock time, ms since 1970. */
  readonly from: number;
  /** From then on, or from when the service was made. */
  readonly spells: readonly Spell[];
  /** Oldest first, as are the wakes. */
  readonly deploys: readonly DeployEnd[];
  readonly wakes: readonly WakeRecord[];
}

/** What {@linkcode Past} works with. */
export interface PastOptions {
  /** Wall-clock time, ms since 1970. */
  readonly now: () => number;
  readonly catalog: Pick<Catalog, "after" | "get">;
  readonly store: Pick<Store, "deploysSince" | "hours" | "minutes" | "runs" | "spells" | "wakeLog" | "wakes">;
  readonly requests: Pick<RequestCounts, "pending">;
  readonly wakes: Pick<WakeCounts, "pending">;
  readonly wakeLog: Pick<WakeLog, "pending">;
  readonly spells: Pick<SpellLog, "pending" | "run" | "timesOf">;
}

/** What services did in the last day and in the last months: what is stored, and what is not stored yet. */
export class Past {
  readonly #options: PastOptions;

  constructor(options: PastOptions) {
    this.#options = options;
  }

  /** The last minutes of a service in which it did something, oldest first. @throws {StoreUnavailable} */
  minutes(service: string, minutes: number): Period[] {
    const { now, store } = this.#options;
    const first = minuteOf(now()) - minutes + 1;
    const stored = store.minutes(service, first);
    const pending = this.#pending(service);
    const stateTimes = timesIn(service, this.#spellsOf(service, first * MINUTE_MS), MINUTE_MS, now());
    const requests = [...stored.requests, ...pending.requests];
    const wakes = [...stored.wakes, ...pending.wakes];
    return periodsOf({ requests, wakes, stateTimes }, 1).filter(({ at }) => at >= first);
  }

  /** The last hours of a service in which it did something, oldest first. @throws {StoreUnavailable} */
  hours(service: string, hours: number): Period[] {
    const { now, spells, store } = this.#options;
    const first = hourOf(now()) - hours + 1;
    const pending = { ...this.#pending(service), stateTimes: spells.timesOf(service) };
    const all = summed([...store.hours(service, first), ...periodsOf(pending, HOUR_MINUTES)]);
    return all.filter(({ at }) => at >= first);
  }

  /** How often and how fast the instances of a service woke within the last minutes. @throws {StoreUnavailable} */
  wakes(service: string, minutes: number): WakeSummary[] {
    const { now, store, wakes } = this.#options;
    const since = minuteOf(now()) - minutes + 1;
    const pending = wakes.pending.filter((count) => count.service === service && count.minute >= since);
    return summarize([...store.wakes(service, since), ...pending]);
  }

  /**
   * The wakes of the last minutes, of one service or of all, the newest first; at most `limit`. @throws
   * {StoreUnavailable}
   */
  wakeLog({ limit, minutes, service }: { service?: string | undefined; minutes: number; limit: number }): WakeRecord[] {
    const { now, store, wakeLog } = this.#options;
    const since = now() - minutes * MINUTE_MS;
    const pending = wakeLog.pending.filter((wake) =>
      wake.at >= since && (service === undefined || wake.service === service)
    );
    const all = [...pending.toReversed(), ...store.wakeLog({ service, since, limit })];
    return all.sort((a, b) => b.at - a.at).slice(0, limit);
  }

  /**
   * What services did in the last hours, by name; also what was tried to be deployed and never worked.
   *
   * @param only One service; all by default.
   * @throws {StoreUnavailable}
   */
  timelines(hours: number, only?: string): Timeline[] {
    const { now, spells, store } = this.#options;
    const from = now() - hours * HOUR_MS;
    const made = this.#services(only);
    const runs = this.#runs();
    const records = Map.groupBy([...store.spells(from, only), ...spells.pending], ({ service }) => service);
    const deploys = Map.groupBy(store.deploysSince(from), ({ service }) => service);
    const log = this.wakeLog({ service: only, minutes: hours * HOUR_MINUTES, limit: MAX_STORED_WAKES });
    const wakes = Map.groupBy(log, ({ service }) => service);
    const names = new Set([...made.keys(), ...records.keys(), ...deploys.keys()]);
    const beginOf = (service: string) => {
      const first = [records.get(service)?.[0]?.at, deploys.get(service)?.[0]?.startedAt].filter((at) =>
        at !== undefined
      );
      return Math.min(Math.max(from, made.get(service) ?? Math.min(...first)), now());
    };
    return [...names].filter((name) => only === undefined || name === only).sort().map((service) => ({
      service,
      from,
      spells: thinned(spellsSince(records.get(service) ?? [], runs, beginOf(service)), MAX_SPELLS),
      deploys: deploys.get(service) ?? [],
      wakes: (wakes.get(service) ?? []).slice(0, MAX_WAKES).reverse(),
    }));
  }

  /**
   * When each service was made; `undefined` for one that is found by its image's name, since an earlier process may have
   * found it before.
   */
  #services(only: string | undefined): Map<string, number | undefined> {
    const { catalog } = this.#options;
    const all = only === undefined ? [...catalog.after("")] : [catalog.get(only)].filter((one) => one !== undefined);
    return new Map(all.map(({ convention, createdAt, name }) => [name, convention ? undefined : createdAt]));
  }

  #pending(service: string) {
    const { requests, wakes } = this.#options;
    const isOwn = (one: { readonly service: string }) => one.service === service;
    return { requests: requests.pending.filter(isOwn), wakes: wakes.pending.filter(isOwn) };
  }

  #spellsOf(service: string, from: number): Spell[] {
    const { spells, store } = this.#options;
    const pending = spells.pending.filter((spell) => spell.service === service);
    return spellsSince([...store.spells(from, service), ...pending], this.#runs(), from);
  }

  #runs(): RunRecord[] {
    const { spells: { run }, store } = this.#options;
    return [...store.runs().filter(({ since }) => since !== run.since), run];
  }
}
