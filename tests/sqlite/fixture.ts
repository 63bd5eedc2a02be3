/**
 * Databases of every version, as text. `deno run -A tests/sqlite/fixture.ts` writes that of the newest version; run it
 * after every new migration. The fixtures of released versions never change.
 */

import { DatabaseSync } from "node:sqlite";
import type {
  CostRecord,
  GapCount,
  IdleRecord,
  Period,
  RequestCount,
  RunRecord,
  SpellRecord,
  WakeCount,
  WakeRecord,
} from "../../src/control/figures/records.ts";
import type {
  CertificateName,
  DeployRecord,
  HistoryEntry,
  SecretRecord,
  SecretVersion,
  ServiceChange,
  SessionRecord,
  TokenRecord,
} from "../../src/control/records.ts";
import type { Store } from "../../src/control/store.ts";
import { MIGRATIONS } from "../../src/sqlite/migrations.ts";
import { SqliteStore } from "../../src/sqlite/store.ts";
import { changeAfter, creationOf, entryOf, fileIn, revisionOf } from "./kit.ts";
import { loaded } from "../support/loaded.ts";

const FIGURES = {
  costs: [{
    ...{ service: "golang", since: 1_700_000_000_008, at: 1_700_000_000_009, processorNs: 5e8, usedByteS: 7.5 },
    ...{ savedByteS: 1e12, wholeBytes: 6_000_000, readings: { "cless-golang-1": { bytes: 5_000_000, swapBytes: 7 } } },
  }],
  wakes: [
    { service: "golang", revision: "golang-00002", how: "resume", minute: 28_333_333, bucket: 7, count: 3 },
    { service: "golang", revision: "golang-00001", how: "cold", minute: 28_333_334, bucket: 31, count: 1 },
  ],
} as const;

const TIERED = { service: "tiered", since: 1, at: 2, processorNs: 0, usedByteS: 0, savedByteS: 0, wholeBytes: 9 };

const GAPS = {
  costs: [{ ...TIERED, readings: {}, pausedBytes: 5, hibernatedBytes: 1 }],
  gaps: [
    { service: "golang", day: 19_675, bucket: 24, count: 3, seconds: 171.5 },
    { service: "undeclared", day: 19_676, bucket: 0, count: 1, seconds: 1 },
  ],
  idle: [
    { service: "golang", since: 1_700_000_000_015, idleSince: 1_700_000_000_016 },
    { service: "undeclared", since: 1_700_000_000_017, idleSince: undefined },
  ],
};

const WAKE_LOG: readonly WakeRecord[] = [
  {
    ...{ service: "golang", revision: "golang-00002", instance: "cless-golang-1", at: 1_700_000_000_013 },
    ...{ how: "resume", ms: 3.5, by: { kind: "request", method: "GET", host: "golang.localhost", path: "/it's" } },
  },
  {
    ...{ service: "undeclared", revision: "undeclared-1f", instance: "cless-undeclared-1", at: 1_700_000_000_014 },
    ...{ how: "cold", ms: 312.25, by: { kind: "operator", name: "ci" } },
  },
];

const ACTIVITY = {
  requests: [
    { service: "golang", minute: 28_333_333, requests: 3, errors: 1, latencies: [[-12, 2], [9, 1]] },
    { service: "golang", minute: 28_333_334, requests: 1, errors: 0, latencies: [[9, 1]] },
  ],
  stateTimes: [
    { service: "golang", at: 472_222, ready: 1000, starting: 200, paused: 3_000_000, hibernated: 4 },
  ],
  spells: [
    { service: "golang", at: 1_700_000_000_010, state: "ready", failure: undefined },
    { service: "golang", at: 1_700_000_000_020, state: "failing", failure: "it can't start" },
  ],
  run: { since: 1_700_000_000_000, until: 1_700_000_000_030 },
} as const;

const SESSION: SessionRecord = {
  ...{ id: "0123456789abcdef", token: Uint8Array.of(7), origin: "https://admin.example.org" },
  ...{ createdAt: 1_700_000_000_015, usedAt: 1_700_000_000_016 },
};

const CERTIFICATE_NAMES = [
  { name: "golang.example.org", domain: "example.org", kind: "convention", grantedAt: 3, askedAt: 4 },
  { name: "www.example.com", domain: "example.com", kind: "declared", grantedAt: 5, askedAt: 1_700_000_000_010 },
] as const;

const DEPLOYS: readonly DeployRecord[] = [
  {
    ...{ service: "golang", revision: "golang-00002", image: "golang:2", by: "ci", startedAt: 1_700_000_000_001 },
    ...{ durationMs: 250, outcome: "deployed", reason: undefined, output: [] },
  },
  {
    ...{ service: "never", revision: "never-00001", image: "never:1", by: "admin", startedAt: 1_700_000_000_011 },
    ...{ durationMs: 31_000, outcome: "failed", reason: "it can't start", output: ["panic: no 'KEY'", "\tGrüße"] },
  },
  {
    ...{ service: "never", revision: undefined, image: "never:2", by: "config", startedAt: 1_700_000_000_012 },
    ...{ durationMs: 0, outcome: "called off", reason: "cless is shutting down", output: [] },
  },
];

