import { DatabaseSync, type StatementSync } from "node:sqlite";
import { StoreUnavailable } from "../control/store.ts";
import { syncFolder, writeAtomically } from "../base/atomic_file.ts";
import { OperatorError } from "../base/errors.ts";
import { adviceOn, checkHead, checkSound, faultOf, unavailable } from "./fault.ts";

/**
 * The places of the two bytes of a database that say how it is written and read: 2 means with a log, 1 without one.
 * https://www.sqlite.org/fileformat.html
 */
const WRITE_VERSION = 18;
const READ_VERSION = 19;

/** An open database. Its changes are on disk when they are done. */
export class Connection implements Disposable {
  readonly db: DatabaseSync;
  readonly path: string;
  /** Identifies the file that was opened. */
  readonly #identity: string;
  /** Closed last: closing it releases SQLite's own locks on the file. */
  readonly #file: Deno.FsFile;
  readonly #forget: StatementSync;
  readonly #begin: Record<"read" | "write", StatementSync>;
  readonly #commit: StatementSync;
  readonly #rollback: StatementSync;

  private constructor(db: DatabaseSync, path: string) {
    this.db = db;
    this.path = path;
    this.#begin = { read: db.prepare("BEGIN"), write: db.prepare("BEGIN IMMEDIATE") };
    this.#commit = db.prepare("COMMIT");
    this.#rollback = db.prepare("ROLLBACK");
    // The files that SQLite adds get the mode of the first one.
    const { journal_mode: mode } = db.prepare("PRAGMA journal_mode = WAL").get() as { journal_mode: string };
    if (mode !== "wal") throw new OperatorError(`the file system of ${path} has no shared memory; use a local disk`);
    db.prepare("PRAGMA synchronous = FULL").run(); // else a power cut loses the last changes
    db.prepare("PRAGMA cell_size_check = ON").run(); // damage is found sooner
    checkSound(db);
    this.#checkWritable();
    this.#identity = this.#identify();
    this.#forget = db.prepare("PRAGMA shrink_memory");
    this.#file = Deno.openSync(path, { read: true });
  }

  /**
   * Opens a database; makes it if there is none.
   *
   * @param busyTimeoutMs How long to wait for another process's lock; this process stands still meanwhile.
   * @throws {StoreUnavailable} If it cannot be read and written, or is damaged.
   * @throws {OperatorError} If the file system is not suitable.
   */
  static open(path: string, busyTimeoutMs: number): Connection {
    let db: DatabaseSync | undefined;
    try {
      makePrivate(path);
      db = new DatabaseSync(path, { timeout: busyTimeoutMs, enableForeignKeyConstraints: true });
      return new Connection(db, path);
    } catch (error) {
      db?.close();
      throw unavailable(error, path);
    }
  }

  /** Runs a query, which sees one state throughout. @throws {StoreUnavailable} */
  read<T>(query: () => T): T {
    return this.guard(() => this.#transact("read", query));
  }

  /**
   * Runs a change. When this returns, it is on disk; when it throws, nothing has changed. @throws {StoreUnavailable}
   */
  write<T>(change: () => T): T {
    return this.guard(() => {
      // SQLite would go on writing to a file that was removed or moved away.
      if (this.#identify() !== this.#identity) {
        throw new StoreUnavailable(`${this.path} was moved or replaced while it was in use; restart cless`);
      }
      // SQLite trusts the pages in its memory and its log; a change to a damaged file would be lost.
      checkHead(this.#file);
      this.#forget.run();
      return this.#transact("write", change);
    });
  }

  /** Runs an action, and explains SQLite's errors. @throws {StoreUnavailable} */
  guard<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw unavailable(error, this.path);
    }
  }

  /**
   * Copies the database to a file that only this user may read. The file gets its name once the copy is complete and
   * checked.
   *
   * The copy is in memory for a moment. VACUUM INTO would avoid that, but the platform refuses it to a process without
   * all permissions.
   *
   * @param existing Whether an existing file is refused or replaced.
   * @throws {OperatorError} If an existing file is refused, or the file cannot be written.
   * @throws {StoreUnavailable} If the database cannot be read, or is damaged.
   */
  copyTo(path: string, existing: "refuse" | "replace"): void {
    let isWritten: boolean;
    try {
      const image = this.read(() => {
        this.db.prepare("SELECT 1 FROM sqlite_schema").get(); // serialize() does not say why it fails; this does
        return this.db.serialize();
      });
      image[WRITE_VERSION] = image[READ_VERSION] = 1; // without a log: this one file has everything
      // serialize() leaves zeros for pages that it could not read, so only a check of the copy finds damage.
      isWritten = writeAtomically(path, image, {
        existing: existing === "refuse" ? "keep" : "replace",
        check: checkFile,
      });
    } catch (error) {
      const fault = faultOf(error);
      if (fault === undefined || fault === "damaged") throw unavailable(error, this.path);
      throw new OperatorError(adviceOn(fault, path), { cause: error });
    }
    if (!isWritten) throw new OperatorError(`${path} is there already; name another file`);
  }

  /** SQLite opens a read-only file, and fails at the first change; so this tries a change and rolls it back. */
  #checkWritable(): void {
    try {
      this.#begin.write.run();
      this.db.prepare("PRAGMA user_version = 0").run();
    } catch (error) {
      if (faultOf(error) !== "locked") throw error; // another process can write, and will release its lock
    } finally {
      if (this.db.isTransaction) this.#rollback.run();
    }
  }

  #transact<T>(kind: "read" | "write", action: () => T): T {
    this.#begin[kind].run();
    try {
      const result = action();
      this.#commit.run();
      return result;
    } catch (error) {
      if (this.db.isTransaction) this.#rollback.run(); // some errors have ended it already
      throw error;
    }
  }

  #identify(): string {
    return `${identityOf(this.path)} ${identityOf(`${this.path}-wal`)}`;
  }

  [Symbol.dispose](): void {
    this.db.close();
    this.#file.close();
  }
}

/** Makes an empty private file if there is none; takes away other users' rights to an existing one. */
function makePrivate(path: string): void {
  try {
    Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }).close();
    syncFolder(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    // Not opened here: closing it would release SQLite's locks on it.
    const { mode } = Deno.statSync(path);
    if (mode !== null && (mode & 0o077) !== 0) Deno.chmodSync(path, 0o600);
  }
}

/** Tells a file from an earlier one of the same name; `undefined` if there is none. */
function identityOf(path: string): string | undefined {
  try {
    const { dev, ino } = Deno.statSync(path);
    return `${dev}:${ino}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function checkFile(path: string): void {
  using db = new DatabaseSync(path, { readOnly: true });
  checkSound(db);
}
