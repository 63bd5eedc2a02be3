import { DatabaseSync, type StatementSync } from "node:sqlite";
import { StoreUnavailable } from "../control/store.ts";
import { syncFolder, writeAtomically } from "../base/atomic_file.ts";
import { OperatorError } from "../base/errors.ts";
import { adviceOn, checkHead, checkSound, faultOf, unavailable } from "./fault.ts";

/**
 * The offsets of the two bytes of a database file that say how it is written and read: 2 means with a write-ahead log,
 * 1 without. https://www.sqlite.org/fileformat.html
 */
const WRITE_VERSION = 18;
const READ_VERSION = 19;

/** The suffix of the copy that a successor migrates. */
const NEXT = ".next";
/** The suffix of the database that this copy has replaced. */
const REPLACED = ".replaced";

/** Learns what a database does. */
export interface ConnectionObserver {
  /** Called when a change is on disk, with the time that it took. */
  wrote(ms: number): void;
  /** Called when a query or a change has failed because of something outside of cless. */
  failed(what: "read" | "write"): void;
}

/** An open database. When a change returns, it is on disk. */
export class Connection implements Disposable {
  readonly db: DatabaseSync;
  readonly path: string;
  observer: ConnectionObserver | undefined;
  /** Identifies the file that was opened. */
  readonly #identity: string;
  /**
   * The open file. It must be closed last, since closing it releases SQLite's locks on the file. `undefined` if changes
   * are refused.
   */
  readonly #file: Deno.FsFile | undefined;
  readonly #forget: StatementSync;
  readonly #begin: Record<"read" | "write", StatementSync>;
  readonly #commit: StatementSync;
  readonly #rollback: StatementSync;

  private constructor(db: DatabaseSync, path: string, isSealed = false) {
    this.db = db;
    this.path = path;
    this.#begin = { read: db.prepare("BEGIN"), write: db.prepare("BEGIN IMMEDIATE") };
    this.#commit = db.prepare("COMMIT");
    this.#rollback = db.prepare("ROLLBACK");
    this.#forget = db.prepare("PRAGMA shrink_memory");
    if (isSealed) {
      this.#identity = "";
      return;
    }
    // The files that SQLite creates beside the database get the database's permissions.
    const { journal_mode: mode } = db.prepare("PRAGMA journal_mode = WAL").get() as { journal_mode: string };
    if (mode !== "wal") throw new OperatorError(`the file system of ${path} has no shared memory; use a local disk`);
    db.prepare("PRAGMA synchronous = FULL").run(); // otherwise a power cut could lose the last changes
    db.prepare("PRAGMA cell_size_check = ON").run(); // damage is found sooner
    checkSound(db);
    this.#checkWritable();
    this.#identity = this.#identify();
    this.#file = Deno.openSync(path, { read: true });
  }

  /**
   * Opens a database; creates it if there is none.
   *
   * @param busyTimeoutMs How long to wait for another process's lock. This process is blocked meanwhile.
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

  /**
   * Opens the copy that {@linkcode seal} has made, so that it can be migrated. {@linkcode install} then gives it the
   * database's name.
   *
   * @throws As {@linkcode open} does.
   */
  static openNext(path: string, busyTimeoutMs: number): Connection {
    return Connection.open(path + NEXT, busyTimeoutMs);
  }

  /**
   * Copies the database for a successor, then closes it. Its file is then complete and no longer used. The returned
   * connection reads from memory, and refuses changes.
   *
   * @throws {OperatorError} @throws {StoreUnavailable} If it cannot be copied. Then this connection can still be used.
   */
  seal(): Connection {
    const next = this.path + NEXT;
    for (const suffix of ["-wal", "-shm"]) removeIfThere(next + suffix); // a killed successor may have left them
    this.copyTo(next, "replace");
    const db = new DatabaseSync(":memory:");
    try {
      db.deserialize(Deno.readFileSync(next));
      const sealed = new Connection(db, this.path, true);
      this[Symbol.dispose]();
      return sealed;
    } catch (error) {
      db.close();
      throw unavailable(error, next);
    }
  }

  /** Undoes {@linkcode seal} after the successor has failed: opens the database as it was. @throws As `open` does. */
  static unseal(path: string, busyTimeoutMs: number): Connection {
    if (isThere(path + REPLACED)) {
      // The log is removed first: SQLite would take the successor's log for that of the restored file.
      for (const suffix of ["-wal", "-shm"]) removeIfThere(path + suffix);
      Deno.renameSync(path + REPLACED, path);
      syncFolder(path);
    }
    Connection.clear(path);
    return Connection.open(path, busyTimeoutMs);
  }

