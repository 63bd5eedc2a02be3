import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { ServiceRecord } from "../control/records.ts";
import type { Loading } from "../model/waking.ts";
import { DomainTakenError } from "../control/store.ts";

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

/** Services, and the domains that belong to them. */
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
    // No REPLACE: it would delete the row first, and with it the revisions.
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

  /** The services whose names come after one, by name. @param limit How many at most. */
  page(after: string, limit: number): ServiceRecord[] {
    const rows = this.#page.all(after, limit) as unknown as ServiceRow[];
    const domains = new Map<string, string[]>();
    const last = rows.at(-1)?.name ?? after;
    for (const { name, service } of this.#domainsOfPage.all(after, last) as { name: string; service: string }[]) {
      const known = domains.get(service);
      if (known === undefined) domains.set(service, [name]);
      else known.push(name);
    }
    const shared = new SharedValues();
    return rows.map((row) => recordOf(row, domains.get(row.name) ?? [], shared));
  }

  /** A service; `undefined` where there is none. */
  one(name: string): ServiceRecord | undefined {
    const row = this.#one.get(name) as ServiceRow | undefined;
    if (row === undefined) return undefined;
    const domains = this.#domains.all(name) as { name: string }[];
    return recordOf(row, domains.map((domain) => domain.name), new SharedValues());
  }

  /** The service that has a domain; `undefined` where none does. */
  ownerOf(domain: string): string | undefined {
    return (this.#owner.get(domain) as { service: string } | undefined)?.service;
  }

  /** The generation of a service; `undefined` where there is none. */
  generation(name: string): number | undefined {
    return (this.#generation.get(name) as { generation: number } | undefined)?.generation;
  }

  /** Keeps a service in place of one of the same name. @throws {DomainTakenError} */
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

  /** Removes a service, its domains and its revisions. */
  delete(name: string): void {
    this.#delete.run(name);
  }
}

/** What many services have alike: read from its text once, and then had by all of them. */
class SharedValues {
  readonly #byText = new Map<string, unknown>();

  of<T>(text: string): T {
    let value = this.#byText.get(text);
    if (value === undefined) this.#byText.set(text, value = JSON.parse(text));
    return value as T;
  }
}

function recordOf(row: ServiceRow, domains: string[], shared: SharedValues): ServiceRecord {
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
