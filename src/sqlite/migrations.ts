import type { DatabaseSync } from "node:sqlite";
import { OperatorError } from "../base/errors.ts";
import type { Connection } from "./connection.ts";

/**
 * The statements from each version of the database to the next, beginning with an empty one. Released ones never
 * change.
 */
export const MIGRATIONS: readonly string[] = [
  // To version 1. Times are ms since 1970; traffic, secret_versions, before and after are JSON.
  `CREATE TABLE service (
    name TEXT PRIMARY KEY,
    revision_history INTEGER NOT NULL,
    traffic TEXT NOT NULL,
    previous_traffic TEXT NOT NULL,
    latest_revision TEXT NOT NULL,
    last_number INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    declared_by TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE domain (
    name TEXT PRIMARY KEY,
    service TEXT NOT NULL REFERENCES service (name) ON DELETE CASCADE,
    position INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX domain_by_service ON domain (service, position);

  CREATE TABLE revision (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    service TEXT NOT NULL REFERENCES service (name) ON DELETE CASCADE,
    template TEXT NOT NULL,
    image_id TEXT NOT NULL,
    image_digest TEXT,
    pulled INTEGER NOT NULL,
    secret_versions TEXT NOT NULL,
    created_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX revision_by_service ON revision (service, id);

  CREATE TABLE history (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    service TEXT NOT NULL,
    action TEXT NOT NULL,
    "by" TEXT NOT NULL,
    before TEXT,
    after TEXT
  ) STRICT;
  CREATE INDEX history_by_service ON history (service, at, id);
  CREATE INDEX history_by_time ON history (at);

  CREATE TABLE secret_name (
    name TEXT PRIMARY KEY,
    last_version INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE secret (
    name TEXT NOT NULL REFERENCES secret_name (name),
    version INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (name, version)
  ) STRICT;

  CREATE TABLE token (
    name TEXT PRIMARY KEY,
    scope TEXT NOT NULL CHECK (scope IN ('read', 'deploy', 'admin')),
    hash BLOB NOT NULL,
    expires_at INTEGER,
    created_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;`,

  // To version 2. wake is JSON.
  `ALTER TABLE service ADD COLUMN wake TEXT NOT NULL DEFAULT '{"except":{"userAgents":[],"paths":[]}}';
  ALTER TABLE service ADD COLUMN loading TEXT NOT NULL DEFAULT 'hold' CHECK (loading IN ('hold', 'page'));`,

  // To version 3. Existing revisions stay without the container defaults. The only row of older_images has, as JSON,
  // the ids of the convention's images that stay without them too. There is no row until the engine has listed these
  // images. In a new data-dir, the row is there from the start, without ids.
  `ALTER TABLE revision ADD COLUMN isolated INTEGER NOT NULL DEFAULT 0;
  CREATE TABLE older_images (ids TEXT NOT NULL) STRICT;`,

  // To version 4. Services that are not declared have figures too. readings is JSON; minute counts from 1970.
  `CREATE TABLE cost (
    service TEXT PRIMARY KEY,
    since INTEGER NOT NULL,
    at INTEGER NOT NULL,
    processor_ns REAL NOT NULL,
    used_byte_s REAL NOT NULL,
    saved_byte_s REAL NOT NULL,
    whole_bytes INTEGER NOT NULL,
    readings TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE wake (
    service TEXT NOT NULL,
    revision TEXT NOT NULL,
    how TEXT NOT NULL CHECK (how IN ('cold', 'resume', 'hibernated')),
    minute INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (service, minute, revision, how, bucket)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX wake_by_minute ON wake (minute);`,

  // To version 5. access and limits are JSON. certificate_name has the hostnames that a TLS proxy has asked for and may
  // have certificates for; granted_at and asked_at, the last time, are in ms since 1970.
  `ALTER TABLE service ADD COLUMN access TEXT NOT NULL DEFAULT '{"allow":[],"basic":{},"pass":false,"except":[]}';
  ALTER TABLE service ADD COLUMN limits TEXT NOT NULL DEFAULT '{"per":"address"}';
  ALTER TABLE service ADD COLUMN maintenance TEXT NOT NULL DEFAULT '';
  CREATE TABLE certificate_name (
    name TEXT PRIMARY KEY,
    domain TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('declared', 'convention', 'tag')),
    granted_at INTEGER NOT NULL,
    asked_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;`,

  // To version 6. deploy has how deploys ended, also of services that never worked; output is a list in JSON.
  `CREATE TABLE deploy (
    id INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('deployed', 'failed', 'called off')),
    revision TEXT,
    image TEXT NOT NULL,
    "by" TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    reason TEXT,
    output TEXT NOT NULL
  ) STRICT;
  CREATE INDEX deploy_by_service ON deploy (service, outcome);
  CREATE INDEX deploy_by_time ON deploy (started_at);`,

  // To version 7. wake_log has single wakes, with who made the instance wake as JSON; at is in ms since 1970.
  `CREATE TABLE wake_log (
    id INTEGER PRIMARY KEY,
    service TEXT NOT NULL,
    revision TEXT NOT NULL,
    instance TEXT NOT NULL,
    at INTEGER NOT NULL,
    how TEXT NOT NULL CHECK (how IN ('cold', 'resume', 'hibernated')),
    ms REAL NOT NULL,
    "by" TEXT NOT NULL
  ) STRICT;
  CREATE INDEX wake_log_by_service ON wake_log (service, at);
  CREATE INDEX wake_log_by_time ON wake_log (at);`,

  // To version 8. minute and hour count from 1970; latencies is a histogram in JSON, [[bucket, count], …]; the other
  // times are in ms. A spell lasts until the next one of its service; run has when cless ran.
  `CREATE TABLE request_minute (
    service TEXT NOT NULL,
    minute INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    latencies TEXT NOT NULL,
    PRIMARY KEY (service, minute)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX request_minute_by_minute ON request_minute (minute);
  CREATE TABLE service_hour (
    service TEXT NOT NULL,
    hour INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    latencies TEXT NOT NULL,
    ready_ms INTEGER NOT NULL,
    starting_ms INTEGER NOT NULL,
    paused_ms INTEGER NOT NULL,
    hibernated_ms INTEGER NOT NULL,
    cold INTEGER NOT NULL,
    resume INTEGER NOT NULL,
    hibernated INTEGER NOT NULL,
    PRIMARY KEY (service, hour)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX service_hour_by_hour ON service_hour (hour);
  INSERT INTO service_hour
    SELECT service, minute / 60, 0, 0, '[]', 0, 0, 0, 0,
      sum(iif(how = 'cold', count, 0)), sum(iif(how = 'resume', count, 0)), sum(iif(how = 'hibernated', count, 0))
    FROM wake GROUP BY service, minute / 60;
  CREATE TABLE spell (
    service TEXT NOT NULL,
    at INTEGER NOT NULL,
    state TEXT NOT NULL,
    failure TEXT,
    PRIMARY KEY (service, at)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX spell_by_time ON spell (at);
  CREATE TABLE run (since INTEGER PRIMARY KEY, until INTEGER NOT NULL) STRICT;`,

  // To version 9. session has the browsers that have signed in; id and token are hashes, times are in ms since 1970.
  `CREATE TABLE session (
    id TEXT PRIMARY KEY,
    token BLOB NOT NULL,
    origin TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;`,

  // To version 10. The RAM of an instance that sleeps is NULL until it is known. gap has how many gaps between requests
  // have ended on a day, in days since 1970; the bucket tells how long they were. In idle, both times are in ms since
  // 1970; idle_since is NULL if the service had a request.
  `ALTER TABLE cost ADD COLUMN paused_bytes INTEGER;
  ALTER TABLE cost ADD COLUMN hibernated_bytes INTEGER;
  CREATE TABLE gap (
    service TEXT NOT NULL,
    day INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    count INTEGER NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (service, day, bucket)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX gap_by_day ON gap (day);
  CREATE TABLE idle (
    service TEXT PRIMARY KEY,
    since INTEGER NOT NULL,
    idle_since INTEGER
  ) STRICT, WITHOUT ROWID;`,

  `CREATE TABLE followed_store (id TEXT PRIMARY KEY, is_apart INTEGER NOT NULL) STRICT, WITHOUT ROWID;

  CREATE TABLE changed_apart (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (kind, name)
  ) STRICT, WITHOUT ROWID;`,
];

