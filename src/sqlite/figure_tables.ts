import type { DatabaseSync } from "node:sqlite";
import { type Histogram, merged } from "../control/figures/histogram.ts";
import { periodsOf } from "../control/figures/periods.ts";
import { MAX_STORED_WAKES } from "../control/figures/wake_log.ts";
import type {
  ByWake,
  CostRecord,
  FigureAges,
  NewFigures,
  Period,
  RequestCount,
  RequestSum,
  RunRecord,
  SpellRecord,
  WakeCount,
  WakeRecord,
  WakeSum,
} from "../control/figures/records.ts";
import { defined } from "../model/defined.ts";
import { MINUTE_MS } from "../model/time.ts";
import { GapTables } from "./gap_tables.ts";

const HOUR_MINUTES = 60;
/** Figures are retained for this many services, since undeclared ones that are gone have figures too. */
const MAX_COSTS = 20_000;
/** At most this many rows of wakes, minutes, hours and spells each, of about 100 bytes. */
const MAX_ROWS = 200_000;
/** At most this many single wakes of one service are retained, each of about 500 bytes. */
const MAX_WAKES_OF_SERVICE = 1000;
/** At most this many rows of runs. */
const MAX_RUNS = 1000;

/** The tables with the figures of services. The store calls it in its transactions. */
export class FigureTables {
  readonly gaps: GapTables;
  readonly #sql: ReturnType<typeof prepare>;

  constructor(db: DatabaseSync) {
    this.gaps = new GapTables(db);
    this.#sql = prepare(db);
  }

