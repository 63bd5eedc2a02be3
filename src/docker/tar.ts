const BLOCK_BYTES = 512;
const decoder = new TextDecoder();

/** The first entry of an archive. */
export interface TarEntry {
  readonly isFolder: boolean;
  /** The permissions, such as 0o755. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** The content as far as it is there. */
  readonly content: Uint8Array;
}

/**
 * Reads the first entry of an archive from its first bytes. Returns `undefined` if it is neither a file nor a folder, or
 * if its head does not say all: larger numbers than the format has room for are in an extension.
 * https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html#tag_20_92_13_06
 */
export function firstEntry(archive: Uint8Array): TarEntry | undefined {
  if (archive.length < BLOCK_BYTES) return undefined;
  const text = (at: number, length: number) => decoder.decode(archive.subarray(at, at + length)).replace(/[\0 ]+$/, "");
  const octal = (at: number, length: number) => /^[0-7]+$/.test(text(at, length)) ? parseInt(text(at, length), 8) : NaN;
  const [mode, uid, gid, size] = [octal(100, 8), octal(108, 8), octal(116, 8), octal(124, 12)] as const;
  const type = text(156, 1);
  if (!["", "0", "5"].includes(type) || [mode, uid, gid, size].some(Number.isNaN)) return undefined;
  const content = archive.subarray(BLOCK_BYTES, BLOCK_BYTES + size);
  return { isFolder: type === "5", mode: mode & 0o7777, uid, gid, content };
}
