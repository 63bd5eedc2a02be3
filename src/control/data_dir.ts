import { messageOf, OperatorError, plainMessageOf } from "../base/errors.ts";
import { readIfThere, removeIfThere, writeAtomically } from "../base/atomic_file.ts";
import type { Store } from "./store.ts";

const OWNER = /^[0-9a-f]{8}$/;
const TOKEN = /^[A-Za-z0-9_-]{32,}$/;

const CALL_FILE = "serve.json";
/** There is no key file if the key is in the environment, and no identity if there is only one machine. */
const OPTIONAL_FILES = ["secret-key", "peer-identity"];

/** How a process was started; kept in the data-dir, for `cless upgrade`. */
export interface ServeCall {
  readonly pid: number;
  readonly version: string;
  /** The user; `null` if unknown. */
  readonly uid: number | null;
  /** The arguments of `cless serve`. */
  readonly args: readonly string[];
  /** The variables that its settings come from, without the key of the secrets. */
  readonly env: Readonly<Record<string, string>>;
  readonly folder: string;
}

/** The folder with all state that outlives the process. */
export interface DataDir {
  /** Absolute. */
  readonly path: string;
  /** The id that marks the containers of this data-dir, so that other cless processes leave them alone. */
  readonly owner: string;
  /** Whether the folder is new: {@linkcode settle} was never called for it. */
  readonly isNew: boolean;
  /** The owner's token for the admin API. */
  readonly token: string;
  readonly tokenFile: string;
  /** When the token was made, ms since 1970, by the clock of the machine that made it. */
  readonly tokenMadeAt: number;
  /**
   * Writes the id of a new folder. Call it when all other state has been created. From then on, the folder is not new,
   * and must have a database. If the process is killed before, the folder is still new.
   */
  settle(): void;
  /** Replaces the token and returns the new one. @throws {OperatorError} If it cannot be stored; the old one stays. */
  rotateToken(): string;
  /** Takes the token of another machine of the owner. @throws {OperatorError} As {@linkcode rotateToken} does. */
  takeToken(token: string, madeAt: number): void;
  /**
   * Writes to the file `serve.json` how this process was started. Disposal removes the file. @throws If it cannot be
   * written.
   */
  keepCall(call: ServeCall): void;
  /**
   * Writes the admin API's HOST:PORT to the file `admin-address`, for clients on this machine. Disposal removes the
   * file.
   */
  announceAdmin(address: string): void;
  /**
   * Copies of the files that another machine needs to continue. In an empty folder, they make a data-dir.
   *
   * @throws {OperatorError} If a file cannot be read, or the database cannot be copied.
   */
  backup(store: Pick<Store, "backup">): Promise<readonly BackupFile[]>;
  /**
   * Locks the folder for this process; also possible again after {@linkcode unlock}. @throws {OperatorError} If another
   * process has it.
   */
  lock(): Promise<void>;
  /** Unlocks the folder, so that a successor can lock it. */
  unlock(): void;
  /** Keeps disposal from removing files, which a successor has taken over. */
  leave(): void;
  /** Removes `serve.json` and `admin-address` if this process has written them, and unlocks the folder. */
  [Symbol.dispose](): void;
}

/** What a data-dir has in common with those of the other machines of the same owner. */
export interface Shared {
  readonly owner: string;
  /** The owner's token for the admin API. */
  readonly token: string;
  /** When it was made, ms since 1970. */
  readonly tokenMadeAt: number;
}

/**
 * Opens the folder, and locks it for this process. Creates the folder and its files if they are missing.
 *
 * @param isLocked Whether to lock it now. A successor locks it later.
 * @param shared What a new folder gets instead of an id and a token of its own. An older one must have the same id.
 * @throws {OperatorError} If it cannot be used; the message says why and what to do.
 */
export async function openDataDir(path: string, isLocked = true, shared?: Shared): Promise<DataDir> {
  try {
    await Deno.mkdir(path, { recursive: true, mode: 0o700 });
    if (!(await Deno.stat(path)).isDirectory) throw new Error("it is a file");
    const lock = await Deno.open(`${path}/lock`, { create: true, read: true, write: true, mode: 0o600 });
    try {
      const absolute = await Deno.realPath(path);
      if (isLocked) await lockFile(lock, path);
      const ownerFile = `${absolute}/owner`;
      const found = await readChecked(`${path}/owner`, OWNER);
      const owner = found ?? shared?.owner ?? randomHex(4);
      if (shared !== undefined && owner !== shared.owner) {
        throw new OperatorError(
          `the data-dir ${path} belongs to another cless, with the id ${owner}; name a new one with --data-dir, or ` +
            "move this one away, after cless export of its services if they are to move too",
        );
      }
      const tokenFile = `${path}/admin-token`;
      const foundToken = await readChecked(tokenFile, TOKEN);
      const given = found === undefined ? shared : undefined;
      let token = given?.token ?? foundToken ?? newToken();
      if (foundToken === undefined || given !== undefined) writeToken(tokenFile, token, given?.tokenMadeAt);
      const adminFile = `${absolute}/admin-address`;
      const announced = new Set<string>();
      return {
        path: absolute,
        owner,
        isNew: found === undefined,
        settle() {
          if (found === undefined) writeAtomically(ownerFile, `${owner}\n`);
        },
        tokenFile,
        get token() {
          return token;
        },
        get tokenMadeAt() {
          return Deno.statSync(tokenFile).mtime?.getTime() ?? 0;
        },
        rotateToken: () => token = storeToken(tokenFile, newToken()),
        takeToken(other, madeAt) {
          token = storeToken(tokenFile, other, madeAt);
        },
        backup: (store) => backupFiles(store, absolute),
        announceAdmin(address) {
          writeAtomically(adminFile, `${address}\n`, { mode: 0o644 });
          announced.add(adminFile);
        },
        keepCall(call) {
          writeAtomically(`${absolute}/${CALL_FILE}`, `${JSON.stringify(call, undefined, 2)}\n`);
          announced.add(`${absolute}/${CALL_FILE}`);
        },
        lock: () => lockFile(lock, path),
        unlock: () => lock.unlockSync(),
        leave: () => announced.clear(),
        [Symbol.dispose]() {
          announced.forEach(removeIfThere); // before the lock is released and another process writes its own
          lock.close();
        },
      };
    } catch (error) {
      lock.close();
      throw error;
    }
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    throw new OperatorError(`cannot use the data-dir ${path}: ${explain(error)}; name another one with --data-dir`);
  }
}

