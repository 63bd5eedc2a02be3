import type { DatabaseSync } from "node:sqlite";
import { StoreUnavailable } from "../control/store.ts";

/** A reason outside of cless that keeps a database from working. */
export type Fault = "full" | "locked" | "damaged" | "denied" | "failing";

/** The faults by SQLite's primary result codes and their texts, https://www.sqlite.org/rescode.html */
const BY_RESULT: readonly [code: number, text: string, fault: Fault][] = [
  [3, "access permission denied", "denied"],
  [5, "database is locked", "locked"],
  [8, "attempt to write a readonly database", "denied"],
  [10, "disk I/O error", "failing"],
  [11, "database disk image is malformed", "damaged"],
  [13, "database or disk is full", "full"],
  [14, "unable to open database file", "denied"],
  [15, "locking protocol", "locked"],
  [26, "file is not a database", "damaged"],
];
/** SQLITE_IOERR_SHMSIZE: there is no space for the file with the log's index. */
const IOERR_SHMSIZE = 4874;

/** The faults by the system's error names, for files that are used without SQLite. */
const BY_SYSTEM: Record<string, Fault> = {
  ENOSPC: "full",
  EDQUOT: "full",
  EIO: "failing",
  EACCES: "denied",
  EPERM: "denied",
  EROFS: "denied",
  ENOENT: "denied",
  ENOTDIR: "denied",
  EISDIR: "denied",
};

/** The first bytes of every database. https://www.sqlite.org/fileformat.html */
const HEAD = "SQLite format 3\0";

/** A check has found damage. */
class DamageError extends Error {
  override readonly name = "DamageError";
}

/** Checks the first bytes of an open database file, which takes a few µs. @throws {Error} With the fault `damaged`. */
export function checkHead(file: Deno.FsFile): void {
  const head = new Uint8Array(HEAD.length);
  file.seekSync(0, Deno.SeekMode.Start);
  const read = file.readSync(head);
  if (read !== head.length || new TextDecoder().decode(head) !== HEAD) throw new DamageError("no database any more");
}

/** Checks a whole database, which takes about 1 ms per MB. @throws {Error} With the fault `damaged`. */
export function checkSound(db: DatabaseSync): void {
  const { quick_check: found } = db.prepare("PRAGMA quick_check(1)").get() as { quick_check: string };
  if (found !== "ok") throw new DamageError(found);
}

/** The fault behind an error; `undefined` for other errors, such as bugs. */
export function faultOf(error: unknown): Fault | undefined {
  if (!(error instanceof Error)) return undefined;
  // cless never writes invalid JSON, so this is damage. SQLite has no code for it.
  const isJson = error instanceof SyntaxError || error.message === "malformed JSON";
  if (error instanceof DamageError || isJson) return "damaged";
  const { code, errcode } = error as { code?: string; errcode?: number };
  if (code !== "ERR_SQLITE_ERROR") return BY_SYSTEM[code ?? ""];
  if (errcode === IOERR_SHMSIZE) return "full";
  // Some of the platform's methods lose the code, but their message begins with the text.
  return BY_RESULT.find(([result, text]) =>
    errcode === undefined ? error.message.startsWith(text) : (errcode & 0xff) === result
  )?.[2];
}

/** One line for the operator: what is wrong with a file and what to do. */
export function adviceOn(fault: Fault, path: string): string {
  switch (fault) {
    case "full":
      return `no space is left for ${path}; free some, and try again`;
    case "locked":
      return `another process has locked ${path}; end it, or wait until it is done, and try again`;
    case "damaged":
      return `${path} is damaged; stop cless, put a copy of a backup there, and remove ${path}-wal and ${path}-shm`;
    case "denied":
      return `cannot open or write ${path}; see that its folder is there, that this user may write in it and to the ` +
        "file, and that the file system is not read-only";
    case "failing":
      return `cannot read or write ${path}: the disk refuses; look for the reason in the kernel's log (dmesg)`;
  }
}

/** Turns a database's error into a {@linkcode StoreUnavailable} if it is a fault; returns other errors unchanged. */
export function unavailable(error: unknown, path: string): unknown {
  const fault = faultOf(error);
  return fault === undefined ? error : new StoreUnavailable(adviceOn(fault, path), { cause: error });
}
