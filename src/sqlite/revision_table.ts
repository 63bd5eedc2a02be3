import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { RevisionRecord } from "../control/records.ts";
import { templateText } from "../domain/template.ts";
import { type RevisionRow, StoredRevision } from "./stored_revision.ts";

/** The revisions of all services. */
export class RevisionTable {
  readonly #all: StatementSync;
  readonly #add: StatementSync;
  readonly #remove: StatementSync;

  constructor(db: DatabaseSync) {
    const columns = "name, service, template, image_id, image_digest, pulled, secret_versions, created_at";
    this.#all = db.prepare(`SELECT ${columns} FROM revision ORDER BY service, id`);
    this.#add = db.prepare(`INSERT INTO revision (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#remove = db.prepare("DELETE FROM revision WHERE name = ? AND service = ?");
  }

  /** Every revision, by its service's name and by age. */
  all(): RevisionRecord[] {
    // Row by row: all of them at once would be as much memory again.
    return Array.from(this.#all.iterate() as Iterable<unknown>, (row) => new StoredRevision(row as RevisionRow));
  }

  /** Keeps a new revision. */
  add(revision: RevisionRecord): void {
    this.#add.run(
      revision.name,
      revision.service,
      templateText(revision.template),
      revision.imageId,
      revision.imageDigest ?? null,
      revision.pulled ? 1 : 0,
      JSON.stringify(revision.secretVersions),
      revision.createdAt,
    );
  }

  /** Removes a revision of a service. */
  remove(name: string, service: string): void {
    this.#remove.run(name, service);
  }
}
