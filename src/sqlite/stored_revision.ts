import type { RevisionRecord } from "../control/records.ts";
import { type Demands, isUndemanding, parseTemplateText, type RevisionTemplate } from "../domain/template.ts";

/** A revision as the table has it. */
export interface RevisionRow {
  name: string;
  service: string;
  template: string;
  image_id: string;
  image_digest: string | null;
  pulled: number;
  secret_versions: string;
  created_at: number;
}

const NO_SECRETS = "{}";
const NO_VERSIONS: Readonly<Record<string, number>> = Object.freeze({});

/** A revision that was read, with its template as text: of many, few are asked for theirs, and a text is small. */
export class StoredRevision implements RevisionRecord {
  readonly name: string;
  readonly service: string;
  readonly undemanding: boolean;
  readonly imageId: string;
  readonly imageDigest: string | undefined;
  readonly pulled: boolean;
  readonly secretVersions: Readonly<Record<string, number>>;
  readonly createdAt: number;
  readonly #template: string;

  /** @throws {SyntaxError} Where the row is damaged. */
  constructor(row: RevisionRow) {
    this.name = row.name;
    this.service = row.service;
    this.undemanding = isUndemanding(JSON.parse(row.template) as Demands);
    this.imageId = row.image_id;
    this.imageDigest = row.image_digest ?? undefined;
    this.pulled = row.pulled !== 0;
    this.secretVersions = row.secret_versions === NO_SECRETS ? NO_VERSIONS : JSON.parse(row.secret_versions);
    this.createdAt = row.created_at;
    this.#template = row.template;
  }

  get template(): RevisionTemplate {
    return parseTemplateText(this.#template);
  }
}
