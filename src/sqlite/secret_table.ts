import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { SecretRecord, SecretVersion } from "../control/records.ts";

interface SecretRow {
  name: string;
  version: number;
  sealed: Uint8Array;
  created_at: number;
}

/** Every value of every secret. */
export class SecretTable {
  readonly #last: StatementSync;
  readonly #next: StatementSync;
  readonly #add: StatementSync;
  readonly #newest: StatementSync;
  readonly #one: StatementSync;
  readonly #delete: StatementSync;

  constructor(db: DatabaseSync) {
    this.#last = db.prepare("SELECT last_version FROM secret_name WHERE name = ?");
    // The names outlive the values: else a revision could get a value that was never meant for it.
    this.#next = db.prepare(`
      INSERT INTO secret_name VALUES (?, 1)
      ON CONFLICT (name) DO UPDATE SET last_version = last_version + 1
      RETURNING last_version`);
    this.#add = db.prepare("INSERT INTO secret VALUES (?, ?, ?, ?)");
    this.#newest = db.prepare(`
      SELECT secret.name, version, created_at FROM secret
      JOIN secret_name ON secret_name.name = secret.name AND last_version = version
      ORDER BY secret.name`);
    this.#one = db.prepare("SELECT * FROM secret WHERE name = ? AND version = ?");
    this.#delete = db.prepare("DELETE FROM secret WHERE name = ?");
  }

  /** Keeps a new value; its version was never there before. */
  add(name: string, sealed: Uint8Array, at: number): SecretRecord {
    const { last_version: version } = this.#next.get(name) as { last_version: number };
    this.#add.run(name, version, sealed, at);
    return { name, version, sealed, createdAt: at };
  }

  /** The version that the next value of one will have. */
  nextVersion(name: string): number {
    const row = this.#last.get(name) as { last_version: number } | undefined;
    return (row?.last_version ?? 0) + 1;
  }

  /** The newest version of each, by name; not its value, as the values of all are much to read. */
  newest(): SecretVersion[] {
    const rows = this.#newest.all() as unknown as Omit<SecretRow, "sealed">[];
    return rows.map(({ name, version, created_at: createdAt }) => ({ name, version, createdAt }));
  }

  /** One value; `undefined` where it is not there. */
  one(name: string, version: number): SecretRecord | undefined {
    const row = this.#one.get(name, version) as unknown as SecretRow | undefined;
    if (row === undefined) return undefined;
    const { created_at: createdAt, sealed } = row;
    return { name, version, sealed, createdAt };
  }

  /** Removes every value of one; whether there was any. */
  delete(name: string): boolean {
    return this.#delete.run(name).changes > 0;
  }
}
