import type { DatabaseSync } from "node:sqlite";
import { StoreUnavailable } from "../control/store.ts";

/** What outside of cless can keep a database from working. */
export type Fault = "full" | "locked" | "damaged" | "denied" | "failing";

/** By SQLite's primary result codes and their texts, https://www.sqlite.org/rescode.html */
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
/** SQLITE_IOERR_SHMSIZE: no room for the index of the log, which is a file too. */
const NO_ROOM_FOR_INDEX = 4874;

/** By the system's names of errors, for files that are opened without SQLite. */
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

/** What every database begins with. https://www.sqlite.org/fileformat.html */
const HEAD = "SQLite format 3\0";

/** What a check has found. */
class DamageError extends Error {
  override readonly name = "DamageError";
}

/** Looks whether an open file is still a database, in a few µs. @throws {Error} One that tells of damage. */
export function checkHead(file: Deno.FsFile): void {
  const head = new Uint8Array(HEAD.length);
  file.seekSync(0, Deno.SeekMode.Start);
  const read = file.readSync(head);
  if (read !== head.length || new TextDecoder().decode(head) !== HEAD) throw new DamageError("no database any more");
}

/** Looks through a whole database, in some 1 ms for each MB. @throws {Error} One that tells of damage. */
export function checkSound(db: DatabaseSync): void {
  const { quick_check: found } = db.prepare("PRAGMA quick_check(1)").get() as { quick_check: string };
  if (found !== "ok") throw new DamageError(found);
}

/** The fault that an error tells of; `undefined` for any other error, such as a mistake in the program. */
export function faultOf(error: unknown): Fault | undefined {
  if (!(error instanceof Error)) return undefined;
  // Nobody can have written JSON of a wrong syntax; SQLite has no code of its own for that.
  const isJson = error instanceof SyntaxError || error.message === "malformed JSON";
  if (error instanceof DamageError || isJson) return "damaged";
  const { code, errcode } = error as { code?: string; errcode?: number };
  if (code !== "ERR_SQLITE_ERROR") return BY_SYSTEM[code ?? ""];
  if (errcode === NO_ROOM_FOR_INDEX) return "full";
  // Not all methods of the platform pass the code on, but then the text comes first.
  return BY_RESULT.find(([result, text]) =>
    errcode === undefined ? error.message.startsWith(text) : (errcode & 0xff) === result
  )?.[2];
}

/** What is wrong with a file and what to do, in one line. */
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

/** What to throw in place of an error that came while a database was in use: the error itself where it is no fault. */
export function unavailable(error: unknown, path: string): unknown {
  const fault = faultOf(error);
  return fault === undefined ? error : new StoreUnavailable(adviceOn(fault, path), { cause: error });
}
