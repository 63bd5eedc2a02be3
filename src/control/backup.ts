import { messageOf, OperatorError, plainMessageOf } from "../base/errors.ts";
import type { Store } from "./store.ts";

/** A file of a data-dir. */
export interface BackupFile {
  /** Its name in the data-dir. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** What else than the database belongs to a backup. There is no key where it is given to the program in another way. */
const FILES = [
  { name: "owner", isNeeded: true },
  { name: "admin-token", isNeeded: true },
  { name: "secret-key", isNeeded: false },
];

/**
 * All that another machine needs to go on: copied into an empty folder, the files are a data-dir.
 *
 * @param dataDir Its path.
 * @throws {OperatorError} When something cannot be read, or the copy of the database cannot be made.
 */
export async function backupFiles(store: Pick<Store, "backup">, dataDir: string): Promise<BackupFile[]> {
  const database = { name: "cless.sqlite", bytes: copyOf(store, `${dataDir}/cless.sqlite.backup`) };
  const others = await Promise.all(FILES.map(async ({ name, isNeeded }) => {
    const bytes = await read(`${dataDir}/${name}`, isNeeded);
    return bytes === undefined ? [] : [{ name, bytes }];
  }));
  return [database, ...others.flat()];
}

/** Without a pause, so that two backups at once do not get in each other's way. */
function copyOf(store: Pick<Store, "backup">, path: string): Uint8Array {
  removeIfThere(path); // of a process that was killed
  try {
    store.backup(path);
    return Deno.readFileSync(path);
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    throw new OperatorError(`cannot read ${path}: ${messageOf(error)}`);
  } finally {
    removeIfThere(path);
  }
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // What is in the way is told by whoever writes there.
  }
}

async function read(path: string, isNeeded: boolean): Promise<Uint8Array | undefined> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound && !isNeeded) return undefined;
    throw new OperatorError(`cannot read ${path}: ${plainMessageOf(error)}`);
  }
}
