import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { RevisionRecord } from "../control/records.ts";
import { parseTemplateText, templateText } from "../domain/template.ts";

interface RevisionRow {
  name: string;
  service: string;
  template: string;
  image_id: string;
  image_digest: string | null;
  pulled: number;
  secret_versions: string;
  created_at: number;
}

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
    return (this.#all.all() as unknown as RevisionRow[]).map(recordOf);
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

function recordOf(row: RevisionRow): RevisionRecord {
  return {
    name: row.name,
    service: row.service,
    template: parseTemplateText(row.template),
    imageId: row.image_id,
    imageDigest: row.image_digest ?? undefined,
    pulled: row.pulled !== 0,
    secretVersions: JSON.parse(row.secret_versions),
    createdAt: row.created_at,
  };
}