/**
 * Migrates a database to the newest version, step by step. A database with content is first copied to
 * `COPYPATH.before-N`, where N is the first new version.
 *
 * @param migrations The steps to version 1, 2 and so on.
 * @throws {OperatorError} If the database is newer, belongs to another program, or cannot be copied.
 * @throws {StoreUnavailable} If it cannot be changed. Then it stays at the last version reached.
 */
export function migrate(
  connection: Connection,
  migrations: readonly string[] = MIGRATIONS,
  copyPath = connection.path,
): void {
  const { db, path } = connection;
  const version = connection.read(() => versionOf(db));
  if (version > migrations.length) {
    throw new OperatorError(
      `${path} is of version ${version}, and this cless knows only ${migrations.length}; use a newer cless, ` +
        "or the copy from before the update",
    );
  }
  if (version === migrations.length) return;
  if (connection.read(() => hasContent(db))) {
    if (version === 0) throw new OperatorError(`${path} is a database of another program; move it away`);
    connection.copyTo(`${copyPath}.before-${version + 1}`, "replace");
  }
  // A table that others refer to can only be replaced while foreign keys are off. Each step checks them at its end.
  db.prepare("PRAGMA foreign_keys = OFF").run();
  for (const [at, migration] of migrations.entries()) {
    if (at >= version) connection.write(() => step(db, migration, at + 1));
  }
  db.prepare("PRAGMA foreign_keys = ON").run();
}

/** Whether a database was never used. */
export function isEmpty(connection: Connection): boolean {
  const { db } = connection;
  return connection.read(() => versionOf(db) === 0 && !hasContent(db));
}

function step(db: DatabaseSync, migration: string, version: number): void {
  db.exec(migration);
  const broken = db.prepare("PRAGMA foreign_key_check").all();
  if (broken.length > 0) throw new Error(`The migration to version ${version} leaves references to nothing`);
  db.prepare(`PRAGMA user_version = ${version}`).run();
}

function versionOf(db: DatabaseSync): number {
  return (db.prepare("PRAGMA user_version").get() as { user_version: number }).user_version;
}

function hasContent(db: DatabaseSync): boolean {
  return db.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get() !== undefined;
}
