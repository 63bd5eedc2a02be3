import { DatabaseSync, type StatementSync } from "node:sqlite";
import { StoreUnavailable } from "../control/store.ts";
import { syncFolder, writeAtomically } from "../base/atomic_file.ts";
import { OperatorError } from "../base/errors.ts";
import { adviceOn, checkHead, checkSound, faultOf, unavailable } from "./fault.ts";

/** The bytes of a database that say how it is written: 2 is to a log, 1 is directly. https://www.sqlite.org/fileformat.html */
const WRITE_VERSION = 18;
const READ_VERSION = 19;

/** An open database. Its changes are on disk when they are done. */
export class Connection implements Disposable {
  readonly db: DatabaseSync;
  readonly path: string;
  /** What the files were when they were opened. */
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
    // The files that SQLite adds get the rights of the first one.
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
   * Opens a database, and makes it if there is none.
   *
   * @param busyTimeoutMs How long to wait while another process has a lock; this whole process stands still meanwhile.
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

  /** Runs a query, all of which sees the same state. @throws {StoreUnavailable} */
  read<T>(query: () => T): T {
    return this.guard(() => this.#transact("read", query));
  }

  /**
   * Runs a change. When this returns, all of it is on disk; when it throws, nothing has changed.
   *
   * @throws {StoreUnavailable}
   */
  write<T>(change: () => T): T {
    return this.guard(() => {
      // SQLite would go on writing to a file that has been removed or moved away.
      if (this.#identify() !== this.#identity) {
        throw new StoreUnavailable(`${this.path} was moved or replaced while it was in use; restart cless`);
      }
      // SQLite trusts the pages that it has in memory or in its log; a change to a damaged file would be lost.
      checkHead(this.#file);
      this.#forget.run();
      return this.#transact("write", change);
    });
  }

  /** Runs an action and replaces SQLite's errors by understandable ones. @throws {StoreUnavailable} */
  guard<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw unavailable(error, this.path);
    }
  }

  /**
   * Writes a copy of the database to a file, for nobody else to read. The file gets its name only when the copy is whole
   * and was checked.
   *
   * The copy is in memory for a moment. VACUUM INTO would not need that, but the platform refuses it to a process that
   * does not have every permission.
   *
   * @param existing What becomes of a file of that name: it is refused, or replaced.
   * @throws {OperatorError} If a file is there, or cannot be written.
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
      // serialize() leaves zeros in place of pages that it could not read, so damage is found only by a look at the copy.
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

  /** SQLite opens a file that it may only read, and fails at the first change; so one is tried and rolled back. */
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

/** Makes an empty file that nobody else may read if there is none, and takes others' rights to an existing one. */
function makePrivate(path: string): void {
  try {
    Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }).close();
    syncFolder(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    // It must not be opened here: closing it again would release SQLite's locks on it.
    const { mode } = Deno.statSync(path);
    if (mode !== null && (mode & 0o077) !== 0) Deno.chmodSync(path, 0o600);
  }
}

/** Tells a file from others that had its name before; `undefined` if there is none. */
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
