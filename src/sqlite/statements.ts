import type { DatabaseSync } from "node:sqlite";
import type {
  DeployEnd,
  DeployRecord,
  HistoryEntry,
  RevisionMark,
  RevisionRecord,
  ServiceRecord,
  TokenRecord,
} from "../control/records.ts";
import { parseTemplateText } from "../model/template.ts";

/** Prepares every statement of the store. The columns have the names of the records' fields. */
export function prepareStatements(db: DatabaseSync) {
  const service = `
    SELECT name, (
        SELECT json_group_array(name)
        FROM (SELECT domain.name FROM domain WHERE domain.service = service.name ORDER BY position)
      ) AS domains,
      revision_history AS revisionHistory, wake, loading, access, limits, maintenance, traffic, previous_traffic AS previousTraffic,
      latest_revision AS latestRevision, last_number AS lastNumber, generation, declared_by AS declaredBy,
      created_at AS createdAt, updated_at AS updatedAt
    FROM service`;
  const secret = `secret.name, version, created_at AS createdAt`;
  const history = `at, service, action, "by", before, after`;
  return {
    services: db.prepare(`${service} WHERE name > ? ORDER BY name LIMIT ?`),
    service: db.prepare(`${service} WHERE name = ?`),
    generation: db.prepare("SELECT generation FROM service WHERE name = ?"),
    // Not REPLACE, which would first delete the row, and with it the revisions.
    putService: db.prepare(`
      INSERT INTO service VALUES (
        :name, :revisionHistory, :traffic, :previousTraffic, :latestRevision, :lastNumber, :generation,
        :declaredBy, :createdAt, :updatedAt, :wake, :loading, :access, :limits, :maintenance
      )
      ON CONFLICT (name) DO UPDATE SET
        revision_history = excluded.revision_history, traffic = excluded.traffic,
        previous_traffic = excluded.previous_traffic, latest_revision = excluded.latest_revision,
        last_number = excluded.last_number, generation = excluded.generation, declared_by = excluded.declared_by,
        created_at = excluded.created_at, updated_at = excluded.updated_at,
        wake = excluded.wake, loading = excluded.loading, access = excluded.access, limits = excluded.limits,
        maintenance = excluded.maintenance`),
    deleteService: db.prepare("DELETE FROM service WHERE name = ?"),

    domainOwner: db.prepare("SELECT service FROM domain WHERE name = ?"),
    addDomain: db.prepare("INSERT INTO domain VALUES (?, ?, ?)"),
    deleteDomains: db.prepare("DELETE FROM domain WHERE service = ?"),
    deleteDomain: db.prepare("DELETE FROM domain WHERE name = ?"),

    // The same rule as `needsNoPreparation`: parsing all templates would take most of a start's time and memory.
    marks: db.prepare(`
      SELECT name, service, image_id AS imageId, pulled,
        json_extract(template, '$.minInstances', '$.secretEnv', '$.volumes') = '[0,{},[]]' AS needsNoPreparation
      FROM revision WHERE service > ? AND service <= ? ORDER BY service, id`),
    revisions: db.prepare(`
      SELECT name, service, template, image_id AS imageId, image_digest AS imageDigest, pulled,
        secret_versions AS secretVersions, created_at AS createdAt, NOT isolated AS older
      FROM revision WHERE service = ? ORDER BY id`),
    addRevision: db.prepare(`
      INSERT INTO revision (
        name, service, template, image_id, image_digest, pulled, secret_versions, created_at, isolated
      ) VALUES (:name, :service, :template, :imageId, :imageDigest, :pulled, :secretVersions, :createdAt, NOT :older)`),
    removeRevision: db.prepare("DELETE FROM revision WHERE name = ? AND service = ?"),
    removeRevisions: db.prepare("DELETE FROM revision WHERE service = ?"),

    // A page never ends between two entries of the same time.
    history: db.prepare(`
      SELECT ${history} FROM history
      WHERE service = :service AND at < :before AND at >= (
        SELECT min(at) FROM (
          SELECT at FROM history WHERE service = :service AND at < :before ORDER BY at DESC LIMIT :limit
        )
      )
      ORDER BY at DESC, id DESC`),
    historyOfAll: db.prepare(`
      SELECT ${history} FROM history
      WHERE at < :before AND at >= (
        SELECT min(at) FROM (SELECT at FROM history WHERE at < :before ORDER BY at DESC LIMIT :limit)
      )
      ORDER BY at DESC, id DESC`),
    addHistory: db.prepare(`INSERT INTO history (${history}) VALUES (?, ?, ?, ?, ?, ?)`),
    forgetHistory: db.prepare("DELETE FROM history WHERE at < ?"),
    deleteHistory: db.prepare("DELETE FROM history WHERE service = ?"),

    deploys: db.prepare(`
      SELECT service, outcome, revision, image, "by", started_at AS startedAt, duration_ms AS durationMs, reason, output
      FROM deploy WHERE service = ? ORDER BY id DESC LIMIT ?`),
    deploysOfAll: db.prepare(`
      SELECT service, outcome, revision, image, "by", started_at AS startedAt, duration_ms AS durationMs, reason, output
      FROM deploy ORDER BY id DESC LIMIT ?`),
    deploysSince: db.prepare(`
      SELECT service, outcome, revision, "by", started_at AS startedAt FROM deploy WHERE started_at > ? ORDER BY id`),
    // Reads only the index.
    deployMarks: db.prepare("SELECT id, service, outcome FROM deploy"),
    addDeploy: db.prepare(`
      INSERT INTO deploy (service, outcome, revision, image, "by", started_at, duration_ms, reason, output)
      VALUES (:service, :outcome, :revision, :image, :by, :startedAt, :durationMs, :reason, :output)`),
    removeDeploy: db.prepare("DELETE FROM deploy WHERE id = ?"),
    deleteDeploys: db.prepare("DELETE FROM deploy WHERE service = ?"),
    forgetDeploys: db.prepare("DELETE FROM deploy WHERE started_at < ?"),

    known: db.prepare("SELECT name FROM service UNION SELECT service FROM history UNION SELECT service FROM deploy"),
    knownBefore: db.prepare(
      "SELECT service AS name FROM history WHERE at < :at UNION SELECT service FROM deploy WHERE started_at < :at",
    ),

    lastSecretVersion: db.prepare("SELECT last_version AS version FROM secret_name WHERE name = ?"),
    // The names are kept when the values are deleted, so that no version number is used twice. Otherwise a revision
    // could get a value that was not meant for it.
    nextSecretVersion: db.prepare(`
      INSERT INTO secret_name VALUES (?, 1)
      ON CONFLICT (name) DO UPDATE SET last_version = last_version + 1
      RETURNING last_version AS version`),
    addSecret: db.prepare("INSERT INTO secret VALUES (?, ?, ?, ?)"),
    // Without the values, which may be large.
    secretVersions: db.prepare(`
      SELECT ${secret} FROM secret
      JOIN secret_name ON secret_name.name = secret.name AND last_version = version
      ORDER BY secret.name`),
    secret: db.prepare(`SELECT ${secret}, sealed FROM secret WHERE name = ? AND version = ?`),
    deleteSecret: db.prepare("DELETE FROM secret WHERE name = ?"),
    secretMarks: db.prepare(`SELECT ${secret} FROM secret`),
    deleteSecretVersion: db.prepare("DELETE FROM secret WHERE name = ? AND version = ?"),
    putLastSecretVersion: db.prepare(`
      INSERT INTO secret_name VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET last_version = excluded.last_version`),

    certificateNames: db.prepare(`
      SELECT name, domain, kind, granted_at AS grantedAt, asked_at AS askedAt
      FROM certificate_name ORDER BY asked_at, name`),
    putCertificateName: db.prepare(
      "REPLACE INTO certificate_name VALUES (:name, :domain, :kind, :grantedAt, :askedAt)",
    ),
    deleteCertificateName: db.prepare("DELETE FROM certificate_name WHERE name = ?"),

    followedStore: db.prepare("SELECT id, is_apart AS isApart FROM followed_store"),
    forgetFollowed: db.prepare("DELETE FROM followed_store"),
    addFollowed: db.prepare("INSERT INTO followed_store VALUES (?, 0)"),
    goApart: db.prepare("UPDATE followed_store SET is_apart = 1"),
    changedApart: db.prepare("SELECT kind, name FROM changed_apart ORDER BY kind, name"),
    forgetChangedApart: db.prepare("DELETE FROM changed_apart"),
    noteApart: db.prepare(
      "INSERT OR IGNORE INTO changed_apart SELECT ?, ? FROM followed_store WHERE is_apart",
    ),

    olderImages: db.prepare("SELECT ids FROM older_images"),
    putOlderImages: db.prepare("INSERT INTO older_images VALUES (?)"),

    addToken: db.prepare("INSERT OR IGNORE INTO token VALUES (:name, :scope, :hash, :expiresAt, :createdAt)"),
    tokens: db.prepare(`
      SELECT name, scope, hash, expires_at AS expiresAt, created_at AS createdAt FROM token ORDER BY name`),
    deleteToken: db.prepare("DELETE FROM token WHERE name = ?"),
    deleteTokens: db.prepare("DELETE FROM token"),
    sessions: db.prepare(
      "SELECT id, token, origin, created_at AS createdAt, used_at AS usedAt FROM session",
    ),
    putSession: db.prepare("REPLACE INTO session VALUES (:id, :token, :origin, :createdAt, :usedAt)"),
    deleteSession: db.prepare("DELETE FROM session WHERE id = ?"),
  };
}

