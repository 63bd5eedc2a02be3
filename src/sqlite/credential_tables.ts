import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Scope, SecretRecord, SecretVersion, TokenRecord } from "../control/records.ts";

interface SecretRow {
  name: string;
  version: number;
  sealed: Uint8Array;
  created_at: number;
}

/** All versions of the secrets, sealed. */
export class SecretTable {
  readonly #last: StatementSync;
  readonly #next: StatementSync;
  readonly #add: StatementSync;
  readonly #newest: StatementSync;
  readonly #one: StatementSync;
  readonly #delete: StatementSync;

  constructor(db: DatabaseSync) {
    this.#last = db.prepare("SELECT last_version FROM secret_name WHERE name = ?");
    // The names outlive the values, so that no version number is used twice: else a revision could get a value that was
    // not meant for it.
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

  /** Stores a value as a new version. */
  add(name: string, sealed: Uint8Array, at: number): SecretRecord {
    const { last_version: version } = this.#next.get(name) as { last_version: number };
    this.#add.run(name, version, sealed, at);
    return { name, version, sealed, createdAt: at };
  }

  nextVersion(name: string): number {
    const row = this.#last.get(name) as { last_version: number } | undefined;
    return (row?.last_version ?? 0) + 1;
  }

  /** The newest version of each secret, by name; without the values, which may be large. */
  newest(): SecretVersion[] {
    const rows = this.#newest.all() as unknown as Omit<SecretRow, "sealed">[];
    return rows.map(({ name, version, created_at: createdAt }) => ({ name, version, createdAt }));
  }

  one(name: string, version: number): SecretRecord | undefined {
    const row = this.#one.get(name, version) as unknown as SecretRow | undefined;
    if (row === undefined) return undefined;
    const { created_at: createdAt, sealed } = row;
    return { name, version, sealed, createdAt };
  }

  delete(name: string): boolean {
    return this.#delete.run(name).changes > 0;
  }
}

interface TokenRow {
  name: string;
  scope: Scope;
  hash: Uint8Array;
  expires_at: number | null;
  created_at: number;
}

/** The tokens of the admin API besides the owner's. */
export class TokenTable {
  readonly #put: StatementSync;
  readonly #all: StatementSync;
  readonly #delete: StatementSync;

  constructor(db: DatabaseSync) {
    this.#put = db.prepare("REPLACE INTO token VALUES (?, ?, ?, ?, ?)");
    this.#all = db.prepare("SELECT * FROM token ORDER BY name");
    this.#delete = db.prepare("DELETE FROM token WHERE name = ?");
  }

  put({ name, scope, hash, expiresAt, createdAt }: TokenRecord): void {
    this.#put.run(name, scope, hash, expiresAt ?? null, createdAt);
  }

  all(): TokenRecord[] {
    return (this.#all.all() as unknown as TokenRow[]).map(tokenOf);
  }

  delete(name: string): boolean {
    return this.#delete.run(name).changes > 0;
  }
}

function tokenOf({ name, scope, hash, expires_at, created_at }: TokenRow): TokenRecord {
  return { name, scope, hash, expiresAt: expires_at ?? undefined, createdAt: created_at };
}
