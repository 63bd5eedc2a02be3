import { DatabaseSync } from "node:sqlite";

/** The first version of the database that stores which revisions have the container defaults. */
const SINCE = 3;

/** The revisions and images that are older than the container defaults. Their containers do not get these defaults. */
export interface OlderRecords {
  /** The names of revisions, sorted by service and age. */
  readonly revisions: readonly string[];
  /** The ids of the convention's images; `undefined` if they are not stored yet: then every image counts as older. */
  readonly images: readonly string[] | undefined;
}

/**
 * Reads a data-dir's database, without a change, while another process may use it.
 *
 * @returns `undefined` if there is no database, or nothing in it.
 * @throws {Error} If it cannot be read.
 */
export function readOlderRecords(folder: string): OlderRecords | undefined {
  const path = `${folder}/cless.sqlite`;
  try {
    if (Deno.statSync(path).size === 0) return undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  using db = new DatabaseSync(path, { readOnly: true });
  const version = Number(db.prepare("PRAGMA user_version").get()?.["user_version"] ?? 0);
  if (version === 0) return undefined;
  const condition = version < SINCE ? "" : "WHERE isolated = 0";
  const revisions = db.prepare(`SELECT name FROM revision ${condition} ORDER BY service, id`).all();
  const row = version < SINCE ? undefined : db.prepare("SELECT ids FROM older_images").get();
  return {
    revisions: revisions.map(({ name }) => String(name)),
    images: row && JSON.parse(String(row["ids"])),
  };
}