/** Fills an empty store with the content of a version's fixture, which has every kind of record of that version. */
export async function fill(store: Store, version = MIGRATIONS.length): Promise<void> {
  const change = async (change: ServiceChange) => {
    const { addRevision } = change;
    await store.change(addRevision ? { ...change, addRevision: { ...addRevision, older: version < 3 } } : change);
  };
  const creation = creationOf("golang", {
    domains: ["www.example.org", "example.org"],
    declaredBy: "/etc/golang.yaml",
  });
  await change(creation);
  await change({
    ...changeAfter(creation, {
      traffic: [{ revision: "golang-00001", percent: 90 }, { revision: "golang-00002", percent: 10, tag: "next" }],
      previousTraffic: creation.service.traffic,
      latestRevision: "golang-00002",
      lastNumber: 2,
    }),
    addRevision: {
      ...revisionOf("golang", 2, { env: { GREETING: "Grüß 'Gott'" }, secretEnv: { KEY: "key" }, stopAfter: Infinity }),
      imageDigest: "golang@sha256:1234",
      pulled: true,
      secretVersions: { key: 1 },
    },
  });
  const waking = { wake: { except: { userAgents: ["Bot's"], paths: ["/up"] } }, loading: "page" } as const;
  const guarded = {
    access: { allow: ["203.0.113.0/24"], basic: { "o'neil": "$scrypt$…" }, pass: false, except: ["/up"] },
    limits: { requestsPerSecond: 2.5, per: "service", maxBody: 1024 },
    maintenance: "Back at 14:00",
  } as const;
  await change(creationOf("other", { ...(version >= 2 ? waking : {}), ...(version >= 5 ? guarded : {}) }));
  await change(creationOf("gone", { domains: ["gone.example.org"] }));
  await store.delete("gone", 1, {
    ...entryOf("gone", 1_700_000_000_005, "delete"),
    before: { generation: 1 },
    after: undefined,
  });
  await store.addSecret({ name: "key", version: 1, createdAt: 1_700_000_000_006, sealed: Uint8Array.of(1, 0, 255) });
  await store.addSecret({ name: "key", version: 2, createdAt: 1_700_000_000_007, sealed: Uint8Array.of(2) });
  if (version >= 3) store.putOlderImages(["sha256:1f"]);
  if (version >= 4) store.addFigures({ ...FIGURES, wakeLog: version >= 7 ? WAKE_LOG : [] });
  if (version >= 8) store.addFigures(ACTIVITY);
  if (version >= 10) store.addFigures(GAPS);
  if (version >= 5) { for (const name of CERTIFICATE_NAMES) store.putCertificateName(name, []); }
  if (version >= 6) { for (const deploy of DEPLOYS) await store.addDeploy(deploy); }
  if (version >= 9) store.putSession(SESSION);
  await store.addToken({
    name: "ci",
    scope: "deploy",
    hash: Uint8Array.of(7),
    expiresAt: 1_800_000_000_000,
    createdAt: 1,
  });
  await store.addToken({ name: "eyes", scope: "read", hash: Uint8Array.of(8), expiresAt: undefined, createdAt: 2 });
}

/** The whole content of a store. */
export function contentOf(store: Store): ReturnType<typeof loaded> & {
  history: HistoryEntry[];
  deploys: DeployRecord[];
  secrets: (SecretRecord | SecretVersion | undefined)[];
  tokens: TokenRecord[];
  sessions: SessionRecord[];
  certificateNames: CertificateName[];
  olderImages: readonly string[] | undefined;
  costs: CostRecord[];
  wakes: Omit<WakeCount, "minute">[];
  wakeLog: WakeRecord[];
  requests: RequestCount[];
  hours: Period[];
  spells: SpellRecord[];
  runs: RunRecord[];
  gaps: Omit<GapCount, "service" | "day">[];
  idle: IdleRecord[];
} {
  return {
    ...loaded(store),
    history: ["golang", "other", "gone"].flatMap((service) => store.history(service, 100)),
    deploys: ["golang", "never"].flatMap((service) => store.deploys(service, 100)),
    secrets: [...store.secretVersions(), store.secret("key", 1)],
    tokens: store.tokens(),
    sessions: store.sessions(),
    certificateNames: store.certificateNames(),
    olderImages: store.olderImages(),
    costs: store.costs(),
    wakes: store.wakes("golang", 0),
    wakeLog: store.wakeLog({ since: 0, limit: 100 }),
    requests: store.minutes("golang", 0).requests,
    hours: store.hours("golang", 0),
    spells: store.spells(0),
    runs: store.runs(),
    gaps: ["golang", "undeclared"].flatMap((service) => store.gaps(service, 0)),
    idle: store.idle(),
  };
}

/** The definitions in a database, in the order in which they were made. */
export function schemaOf(db: DatabaseSync): string[] {
  return db.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid").all().map(({ sql }) =>
    `${sql}`
  );
}

/** A database as the statements that make it. */
export function dump(db: DatabaseSync): string {
  const lines = schemaOf(db).map((definition) => `${definition};`);
  for (const { name } of db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid").all()) {
    const columns = db.prepare("SELECT name FROM pragma_table_info(?)").all(name!).map((column) => `"${column.name}"`);
    const values = columns.map((column) => `quote(${column})`).join(" || ', ' || ");
    for (const { row } of db.prepare(`SELECT ${values} AS row FROM ${name}`).all()) {
      lines.push(`INSERT INTO ${name} (${columns.join(", ")}) VALUES (${row});`);
    }
  }
  const { user_version: version } = db.prepare("PRAGMA user_version").get()!;
  return [...lines, `PRAGMA user_version = ${version};`, ""].join("\n");
}

/** What the fixture of the newest version should be. */
export async function newestDump(folder: string): Promise<string> {
  {
    using store = SqliteStore.open(folder);
    await fill(store);
  }
  using db = new DatabaseSync(fileIn(folder));
  return dump(db);
}

/** The fixture of a version. */
export function fixtureOf(version: number): URL {
  return new URL(`fixtures/version-${version}.sql`, import.meta.url);
}

if (import.meta.main) {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(fixtureOf(MIGRATIONS.length), await newestDump(folder));
  await Deno.remove(folder, { recursive: true });
}