/** A record as a row. Lists and objects are JSON, and missing values are null. */
type Row<Record, Other> = Omit<Record, keyof Other> & Other;

/** A service as a row. */
export type ServiceRow = Row<ServiceRecord, {
  readonly domains: string;
  readonly wake: string;
  readonly access: string;
  readonly limits: string;
  readonly traffic: string;
  readonly previousTraffic: string;
  readonly declaredBy: string | null;
}>;

/** Converts a row to a service. @param parse Reads JSON; may return a shared object for equal texts. */
export function serviceOf(row: ServiceRow, parse: typeof JSON.parse): ServiceRecord {
  return { // field by field, which is faster than a copy of the row
    name: row.name,
    domains: JSON.parse(row.domains),
    revisionHistory: row.revisionHistory,
    wake: parse(row.wake),
    loading: row.loading,
    access: parse(row.access),
    limits: parse(row.limits),
    maintenance: row.maintenance,
    traffic: parse(row.traffic),
    previousTraffic: JSON.parse(row.previousTraffic),
    latestRevision: row.latestRevision,
    lastNumber: row.lastNumber,
    generation: row.generation,
    declaredBy: row.declaredBy ?? undefined,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
  };
}

/** A revision as a row. */
export type RevisionRow = Row<RevisionRecord, {
  readonly template: string;
  readonly imageDigest: string | null;
  readonly pulled: number;
  readonly secretVersions: string;
  readonly older: number;
}>;

