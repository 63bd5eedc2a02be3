import { DatabaseSync, type StatementSync } from "node:sqlite";
import { StoreUnavailable } from "../control/store.ts";
import { OperatorError } from "../base/errors.ts";
import { checkHead, checkSound, faultOf, unavailable } from "./fault.ts";
import { identityOf, makePrivate } from "./file.ts";

/** A database file that is open, for changes that are on disk when they are done. */
export class Connection implements Disposable {
  readonly db: DatabaseSync;
  readonly path: string;
  /** What the files were when they were opened. */
  readonly #identity: string;
  /** Closed last: with it go the locks that SQLite has on the file. */
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
    // The files that SQLite adds have the rights of the first one.
    const { journal_mode: mode } = db.prepare("PRAGMA journal_mode = WAL").get() as { journal_mode: string };
    if (mode !== "wal") throw new OperatorError(`the file system of ${path} has no shared memory; use a local disk`);
    db.prepare("PRAGMA synchronous = FULL").run(); // else a power cut takes the last changes
    db.prepare("PRAGMA cell_size_check = ON").run(); // damage is found sooner
    checkSound(db);
    this.#checkWritable();
    this.#identity = this.#identify();
    this.#forget = db.prepare("PRAGMA shrink_memory");
    this.#file = Deno.openSync(path, { read: true });
  }

  /**
   * Opens a database, and makes it where there is none.
   *
   * @param busyTimeout How long to wait for another process that has a lock, ms; all of this process waits with it.
   * @throws {StoreUnavailable} When it cannot be read and written, or is damaged.
   * @throws {OperatorError} When the file system is not fit for it.
   */
  static open(path: string, busyTimeout: number): Connection {
    let db: DatabaseSync | undefined;
    try {
      makePrivate(path);
      db = new DatabaseSync(path, { timeout: busyTimeout, enableForeignKeyConstraints: true });
      return new Connection(db, path);
    } catch (error) {
      db?.close();
      throw unavailable(error, path);
    }
  }

  /** Asks something; all of it sees the same state. @throws {StoreUnavailable} */
  read<T>(query: () => T): T {
    return this.guard(() => this.#transact("read", query));
  }

  /**
   * Changes something; when this returns, all of it is on disk, and when it throws, nothing has changed.
   *
   * @throws {StoreUnavailable}
   */
  write<T>(change: () => T): T {
    return this.guard(() => {
      // SQLite would go on writing to files without a name.
      if (this.#identify() !== this.#identity) {
        throw new StoreUnavailable(`${this.path} was moved or replaced while it was in use; restart cless`);
      }
      // Nor does it look again at what it has in memory or in its log; a change to a file that is damaged would be lost.
      checkHead(this.#file);
      this.#forget.run();
      return this.#transact("write", change);
    });
  }

  /** Does something, and makes what SQLite throws understandable. @throws {StoreUnavailable} */
  guard<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw unavailable(error, this.path);
    }
  }

  /** SQLite opens a file that it may only read, and says so with the first change; so one is made and taken back. */
  #checkWritable(): void {
    try {
      this.#begin.write.run();
      this.db.prepare("PRAGMA user_version = 0").run();
    } catch (error) {
      if (faultOf(error) !== "locked") throw error; // somebody else can write, and will let go
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
      if (this.db.isTransaction) this.#rollback.run(); // some errors end it themselves
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