  /** Gives the migrated copy the database's name, and opens it there. {@linkcode unseal} can still undo that. */
  install(busyTimeoutMs: number): Connection {
    const path = this.path.slice(0, -NEXT.length);
    this[Symbol.dispose](); // merges its log into the file
    return this.guard(() => {
      if (isThere(`${path}-wal`)) throw new StoreUnavailable(`${path} was changed while it was handed over`);
      removeIfThere(path + REPLACED);
      Deno.linkSync(path, path + REPLACED);
      Deno.renameSync(this.path, path);
      syncFolder(path);
      return Connection.open(path, busyTimeoutMs);
    });
  }

  /** Removes the files that a take-over has left beside a database. */
  static clear(path: string): void {
    for (const suffix of [NEXT, `${NEXT}-wal`, `${NEXT}-shm`, REPLACED]) removeIfThere(path + suffix);
  }

  /** Runs a query, which sees a consistent state throughout. @throws {StoreUnavailable} */
  read<T>(query: () => T): T {
    return this.#observed("read", () => this.#transact("read", query));
  }

  /**
   * Runs a change. When this returns, it is on disk; when it throws, nothing has changed. @throws {StoreUnavailable}
   */
  write<T>(change: () => T): T {
    const beganMs = performance.now();
    const result = this.#observed("write", () => {
      if (this.#file === undefined) {
        throw new StoreUnavailable("another cless process is taking over; try again in a moment");
      }
      // SQLite would keep writing to a file that was removed or moved away.
      if (this.#identify() !== this.#identity) {
        throw new StoreUnavailable(`${this.path} was moved or replaced while it was in use; restart cless`);
      }
      // SQLite trusts the pages in its memory and its log, so a change to a damaged file would be lost.
      checkHead(this.#file);
      this.#forget.run();
      return this.#transact("write", change);
    });
    this.observer?.wrote(performance.now() - beganMs);
    return result;
  }

  /** Runs an action, and converts SQLite's errors. @throws {StoreUnavailable} */
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
   * The whole copy is briefly in memory. VACUUM INTO would avoid that, but the platform refuses it to a process without
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
        this.db.prepare("SELECT 1 FROM sqlite_schema").get(); // fails with a reason, which serialize() does not give
        return this.db.serialize();
      });
      image[WRITE_VERSION] = image[READ_VERSION] = 1; // without a write-ahead log, since this one file has everything
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

  /** The size of its files, bytes; 0 if they are not there. */
  get bytes(): number {
    return sizeOf(this.path) + sizeOf(`${this.path}-wal`);
  }

  #observed<T>(what: "read" | "write", action: () => T): T {
    try {
      return this.guard(action);
    } catch (error) {
      if (error instanceof StoreUnavailable) this.observer?.failed(what);
      throw error;
    }
  }

  /** Tries a change, and rolls it back: SQLite opens even a read-only file, and would fail only at the first change. */
  #checkWritable(): void {
    try {
      this.#begin.write.run();
      this.db.prepare("PRAGMA user_version = 0").run();
    } catch (error) {
      if (faultOf(error) !== "locked") throw error; // if another process has the lock, the file is writable
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
      if (this.db.isTransaction) this.#rollback.run(); // after some errors, SQLite has ended it already
      throw error;
    }
  }

  #identify(): string {
    return `${identityOf(this.path)} ${identityOf(`${this.path}-wal`)}`;
  }

  [Symbol.dispose](): void {
    if (!this.db.isOpen) return;
    this.db.close();
    this.#file?.close();
  }
}

/** Creates an empty private file if there is none. Removes other users' permissions on an existing file. */
function makePrivate(path: string): void {
  try {
    Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }).close();
    syncFolder(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    // Not opened here, since closing it would release SQLite's locks on it.
    const { mode } = Deno.statSync(path);
    if (mode !== null && (mode & 0o077) !== 0) Deno.chmodSync(path, 0o600);
  }
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function isThere(path: string): boolean {
  return identityOf(path) !== undefined;
}

/** An id that distinguishes a file from others that had the same name; `undefined` if there is no file. */
function identityOf(path: string): string | undefined {
  try {
    const { dev, ino } = Deno.statSync(path);
    return `${dev}:${ino}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch {
    return 0;
  }
}

function checkFile(path: string): void {
  using db = new DatabaseSync(path, { readOnly: true });
  checkSound(db);
}
