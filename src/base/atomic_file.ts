const encoder = new TextEncoder();

/** Options of {@linkcode writeAtomically}. */
export interface WriteOptions {
  /** Whether an existing file is replaced (the default), or kept and nothing written. */
  readonly existing?: "replace" | "keep";
  /** The permissions of the new file, whatever the umask; 0600 by default. */
  readonly mode?: number;
  /** Checks the content on disk before the file gets its name. If it throws, nothing changes. */
  readonly check?: (draft: string) => void;
}

/**
 * Writes a file atomically: even a power cut leaves the old content or the new one. Blocks until it is on disk. Returns
 * false if it kept an existing file.
 */
export function writeAtomically(path: string, content: string | Uint8Array, options: WriteOptions = {}): boolean {
  const { existing = "replace", mode = 0o600, check } = options;
  const bytes = typeof content === "string" ? encoder.encode(content) : content;
  const draft = `${path}.new`;
  removeIfThere(draft); // a killed process may have left it
  try {
    {
      using file = Deno.openSync(draft, { write: true, createNew: true, mode: 0o600 });
      for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
      if (mode !== 0o600) Deno.chmodSync(draft, mode);
      file.syncSync(); // before the rename: a power cut could otherwise leave the name without the content
    }
    check?.(draft);
    if (existing === "replace") Deno.renameSync(draft, path);
    else if (!link(draft, path)) return false;
  } finally {
    removeIfThere(draft);
  }
  syncFolder(path);
  return true;
}

/** Flushes the folder of a file, so that new names in it survive a power cut. */
export function syncFolder(path: string): void {
  using folder = Deno.openSync(path.replace(/[^/]*$/, "") || ".", { read: true });
  folder.syncSync();
}

/** Gives a file a second name, unless the name is taken. Returns whether it did. */
function link(from: string, to: string): boolean {
  try {
    Deno.linkSync(from, to);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  }
}

/** The text of a file; `undefined` if there is none. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Removes a file. Ignores any failure: if something is in the way, the next use of the path reports it. */
export function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // There is none, or it cannot be removed.
  }
}
