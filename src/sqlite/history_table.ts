import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { HistoryEntry } from "../control/records.ts";

interface HistoryRow {
  at: number;
  service: string;
  action: string;
  by: string;
  before: string | null;
  after: string | null;
}

/** The audit log. */
export class HistoryTable {
  readonly #add: StatementSync;
  readonly #page: StatementSync;
  readonly #forget: StatementSync;

  constructor(db: DatabaseSync) {
    const columns = `at, service, action, "by", before, after`;
    this.#add = db.prepare(`INSERT INTO history (${columns}) VALUES (?, ?, ?, ?, ?, ?)`);
    // A page never ends between two entries of the same time.
    this.#page = db.prepare(`
      SELECT ${columns} FROM history
      WHERE service = :service AND at < :before AND at >= (
        SELECT min(at) FROM (
          SELECT at FROM history WHERE service = :service AND at < :before ORDER BY at DESC LIMIT :limit
        )
      )
      ORDER BY at DESC, id DESC`);
    this.#forget = db.prepare("DELETE FROM history WHERE at < ?");
  }

  add({ at, service, action, by, before, after }: HistoryEntry): void {
    this.#add.run(at, service, action, by, JSON.stringify(before) ?? null, JSON.stringify(after) ?? null);
  }

  /** The newest entries of a service before a time; a few more than `limit` if entries have the same time. */
  page(service: string, limit: number, before: number): HistoryEntry[] {
    return (this.#page.all({ service, limit, before }) as unknown as HistoryRow[]).map(entryOf);
  }

  forget(before: number): void {
    this.#forget.run(before);
  }
}

function entryOf({ at, service, action, by, before, after }: HistoryRow): HistoryEntry {
  return { at, service, action, by, before: valueOf(before), after: valueOf(after) };
}

function valueOf(json: string | null): unknown {
  return json === null ? undefined : JSON.parse(json);
}