/** Converts a row to a revision. */
export function revisionOf(row: RevisionRow): RevisionRecord {
  return {
    ...row,
    template: parseTemplateText(row.template),
    imageDigest: row.imageDigest ?? undefined,
    pulled: row.pulled !== 0,
    secretVersions: JSON.parse(row.secretVersions),
    older: row.older !== 0,
  };
}

/** A deploy as a row. */
export type DeployRow = Row<
  DeployRecord,
  { readonly revision: string | null; readonly reason: string | null; readonly output: string }
>;

/** How a deploy ended, as a row. */
export type DeployEndRow = Row<DeployEnd, { readonly revision: string | null }>;

/** Converts a row to a deploy. */
export function deployOf(row: DeployRow): DeployRecord {
  const { output, reason, revision } = row;
  return { ...row, revision: revision ?? undefined, reason: reason ?? undefined, output: JSON.parse(output) };
}

/** A revision's mark as a row. */
export type MarkRow = Row<
  RevisionMark,
  { readonly service: string; readonly pulled: number; readonly needsNoPreparation: number }
>;

/** Converts a row to a mark. */
export function markOf({ name, imageId, pulled, needsNoPreparation }: MarkRow): RevisionMark {
  return { name, imageId, pulled: pulled !== 0, needsNoPreparation: needsNoPreparation === 1 };
}

/** An entry of the history as a row. */
export type HistoryRow = Row<HistoryEntry, { readonly before: string | null; readonly after: string | null }>;

/** Converts a row to an entry. */
export function entryOf({ before, after, ...row }: HistoryRow): HistoryEntry {
  const valueOf = (json: string | null) => json === null ? undefined : JSON.parse(json);
  return { ...row, before: valueOf(before), after: valueOf(after) };
}

/** A token as a row. */
export type TokenRow = Row<TokenRecord, { readonly expiresAt: number | null }>;
