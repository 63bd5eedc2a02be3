/** Makes an empty file that nobody else may read, where there is none, and takes others' rights to one that is there. */
export function makePrivate(path: string): void {
  try {
    Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }).close();
    syncFolder(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    // It is not opened here: to close it again would end the locks that SQLite has on it.
    const { mode } = Deno.statSync(path);
    if (mode !== null && (mode & 0o077) !== 0) Deno.chmodSync(path, 0o600);
  }
}

/** Makes the names in a file's folder outlast a power cut. */
export function syncFolder(path: string): void {
  using folder = Deno.openSync(path.replace(/[^/]*$/, "") || ".", { read: true });
  folder.syncSync();
}

/** Tells a file from any other that has its name before or after; `undefined` where there is none. */
export function identityOf(path: string): string | undefined {
  try {
    const { dev, ino } = Deno.statSync(path);
    return `${dev}:${ino}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Writes all the bytes. */
export function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
}
