import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { RevisionMark, RevisionRecord, ServiceRecord } from "../control/records.ts";
import { DomainTakenError } from "../control/store.ts";
import { logger } from "../base/log.ts";
import { parseTemplateText, templateText } from "../model/template.ts";
import type { Loading } from "../model/service.ts";

const log = logger("store");

interface ServiceRow {
  name: string;
  revision_history: number;
  traffic: string;
  previous_traffic: string;
  latest_revision: string;
  last_number: number;
  generation: number;
  declared_by: string | null;
  created_at: number;
  updated_at: number;
  wake: string;
  loading: string;
}

/** The services and their domains. */
export class ServiceTable {
  readonly #page: StatementSync;
  readonly #domainsOfPage: StatementSync;
  readonly #one: StatementSync;
  readonly #domains: StatementSync;
  readonly #generation: StatementSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;
  readonly #deleteDomains: StatementSync;
  readonly #owner: StatementSync;
  readonly #addDomain: StatementSync;

  constructor(db: DatabaseSync) {
    this.#page = db.prepare("SELECT * FROM service WHERE name > ? ORDER BY name LIMIT ?");
    this.#domainsOfPage = db.prepare(`
      SELECT name, service FROM domain WHERE service > ? AND service <= ? ORDER BY service, position`);
    this.#one = db.prepare("SELECT * FROM service WHERE name = ?");
    this.#domains = db.prepare("SELECT name FROM domain WHERE service = ? ORDER BY position");
    this.#generation = db.prepare("SELECT generation FROM service WHERE name = ?");
    // Not REPLACE, which would first delete the row, and with it the revisions.
    this.#put = db.prepare(`
      INSERT INTO service VALUES (
        :name, :revision_history, :traffic, :previous_traffic, :latest_revision, :last_number, :generation,
        :declared_by, :created_at, :updated_at, :wake, :loading
      )
      ON CONFLICT (name) DO UPDATE SET
        revision_history = excluded.revision_history, traffic = excluded.traffic,
        previous_traffic = excluded.previous_traffic, latest_revision = excluded.latest_revision,
        last_number = excluded.last_number, generation = excluded.generation, declared_by = excluded.declared_by,
        created_at = excluded.created_at, updated_at = excluded.updated_at,
        wake = excluded.wake, loading = excluded.loading`);
    this.#delete = db.prepare("DELETE FROM service WHERE name = ?");
    this.#deleteDomains = db.prepare("DELETE FROM domain WHERE service = ?");
    this.#owner = db.prepare("SELECT service FROM domain WHERE name = ?");
    this.#addDomain = db.prepare("INSERT INTO domain VALUES (?, ?, ?)");
  }

  /** The services whose names come after one, by name; at most `limit`. */
  page(after: string, limit: number): ServiceRecord[] {
    const rows = this.#page.all(after, limit) as unknown as ServiceRow[];
    const last = rows.at(-1)?.name ?? after;
    const domainRows = this.#domainsOfPage.all(after, last) as { name: string; service: string }[];
    const domains = Map.groupBy(domainRows, ({ service }) => service);
    const shared = new SharedValues();
    return rows.map((row) => serviceOf(row, (domains.get(row.name) ?? []).map(({ name }) => name), shared));
  }

  one(name: string): ServiceRecord | undefined {
    const row = this.#one.get(name) as ServiceRow | undefined;
    if (row === undefined) return undefined;
    const domains = this.#domains.all(name) as { name: string }[];
    return serviceOf(row, domains.map((domain) => domain.name), new SharedValues());
  }

  ownerOf(domain: string): string | undefined {
    return (this.#owner.get(domain) as { service: string } | undefined)?.service;
  }

  generation(name: string): number | undefined {
    return (this.#generation.get(name) as { generation: number } | undefined)?.generation;
  }

  /** Stores a service; replaces one of the same name. @throws {DomainTakenError} */
  put(service: ServiceRecord): void {
    const row: ServiceRow = rowOf(service);
    this.#put.run({ ...row });
    this.#deleteDomains.run(service.name);
    for (const [position, domain] of service.domains.entries()) {
      const owner = this.ownerOf(domain);
      if (owner !== undefined) throw new DomainTakenError(domain, owner);
      this.#addDomain.run(domain, service.name, position);
    }
  }

  /** Also removes its domains and revisions. */
  delete(name: string): void {
    this.#delete.run(name);
  }
}

/** Equal values of many services, parsed once and shared. */
class SharedValues {
  readonly #byText = new Map<string, unknown>();

  of<T>(text: string): T {
    let value = this.#byText.get(text);
    if (value === undefined) this.#byText.set(text, value = JSON.parse(text));
    return value as T;
  }
}

function serviceOf(row: ServiceRow, domains: string[], shared: SharedValues): ServiceRecord {
  return {
    name: row.name,
    domains,
    revisionHistory: row.revision_history,
    wake: shared.of(row.wake),
    loading: row.loading as Loading,
    traffic: shared.of(row.traffic),
    previousTraffic: JSON.parse(row.previous_traffic),
    latestRevision: row.latest_revision,
    lastNumber: row.last_number,
    generation: row.generation,
    declaredBy: row.declared_by ?? undefined,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

function rowOf(service: ServiceRecord): ServiceRow {
  return {
    name: service.name,
    revision_history: service.revisionHistory,
    traffic: JSON.stringify(service.traffic),
    previous_traffic: JSON.stringify(service.previousTraffic),
    latest_revision: service.latestRevision,
    last_number: service.lastNumber,
    generation: service.generation,
    declared_by: service.declaredBy ?? null,
    created_at: service.createdAt,
    updated_at: service.updatedAt,
    wake: JSON.stringify(service.wake),
    loading: service.loading,
  };
}

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
  /** Whether a field of earlier versions was found; one warning is enough. */
  #hasWarned = false;

  constructor(db: DatabaseSync) {
    const columns = "name, service, template, image_id, image_digest, pulled, secret_versions, created_at";
    // The same rule as `isUndemanding`: parsing all templates would take most of a start's time and memory.
    this.#marks = db.prepare(`
      SELECT name, service, image_id, pulled,
        json_extract(template, '$.minInstances', '$.secretEnv', '$.volumes') = '[0,{},[]]' AS undemanding
      FROM revision WHERE service > ? AND service <= ? ORDER BY service, id`);
    this.#of = db.prepare(`SELECT ${columns} FROM revision WHERE service = ? ORDER BY id`);
    this.#add = db.prepare(`INSERT INTO revision (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#remove = db.prepare("DELETE FROM revision WHERE name = ? AND service = ?");
  }

  /** The marks of the revisions by age, for each service whose name is greater than `after` and at most `last`. */
  marks(after: string, last: string): Map<string, RevisionMark[]> {
    const rows = this.#marks.all(after, last) as unknown as MarkRow[];
    return new Map(
      [...Map.groupBy(rows, ({ service }) => service)].map(([service, own]) => [service, own.map(markOf)]),
    );
  }

  /** The revisions of a service, oldest first. */
  of(service: string): RevisionRecord[] {
    const rows = this.#of.all(service) as unknown as RevisionRow[];
    const retired = rows.find(({ template }) => /"warmPool":[1-9]/.test(template));
    if (retired !== undefined && !this.#hasWarned) {
      this.#hasWarned = true;
      log.warning("stored revision has warmPool, which has no effect any more and is ignored", {
        revision: retired.name,
      });
    }
    return rows.map(revisionOf);
  }

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

  remove(name: string, service: string): void {
    this.#remove.run(name, service);
  }
}

function markOf({ name, image_id: imageId, pulled, undemanding }: MarkRow): RevisionMark {
  return { name, imageId, pulled: pulled !== 0, undemanding: undemanding === 1 };
}

function revisionOf(row: RevisionRow): RevisionRecord {
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
