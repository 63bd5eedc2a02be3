import { OPEN, UNLIMITED } from "../../../src/model/access.ts";
import type { RevisionRecord, ServiceRecord } from "../../../src/control/records.ts";
import { canonicalTemplate } from "../../../src/model/template.ts";
import type { Revision } from "../../../src/model/revision.ts";
import { EVERYBODY_WAKES } from "../../../src/model/service.ts";
import { Connection } from "../../../src/sqlite/connection.ts";
import { migrate } from "../../../src/sqlite/migrations.ts";
import { SqliteStore } from "../../../src/sqlite/store.ts";

/** When all of them were made, ms since 1970: a moment that history still keeps. */
const AT = Date.now() - 3_600_000;

/** The name of a declared service; the names sort as the numbers do. */
export function nameOf(number: number): string {
  return `app-${String(number).padStart(5, "0")}`;
}

/**
 * Makes a data-dir in which services are declared as if operators had deployed each of them twice, and given it a domain.
 *
 * @param numbers Which ones; those that are in `real` have the app's image, the others images of their own.
 */
export async function declareServices(
  dataDir: string,
  numbers: readonly number[],
  { app, real }: { readonly app: Revision; readonly real: ReadonlySet<number> },
): Promise<void> {
  await Deno.mkdir(dataDir, { mode: 0o700 });
  const connection = Connection.open(`${dataDir}/cless.sqlite`, 0);
  migrate(connection);
  connection.db.prepare("PRAGMA synchronous = OFF").run(); // each change would wait for the disk
  using store = new SqliteStore(connection);
  for (const number of numbers) {
    const revisions = [1, 2].map((version) => revisionOf(number, version, real.has(number) ? app : undefined));
    const service = serviceOf(number, revisions);
    for (const [at, revision] of revisions.entries()) {
      const entry = { at: revision.createdAt, service: revision.service, action: "deploy", by: "owner" };
      await store.change({
        service: { ...service, generation: at + 1 },
        expectedGeneration: at === 0 ? undefined : at,
        addRevision: revision,
        history: { ...entry, before: undefined, after: { latestRevision: revision.name } },
      });
    }
  }
}

function serviceOf(number: number, revisions: readonly RevisionRecord[]): ServiceRecord {
  const name = nameOf(number);
  const [first, latest] = revisions.map((revision) => revision.name);
  return {
    name,
    domains: [`${name}.example.com`],
    revisionHistory: 20,
    wake: EVERYBODY_WAKES,
    loading: "hold",
    access: OPEN,
    limits: UNLIMITED,
    maintenance: "",
    traffic: [{ revision: "latest", percent: 100 }],
    previousTraffic: [{ revision: first!, percent: 100 }],
    latestRevision: latest!,
    lastNumber: revisions.length,
    generation: revisions.length,
    declaredBy: undefined,
    createdAt: AT,
    updatedAt: AT + number,
  };
}

function revisionOf(number: number, version: number, app: Revision | undefined): RevisionRecord {
  const name = nameOf(number);
  return {
    name: `${name}-0000${version}`,
    service: name,
    template: canonicalTemplate({ image: app?.image ?? `registry.example.com/${name}:1.${version}`, env: envOf(name) }),
    imageId: app?.imageId ?? `sha256:${(number * 10 + version).toString(16).padStart(64, "f")}`,
    imageDigest: undefined,
    pulled: false,
    secretVersions: {},
    older: false,
    createdAt: AT + number + version,
  };
}

/** A few variables, some of them the service's own. */
export function envOf(name: string, greeting = "hello"): Record<string, string> {
  return {
    DATABASE_URL: `postgres://${name}@db.internal:5432/${name}`,
    GREETING: `${greeting} from ${name}`,
    LOG_LEVEL: "info",
    PUBLIC_URL: `https://${name}.example.com`,
  };
}
