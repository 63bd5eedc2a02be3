import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Scope, TokenRecord } from "../control/records.ts";

interface TokenRow {
  name: string;
  scope: Scope;
  hash: Uint8Array;
  expires_at: number | null;
  created_at: number;
}

/** The further tokens of the admin API. */
export class TokenTable {
  readonly #put: StatementSync;
  readonly #all: StatementSync;
  readonly #delete: StatementSync;

  constructor(db: DatabaseSync) {
    this.#put = db.prepare("REPLACE INTO token VALUES (?, ?, ?, ?, ?)");
    this.#all = db.prepare("SELECT * FROM token ORDER BY name");
    this.#delete = db.prepare("DELETE FROM token WHERE name = ?");
  }

  /** Keeps a token in place of one of the same name. */
  put({ name, scope, hash, expiresAt, createdAt }: TokenRecord): void {
    this.#put.run(name, scope, hash, expiresAt ?? null, createdAt);
  }

  /** Every token, by name. */
  all(): TokenRecord[] {
    return (this.#all.all() as unknown as TokenRow[]).map(recordOf);
  }

  /** Whether there was one. */
  delete(name: string): boolean {
    return this.#delete.run(name).changes > 0;
  }
}

function recordOf({ name, scope, hash, expires_at, created_at }: TokenRow): TokenRecord {
  return { name, scope, hash, expiresAt: expires_at ?? undefined, createdAt: created_at };
}
