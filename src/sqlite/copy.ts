import { DatabaseSync } from "node:sqlite";
import { OperatorError } from "../base/errors.ts";
import type { Connection } from "./connection.ts";
import { adviceOn, checkSound, faultOf, unavailable } from "./fault.ts";
import { identityOf, syncFolder, writeAll } from "./file.ts";

/** Bytes of a database that say how it is written: 2 is by a log, 1 is directly. https://www.sqlite.org/fileformat.html */
const WRITE_VERSION = 18;
const READ_VERSION = 19;

/**
 * Writes a copy of a database to a file that is whole, sound and readable by nobody else, or not there at all. The copy
 * is in memory for a moment: VACUUM INTO would not need that, but the platform keeps it from a process that has not every
 * permission.
 *
 * @param there What becomes of a file that is there already.
 * @throws {OperatorError} When the file is kept, or cannot be written.
 * @throws {StoreUnavailable} When the database cannot be read, or is damaged.
 */
export function writeCopy(connection: Connection, path: string, there: "keep" | "replace"): void {
  const draft = `${path}.partial`;
  try {
    if (there === "keep" && identityOf(path) !== undefined) {
      throw new OperatorError(`${path} is there already; name another file`);
    }
    removeIfThere(draft); // of a process that was killed
    const image = connection.read(() => imageOf(connection.db));
    image[WRITE_VERSION] = image[READ_VERSION] = 1; // one file has everything
    using file = Deno.openSync(draft, { write: true, createNew: true, mode: 0o600 });
    writeAll(file, image);
    file.syncSync();
    checkFile(draft);
    Deno.renameSync(draft, path);
    syncFolder(path);
  } catch (error) {
    const fault = faultOf(error);
    if (fault === undefined || fault === "damaged") throw unavailable(error, connection.path);
    throw new OperatorError(adviceOn(fault, path), { cause: error });
  } finally {
    removeIfThere(draft);
  }
}

/** A database as the bytes of a file, with what is only in the log so far. */
function imageOf(db: DatabaseSync): Uint8Array {
  db.prepare("SELECT 1 FROM sqlite_schema").get(); // a database that cannot be read says why here, and not below
  return db.serialize();
}

/** Pages that could not be read are zeros in the image: so what was damaged is found here. */
function checkFile(path: string): void {
  using db = new DatabaseSync(path, { readOnly: true });
  checkSound(db);
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // What is in the way is told where the file is made.
  }
}
