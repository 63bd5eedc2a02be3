import type { DatabaseSync } from "node:sqlite";
import type { GapCount, IdleRecord } from "../control/figures/records.ts";

/** At most this many rows of gaps, of about 50 bytes. */
const MAX_GAPS = 400_000;
/** At most this many services, since undeclared ones that are gone are among them. */
const MAX_IDLE = 20_000;

/** The tables that tell when services had no requests. The store calls it in its transactions. */
export class GapTables {
  readonly #sql: ReturnType<typeof prepare>;

  constructor(db: DatabaseSync) {
    this.#sql = prepare(db);
  }

  /** See `Store.gaps`. */
  since(service: string, sinceDay: number): Omit<GapCount, "service" | "day">[] {
    return (this.#sql.gaps.all(service, sinceDay) as unknown as GapCount[]).map((row) => ({ ...row }));
  }

  /** See `Store.idle`. */
  idle(): IdleRecord[] {
    const rows = this.#sql.idle.all() as unknown as (IdleRecord & { readonly idleSince: number | null })[];
    return rows.map(({ idleSince, ...row }) => ({ ...row, idleSince: idleSince ?? undefined }));
  }

  /** Adds gaps to those of the same day and length, and replaces since when services are idle. */
  add(gaps: readonly GapCount[], idle: readonly IdleRecord[]): void {
    for (const gap of gaps) this.#sql.addGaps.run({ ...gap });
    for (const { idleSince = null, ...record } of idle) this.#sql.putIdle.run({ ...record, idleSince });
  }

  delete(service: string): void {
    this.#sql.deleteGaps.run(service);
    this.#sql.deleteIdle.run(service);
  }

  /** Forgets the gaps of earlier days, and the oldest gaps and services if there are very many. */
  trim(firstDay: number): void {
    this.#sql.forgetGaps.run(firstDay);
    this.#sql.trimGaps.run(MAX_GAPS);
    this.#sql.trimIdle.run(MAX_IDLE);
  }
}

function prepare(db: DatabaseSync) {
  return {
    gaps: db.prepare(`
      SELECT bucket, sum(count) AS count, sum(seconds) AS seconds FROM gap
      WHERE service = ? AND day >= ? GROUP BY bucket ORDER BY bucket`),
    addGaps: db.prepare(`
      INSERT INTO gap (service, day, bucket, count, seconds) VALUES (:service, :day, :bucket, :count, :seconds)
      ON CONFLICT DO UPDATE SET count = count + excluded.count, seconds = seconds + excluded.seconds`),
    deleteGaps: db.prepare("DELETE FROM gap WHERE service = ?"),
    forgetGaps: db.prepare("DELETE FROM gap WHERE day < ?"),
    trimGaps: db.prepare("DELETE FROM gap WHERE day <= (SELECT day FROM gap ORDER BY day DESC LIMIT 1 OFFSET ?)"),
    idle: db.prepare("SELECT service, since, idle_since AS idleSince FROM idle ORDER BY service"),
    putIdle: db.prepare("REPLACE INTO idle VALUES (:service, :since, :idleSince)"),
    deleteIdle: db.prepare("DELETE FROM idle WHERE service = ?"),
    trimIdle: db.prepare(`
      DELETE FROM idle WHERE service IN (
        SELECT service FROM idle ORDER BY idle_since IS NULL DESC, idle_since DESC LIMIT -1 OFFSET ?
      )`),
  };
}
