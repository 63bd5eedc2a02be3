import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { RevisionMark, RevisionRecord } from "../control/records.ts";
import { logger } from "../base/log.ts";
import { parseTemplateText, templateText } from "../model/template.ts";

const log = logger("store");

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

interface MarkRow {
  name: string;
  service: string;
  image_id: string;
  pulled: number;
  undemanding: number;
}

/** The revisions of all services. */
export class RevisionTable {
  readonly #marks: StatementSync;
  readonly #of: StatementSync;
  readonly #add: StatementSync;
  readonly #remove: StatementSync;

  constructor(db: DatabaseSync) {
    const columns = "name, service, template, image_id, image_digest, pulled, secret_versions, created_at";
    // As `isUndemanding` says: to read all templates would take most of the time and memory of a start.
    this.#marks = db.prepare(`
      SELECT name, service, image_id, pulled,
        json_extract(template, '$.minInstances', '$.secretEnv', '$.volumes') = '[0,{},[]]' AS undemanding
      FROM revision WHERE service > ? AND service <= ? ORDER BY service, id`);
    this.#of = db.prepare(`SELECT ${columns} FROM revision WHERE service = ? ORDER BY id`);
    this.#add = db.prepare(`INSERT INTO revision (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#remove = db.prepare("DELETE FROM revision WHERE name = ? AND service = ?");
  }

  /** The marks of the revisions of each service, by age: of those whose names come after one, and up to another. */
  marks(after: string, last: string): Map<string, RevisionMark[]> {
    const marks = new Map<string, RevisionMark[]>();
    for (const row of this.#marks.all(after, last) as unknown as MarkRow[]) {
      const { name, service, image_id: imageId, pulled, undemanding } = row;
      const mark = { name, imageId, pulled: pulled !== 0, undemanding: undemanding === 1 };
      const known = marks.get(service);
      if (known === undefined) marks.set(service, [mark]);
      else known.push(mark);
    }
    return marks;
  }

  /** The revisions of a service, by age. */
  of(service: string): RevisionRecord[] {
    return (this.#of.all(service) as unknown as RevisionRow[]).map(recordOf);
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

/** Whether a revision with a field of earlier versions has been read: one warning is enough. */
let warned = false;

function warnOfRetired({ name, template }: RevisionRow): void {
  if (warned || !/"warmPool":[1-9]/.test(template)) return;
  warned = true;
  log.warning("stored revision has warmPool, which has no effect any more and is ignored", { revision: name });
}

function recordOf(row: RevisionRow): RevisionRecord {
  warnOfRetired(row);
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