/** How the process that uses a data-dir was started. @throws {OperatorError} If that is not known. */
export async function readCall(dataDir: string): Promise<ServeCall> {
  try {
    return JSON.parse(await Deno.readTextFile(`${dataDir}/${CALL_FILE}`));
  } catch (error) {
    const reason = error instanceof Deno.errors.NotFound ? "no cless is running there" : explain(error);
    throw new OperatorError(`cannot upgrade the cless of the data-dir ${dataDir}: ${reason}`);
  }
}

/** Whether a running process holds the folder's lock; `undefined` if there is no such folder. */
export async function isDataDirInUse(path: string): Promise<boolean | undefined> {
  try {
    using file = await Deno.open(`${path}/lock`, { read: true, write: true });
    return !await file.tryLock(true);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** The process that has locked the folder, or did so last; `undefined` if there is none. */
export async function lockHolder(path: string): Promise<number | undefined> {
  try {
    return Number((await Deno.readTextFile(`${path}/lock`)).trim()) || undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Locks the folder. The kernel unlocks it when the process ends, however that happens. */
async function lockFile(file: Deno.FsFile, path: string): Promise<void> {
  if (await file.tryLock(true)) {
    await file.truncate();
    await file.seek(0, Deno.SeekMode.Start);
    await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
    return;
  }
  const pid = await lockHolder(path);
  throw new OperatorError(
    `the data-dir ${path} is in use by another cless (pid ${pid}); stop it, or name another one with --data-dir`,
  );
}

/** Reads and checks a file, and makes it private to this user. Returns its text; `undefined` if there is no file. */
async function readChecked(path: string, form: RegExp): Promise<string | undefined> {
  const found = (await readIfThere(path))?.trim();
  if (found === undefined) return undefined;
  if (!form.test(found)) {
    throw new OperatorError(`${path} is damaged; restore it, or remove it to have a new one made`);
  }
  await makePrivate(path);
  return found;
}

/** Removes other users' permissions on a file. An operator may have put it there with more. */
export async function makePrivate(path: string): Promise<void> {
  const { mode } = await Deno.stat(path);
  if (mode !== null && (mode & 0o077) !== 0) await Deno.chmod(path, 0o600);
}

/** Stores the token, and returns it. @throws {OperatorError} */
function storeToken(tokenFile: string, token: string, madeAt?: number): string {
  try {
    writeToken(tokenFile, token, madeAt);
  } catch (error) {
    throw new OperatorError(`cannot write ${tokenFile}: ${explain(error)}; the token is as before`);
  }
  return token;
}

/** @param madeAt When the token was made, ms since 1970: the time of the file. Now by default. */
function writeToken(tokenFile: string, token: string, madeAt?: number): void {
  writeAtomically(tokenFile, `${token}\n`);
  if (madeAt !== undefined) Deno.utimeSync(tokenFile, new Date(madeAt), new Date(madeAt));
}

const randomHex = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes)).toHex();
const newToken = () => randomHex(32);

function explain(error: unknown): string {
  if (error instanceof Deno.errors.AlreadyExists || error instanceof Deno.errors.NotADirectory) return "it is a file";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  return plainMessageOf(error);
}

/** A file of a data-dir. */
export interface BackupFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

async function backupFiles(store: Pick<Store, "backup">, dataDir: string): Promise<BackupFile[]> {
  const database = { name: "cless.sqlite", bytes: copyOf(store, `${dataDir}/cless.sqlite.backup`) };
  const others = await Promise.all(["owner", "admin-token", ...OPTIONAL_FILES].map(async (name) => {
    const bytes = await read(`${dataDir}/${name}`);
    return bytes === undefined ? [] : [{ name, bytes }];
  }));
  return [database, ...others.flat()];
}

/** Copies the database. It is synchronous, so that two backups cannot use the temporary file at the same time. */
function copyOf(store: Pick<Store, "backup">, path: string): Uint8Array {
  removeIfThere(path); // a killed process may have left it
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

async function read(path: string): Promise<Uint8Array | undefined> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound && OPTIONAL_FILES.some((name) => path.endsWith(`/${name}`))) {
      return undefined;
    }
    throw new OperatorError(`cannot read ${path}: ${plainMessageOf(error)}`);
  }
}
