import type { ServiceStatus } from "../service_status.ts";
import { NO_TIMES } from "./periods.ts";
import type { ByState, RunRecord, SpellRecord, StateTime } from "./records.ts";

/** A time in which a service did the same. It lasts until the next one begins. */
export interface Spell {
  /** `unknown` while cless did not run, or is not known to have run. */
  readonly state: ServiceStatus["state"] | "unknown";
  /** Wall-clock time, ms since 1970. */
  readonly from: number;
  /** Why it failed; only in the state `failing`. */
  readonly failure?: string | undefined;
}

/**
 * What a service did from a time until now. When cless begins to run, a service sleeps.
 *
 * @param records Its spells, oldest first.
 * @param runs When cless ran, oldest first. The last run is under way.
 * @param from The first spell begins here; wall-clock time, ms since 1970.
 */
export function spellsSince(records: readonly SpellRecord[], runs: readonly RunRecord[], from: number): Spell[] {
  const all: Spell[] = [{ state: "unknown", from: -Infinity }];
  for (const [at, { since, until }] of runs.entries()) {
    const next = runs[at + 1];
    all.push({ state: "asleep", from: since });
    for (const record of records) {
      if (record.at < since || (next === undefined ? record.at > until : record.at >= next.since)) continue;
      all.push({ state: record.state, from: record.at, failure: record.failure });
    }
    // A run may end after the next one has begun if the clock was set back between them.
    if (next !== undefined) all.push({ state: "unknown", from: Math.min(until, next.since) });
  }
  const begin = all.findLastIndex((spell) => spell.from <= from);
  return joined([{ ...all[begin]!, from }, ...all.slice(begin + 1)]);
}

/** Leaves out the shortest spells if there are more than `max`. The first and the last stay. */
export function thinned<S extends Spell>(spells: readonly S[], max: number): S[] {
  if (spells.length <= max) return [...spells];
  const inner = spells.slice(1, -1).map((spell, at) => ({ spell, ms: spells[at + 2]!.from - spell.from }));
  const shortest = inner.sort((a, b) => a.ms - b.ms).slice(0, spells.length - max);
  const out = new Set(shortest.map(({ spell }) => spell));
  return joined(spells.filter((spell) => !out.has(spell)));
}

/**
 * For how long a service was in each state, by period.
 *
 * @param periodMs How long a period is.
 * @param until The end of the last spell, wall-clock ms since 1970.
 */
export function timesIn(service: string, spells: readonly Spell[], periodMs: number, until: number): StateTime[] {
  const times = new Map<number, ByState>();
  for (const [at, { from, state }] of spells.entries()) {
    if (!isUse(state)) continue;
    const end = spells[at + 1]?.from ?? until;
    for (let begin = from; begin < end;) {
      const period = Math.floor(begin / periodMs);
      const next = Math.min(end, (period + 1) * periodMs);
      const before = times.get(period) ?? NO_TIMES;
      times.set(period, { ...before, [state]: before[state] + next - begin });
      begin = next;
    }
  }
  return Array.from(times, ([at, time]) => ({ service, at, ...time }));
}

/** Whether a service uses the machine in a state. */
export function isUse(state: Spell["state"]): state is keyof ByState {
  return Object.hasOwn(NO_TIMES, state);
}

/** Leaves out what is no change, and what lasts no time. */
function joined<S extends Spell>(spells: readonly S[]): S[] {
  const lasting = spells.filter(({ from }, at) => (spells[at + 1]?.from ?? Infinity) > from);
  return lasting.filter(({ failure, state }, at) =>
    state !== lasting[at - 1]?.state || failure !== lasting[at - 1]?.failure
  );
}