  costs(): CostRecord[] {
    return copies<CostRow>(this.#sql.costs.all()).map(({ hibernatedBytes, pausedBytes, readings, ...cost }) => ({
      ...cost,
      ...defined({ pausedBytes: pausedBytes ?? undefined, hibernatedBytes: hibernatedBytes ?? undefined }),
      readings: JSON.parse(readings),
    }));
  }

  wakes(service: string, sinceMinute: number): Omit<WakeCount, "minute">[] {
    return copies(this.#sql.wakes.all(service, sinceMinute));
  }

  /** See `Store.wakeLog`. */
  wakeLog({ limit, service, since }: { service?: string | undefined; since: number; limit: number }): WakeRecord[] {
    const rows = copies<Omit<WakeRecord, "by"> & { readonly by: string }>(
      service === undefined ? this.#sql.wakeLog.all(since, limit) : this.#sql.wakeLogOf.all(service, since, limit),
    );
    return rows.map((row) => ({ ...row, by: JSON.parse(row.by) }));
  }

  /** See `Store.addFigures`. */
  add(
    { costs = [], gaps = [], idle = [], requests = [], run, spells = [], stateTimes = [], wakeLog = [], wakes = [] }:
      NewFigures,
  ): void {
    for (const { hibernatedBytes = null, pausedBytes = null, readings, ...cost } of costs) {
      this.#sql.putCost.run({ ...cost, pausedBytes, hibernatedBytes, readings: JSON.stringify(readings) });
    }
    for (const wake of wakes) this.#sql.addWakes.run({ ...wake });
    this.#addToWakeLog(wakeLog);
    this.gaps.add(gaps, idle);
    for (const count of requests) {
      const { service, minute } = count;
      const latencies = merged(histogramOf(this.#sql.latencies.get(service, minute)), count.latencies);
      this.#sql.addRequests.run({ ...count, latencies: JSON.stringify(latencies) });
    }
    for (const hour of periodsOf({ requests, stateTimes, wakes }, HOUR_MINUTES)) this.#addHour(hour);
    if (run !== undefined && this.#sql.laterRun.get({ ...run }) !== undefined) {
      // The clock was set back: what is recorded of later times is not true any more.
      this.#sql.forgetSpellsFrom.run(run.since);
      this.#sql.forgetRunsFrom.run(run.since);
      this.#sql.endRuns.run(run.since);
    }
    for (const { failure = null, ...spell } of spells) this.#sql.putSpell.run({ ...spell, failure });
    if (run !== undefined) this.#sql.putRun.run({ ...run });
  }

  /** See `Store.sumsByMinute`. */
  sumsByMinute(sinceMinute: number): { requests: RequestSum[]; wakes: WakeSum[] } {
    return {
      requests: copies(this.#sql.requestSums.all(sinceMinute)),
      wakes: copies(this.#sql.wakeSums.all(sinceMinute)),
    };
  }

  /** See `Store.minutes`. */
  minutes(service: string, sinceMinute: number): { requests: RequestCount[]; wakes: WakeSum[] } {
    const rows = copies<Omit<RequestCount, "latencies"> & { readonly latencies: string }>(
      this.#sql.requests.all(service, sinceMinute),
    );
    return {
      requests: rows.map((row) => ({ ...row, latencies: JSON.parse(row.latencies) })),
      wakes: copies(this.#sql.wakeMinutes.all(service, sinceMinute)),
    };
  }

  /** See `Store.hours`. */
  hours(service: string, sinceHour: number): Period[] {
    const rows = this.#sql.hours.all(service, sinceHour) as unknown as HourRow[];
    return rows.map(({ at, cold, errors, hibernated, latencies, requests, resume, service, ...row }) => ({
      ...{ service, at, requests, errors, latencies: JSON.parse(latencies), wakes: { cold, resume, hibernated } },
      times: { ready: row.readyMs, starting: row.startingMs, paused: row.pausedMs, hibernated: row.hibernatedMs },
    }));
  }

  /** See `Store.spells`. */
  spells(since: number, service: string | undefined): SpellRecord[] {
    const rows = copies<Omit<SpellRecord, "failure"> & { readonly failure: string | null }>(
      this.#sql.spells.all({ since, first: service ?? "", last: service ?? "~" }),
    );
    return rows.map((row) => ({ ...row, failure: row.failure ?? undefined }));
  }

  /** See `Store.runs`. */
  runs(): RunRecord[] {
    return copies(this.#sql.runs.all());
  }

  /** Removes all of a service. */
  delete(service: string): void {
    for (const statement of this.#sql.deletes) statement.run(service);
    this.gaps.delete(service);
  }

  /** See `Store.trimFigures`. */
  trim({ day, hour, minute, spells }: FigureAges): void {
    this.gaps.trim(day);
    this.#sql.forgetWakes.run(minute);
    this.#sql.forgetWakeLog.run(minute * MINUTE_MS);
    this.#sql.forgetRequests.run(minute);
    this.#sql.forgetHours.run(hour);
    this.#sql.forgetSpells.run({ before: spells });
    this.#sql.forgetSleep.run({ before: spells });
    this.#sql.forgetRuns.run(spells);
    this.limit({ costs: MAX_COSTS, rows: MAX_ROWS, runs: MAX_RUNS });
  }

  /** Removes the oldest figures if there are more than so many rows. @param max.rows Of each large table. */
  limit({ costs, rows, runs }: { readonly costs: number; readonly rows: number; readonly runs: number }): void {
    this.#sql.trimCosts.run(costs);
    for (const trim of this.#sql.trims) trim.run(rows);
    this.#sql.trimRuns.run(runs);
  }

  #addToWakeLog(wakes: readonly WakeRecord[]): void {
    if (wakes.length === 0) return;
    for (const wake of wakes) this.#sql.addToWakeLog.run({ ...wake, by: JSON.stringify(wake.by) });
    for (const service of new Set(wakes.map(({ service }) => service))) {
      this.#sql.trimWakeLogOf.run(service, MAX_WAKES_OF_SERVICE);
    }
    this.#sql.trimWakeLog.run(MAX_STORED_WAKES);
  }

  #addHour({ latencies, times, wakes, ...hour }: Period): void {
    const before = histogramOf(this.#sql.hourLatencies.get(hour.service, hour.at));
    this.#sql.addHour.run({
      ...{ ...hour, ...wakes, latencies: JSON.stringify(merged(before, latencies)) },
      ...{ readyMs: times.ready, startingMs: times.starting, pausedMs: times.paused, hibernatedMs: times.hibernated },
    });
  }
}

interface CostRow extends Omit<CostRecord, "readings" | "pausedBytes" | "hibernatedBytes"> {
  readonly readings: string;
  readonly pausedBytes: number | null;
  readonly hibernatedBytes: number | null;
}

interface HourRow extends ByWake {
  readonly service: string;
  readonly at: number;
  readonly requests: number;
  readonly errors: number;
  readonly latencies: string;
  readonly readyMs: number;
  readonly startingMs: number;
  readonly pausedMs: number;
  readonly hibernatedMs: number;
}

/** Prepares the statements. The columns have the names of the records' fields. */
function prepare(db: DatabaseSync) {
  const keepNewest = (table: string, column: string) =>
    db.prepare(`
      DELETE FROM ${table} WHERE ${column} <= (SELECT ${column} FROM ${table} ORDER BY ${column} DESC LIMIT 1 OFFSET ?)`);
  return {
    costs: db.prepare(`
      SELECT service, since, at, processor_ns AS processorNs, used_byte_s AS usedByteS, saved_byte_s AS savedByteS,
        whole_bytes AS wholeBytes, paused_bytes AS pausedBytes, hibernated_bytes AS hibernatedBytes, readings
      FROM cost`),
    putCost: db.prepare(`
      REPLACE INTO cost VALUES (
        :service, :since, :at, :processorNs, :usedByteS, :savedByteS, :wholeBytes, :readings, :pausedBytes,
        :hibernatedBytes
      )`),
    trimCosts: db.prepare(`
      DELETE FROM cost WHERE service IN (SELECT service FROM cost ORDER BY at DESC LIMIT -1 OFFSET ?)`),

    wakes: db.prepare(`
      SELECT service, revision, how, bucket, sum(count) AS count
      FROM wake WHERE service = ? AND minute >= ?
      GROUP BY revision, how, bucket ORDER BY revision, how, bucket`),
    wakeMinutes: db.prepare(`
      SELECT service, minute, how, sum(count) AS count
      FROM wake WHERE service = ? AND minute >= ? GROUP BY minute, how ORDER BY minute, how`),
    wakeSums: db.prepare(`
      SELECT service, minute, how, sum(count) AS count
      FROM wake WHERE minute >= ? GROUP BY service, minute, how`),
    addWakes: db.prepare(`
      INSERT INTO wake (service, revision, how, minute, bucket, count)
      VALUES (:service, :revision, :how, :minute, :bucket, :count)
      ON CONFLICT DO UPDATE SET count = count + excluded.count`),
    forgetWakes: db.prepare("DELETE FROM wake WHERE minute < ?"),

    wakeLog: db.prepare(`
      SELECT service, revision, instance, at, how, ms, "by" FROM wake_log
      WHERE at >= ? ORDER BY at DESC, id DESC LIMIT ?`),
    wakeLogOf: db.prepare(`
      SELECT service, revision, instance, at, how, ms, "by" FROM wake_log
      WHERE service = ? AND at >= ? ORDER BY at DESC, id DESC LIMIT ?`),
    addToWakeLog: db.prepare(`
      INSERT INTO wake_log (service, revision, instance, at, how, ms, "by")
      VALUES (:service, :revision, :instance, :at, :how, :ms, :by)`),
    forgetWakeLog: db.prepare("DELETE FROM wake_log WHERE at < ?"),
    trimWakeLogOf: db.prepare(`
      DELETE FROM wake_log WHERE id IN (
        SELECT id FROM wake_log WHERE service = ? ORDER BY at DESC, id DESC LIMIT -1 OFFSET ?
      )`),
    trimWakeLog: db.prepare(
      "DELETE FROM wake_log WHERE id IN (SELECT id FROM wake_log ORDER BY at DESC, id DESC LIMIT -1 OFFSET ?)",
    ),

    requests: db.prepare(`
      SELECT service, minute, requests, errors, latencies
      FROM request_minute WHERE service = ? AND minute >= ? ORDER BY minute`),
    requestSums: db.prepare("SELECT service, minute, requests FROM request_minute WHERE minute >= ?"),
    latencies: db.prepare("SELECT latencies FROM request_minute WHERE service = ? AND minute = ?"),
    addRequests: db.prepare(`
      INSERT INTO request_minute (service, minute, requests, errors, latencies)
      VALUES (:service, :minute, :requests, :errors, :latencies)
      ON CONFLICT DO UPDATE SET
        requests = requests + excluded.requests, errors = errors + excluded.errors, latencies = excluded.latencies`),
    forgetRequests: db.prepare("DELETE FROM request_minute WHERE minute < ?"),

    hours: db.prepare(`
      SELECT service, hour AS at, requests, errors, latencies, ready_ms AS readyMs, starting_ms AS startingMs,
        paused_ms AS pausedMs, hibernated_ms AS hibernatedMs, cold, resume, hibernated
      FROM service_hour WHERE service = ? AND hour >= ? ORDER BY hour`),
    hourLatencies: db.prepare("SELECT latencies FROM service_hour WHERE service = ? AND hour = ?"),
    addHour: db.prepare(`
      INSERT INTO service_hour (
        service, hour, requests, errors, latencies, ready_ms, starting_ms, paused_ms, hibernated_ms,
        cold, resume, hibernated
      ) VALUES (
        :service, :at, :requests, :errors, :latencies, :readyMs, :startingMs, :pausedMs, :hibernatedMs,
        :cold, :resume, :hibernated
      )
      ON CONFLICT DO UPDATE SET
        requests = requests + excluded.requests, errors = errors + excluded.errors, latencies = excluded.latencies,
        ready_ms = ready_ms + excluded.ready_ms, starting_ms = starting_ms + excluded.starting_ms,
        paused_ms = paused_ms + excluded.paused_ms, hibernated_ms = hibernated_ms + excluded.hibernated_ms,
        cold = cold + excluded.cold, resume = resume + excluded.resume, hibernated = hibernated + excluded.hibernated`),
    forgetHours: db.prepare("DELETE FROM service_hour WHERE hour < ?"),

    // With the last spell before that time, which says what the service was doing then.
    spells: db.prepare(`
      SELECT service, at, state, failure FROM spell
      WHERE service BETWEEN :first AND :last AND (
        at >= :since OR at = (
          SELECT max(at) FROM spell AS earlier WHERE earlier.service = spell.service AND earlier.at < :since
        )
      )
      ORDER BY service, at`),
    putSpell: db.prepare("REPLACE INTO spell VALUES (:service, :at, :state, :failure)"),
    forgetSpells: db.prepare(`
      DELETE FROM spell WHERE at < :before AND EXISTS (
        SELECT 1 FROM spell AS next WHERE next.service = spell.service AND next.at > spell.at AND next.at <= :before
      )`),
    // At the begin of a run, and where nothing is known, a service sleeps.
    forgetSleep: db.prepare(`
      DELETE FROM spell WHERE at < :before AND (
        state = 'asleep' OR at < (SELECT max(since) FROM run WHERE since <= :before)
      )`),

    runs: db.prepare("SELECT since, until FROM run ORDER BY since"),
    laterRun: db.prepare("SELECT 1 FROM run WHERE until > :until AND since <> :since"),
    forgetSpellsFrom: db.prepare("DELETE FROM spell WHERE at >= ?"),
    forgetRunsFrom: db.prepare("DELETE FROM run WHERE since >= ?"),
    endRuns: db.prepare("UPDATE run SET until = ?1 WHERE until > ?1"),
    putRun: db.prepare("REPLACE INTO run VALUES (:since, :until)"),
    forgetRuns: db.prepare("DELETE FROM run WHERE until < ?"),
    trimRuns: db.prepare(
      "DELETE FROM run WHERE since IN (SELECT since FROM run ORDER BY since DESC LIMIT -1 OFFSET ?)",
    ),

    trims: [
      keepNewest("wake", "minute"),
      keepNewest("request_minute", "minute"),
      keepNewest("service_hour", "hour"),
      keepNewest("spell", "at"),
    ],
    deletes: ["cost", "wake", "wake_log", "request_minute", "service_hour", "spell"]
      .map((table) => db.prepare(`DELETE FROM ${table} WHERE service = ?`)),
  };
}

/** The rows of a result, as usual objects. */
function copies<T>(rows: readonly unknown[]): T[] {
  return rows.map((row) => ({ ...row as T }));
}

/** The histogram in a row; empty if there is no row. */
function histogramOf(row: unknown): Histogram {
  return row === undefined ? [] : JSON.parse((row as { readonly latencies: string }).latencies);
}
