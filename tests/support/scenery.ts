import { bucketOf } from "../../src/control/figures/histogram.ts";
import { gapBucketOf } from "../../src/control/figures/idle_gaps.ts";
import { dayNumberOf } from "../../src/control/figures/periods.ts";
import type { CostRecord, GapCount, RequestCount, SpellRecord, WakeRecord } from "../../src/control/figures/records.ts";
import type { DeployRecord, RevisionRecord, ServiceRecord } from "../../src/control/records.ts";
import { OPEN, UNLIMITED } from "../../src/model/access.ts";
import { EVERYBODY_WAKES } from "../../src/model/service.ts";
import { canonicalTemplate } from "../../src/model/template.ts";
import type { Traffic } from "../../src/model/traffic.ts";
import { Connection } from "../../src/sqlite/connection.ts";
import { migrate } from "../../src/sqlite/migrations.ts";
import { SqliteStore } from "../../src/sqlite/store.ts";
import { docker } from "./docker.ts";
import { Random } from "./random.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** For how long all services have been there. */
const AGE_MS = 20 * DAY_MS;
const MIB = 2 ** 20;

/** The services, with how they are used. */
const NAMES =
  "shop shop-api blog wiki grafana invoices photos webhooks status recipes demo-rust preview-142 newsletter auth " +
  "gitea-mirror pdf-render bookmarks feeds umami analytics calendar contacts docs-site landing links minecraft-map " +
  "notes og-image paste polls qr quotes radio reports search short-url stock-watch thumbs todo translate weather " +
  "recipes-api changelog";
/** They stay awake. */
export const RUNNING = ["blog", "shop", "shop-api"];
/** They are paused after a second. */
export const NAPPING = ["docs-site", "status", "wiki"];
type Use = "busy" | "office" | "rare" | "nightly" | "never";
const USES: Readonly<Record<string, Use>> = {
  ...{ shop: "busy", "shop-api": "busy", blog: "office", wiki: "office", status: "office", webhooks: "nightly" },
  ...{ "demo-rust": "never", "preview-142": "office", invoices: "rare" },
};
const OTHER_USES: readonly Use[] = ["rare", "office", "rare", "nightly", "never", "rare", "rare"];

/** Times with requests. */
interface Visit {
  readonly at: number;
  readonly lengthMs: number;
}

/** What a test asks the services of a scenery to be. */
export interface SceneryOptions {
  /** When the day of the scenery ends: now. */
  readonly now: number;
  readonly seed?: number;
}

/**
 * Makes a data-dir with 43 services as they are after a day of use: who woke them, deploys that worked and failed,
 * requests by minute. `shop` has a split of three revisions. All have images that no machine has, but for
 * {@linkcode RUNNING} and {@linkcode NAPPING}, which can run, and `invoices`, which is never ready.
 */
export async function paintScenery(dataDir: string, { now, seed = 1 }: SceneryOptions): Promise<void> {
  const imageId = await docker("image", "inspect", "--format={{.Id}}", "golang-docker");
  await Deno.mkdir(dataDir, { mode: 0o700 });
  const connection = Connection.open(`${dataDir}/cless.sqlite`, 0);
  migrate(connection);
  connection.db.prepare("PRAGMA synchronous = OFF").run(); // each change would wait for the disk
  using store = new SqliteStore(connection);
  const chance = new Random(seed);
  const random = () => chance.below(1e6) / 1e6;
  store.addFigures({ run: { since: now - AGE_MS, until: now } });
  for (const [at, name] of NAMES.split(" ").sort().entries()) {
    const deployedAt = now - (name === "shop" || at % 7 === 0 ? 20 * random() * HOUR_MS : (1 + 4 * random()) * DAY_MS);
    const times = [now - AGE_MS, now - 6 * DAY_MS, deployedAt].map(Math.round);
    const revisions = times.map((at, index) => revisionOf(name, index + 1, at, imageId));
    const latest = revisions.at(-1)!;
    const traffic: Traffic = name === "shop"
      ? [
        { revision: "latest", percent: 10, tag: "next" },
        { revision: "shop-00002", percent: 60 },
        { revision: "shop-00001", percent: 30, tag: "old" },
      ]
      : [{ revision: "latest", percent: 100 }];
    for (const [index, revision] of revisions.entries()) {
      const isLast = revision === latest;
      const service = serviceOf(name, revision, index + 1, isLast ? traffic : [{ revision: "latest", percent: 100 }]);
      await store.change({
        service: { ...service, generation: index + 1, createdAt: revisions[0]!.createdAt },
        expectedGeneration: index === 0 ? undefined : index,
        addRevision: revision,
        history: {
          ...{ at: revision.createdAt, service: name, action: "deploy", by: isLast ? "ci" : "ana" },
          ...{ before: undefined, after: { latestRevision: revision.name } },
        },
      });
    }
    const use = USES[name] ?? OTHER_USES[at % OTHER_USES.length]!;
    const visits = visitsOf(use, now, random);
    const { spells, wakes } = dayOf(name, latest.name, visits, now, random);
    store.addFigures({
      spells,
      wakeLog: wakes,
      wakes: wakes.map(({ at, how, ms, revision, service }) => ({
        ...{ service, revision, how, minute: Math.floor(at / MINUTE_MS), bucket: bucketOf(ms, -8), count: 1 },
      })),
      requests: visits.flatMap((visit) => requestsOf(name, visit, use === "busy" ? 240 : 20, now, random)),
      costs: [costOf(name, now, random)],
      gaps: gapsOf(name, visits, now),
      idle: [{ service: name, since: now - AGE_MS, idleSince: Math.round(idleSinceOf(visits, now)) }],
    });
    for (const deploy of deploysOf(name, latest, now)) await store.addDeploy(deploy);
  }
}

function serviceOf(name: string, latest: RevisionRecord, count: number, traffic: Traffic): ServiceRecord {
  return {
    ...{ name, traffic, domains: [`${name}.example.org`], revisionHistory: 20, wake: EVERYBODY_WAKES, loading: "hold" },
    ...{ access: OPEN, limits: UNLIMITED, maintenance: "", previousTraffic: [{ revision: "latest", percent: 100 }] },
    ...{ latestRevision: latest.name, lastNumber: count, generation: 1, declaredBy: undefined },
    ...{ createdAt: latest.createdAt, updatedAt: latest.createdAt },
  };
}

function revisionOf(service: string, number: number, createdAt: number, imageId: string): RevisionRecord {
  const isReal = [...RUNNING, ...NAPPING, "invoices"].includes(service);
  const template = canonicalTemplate({
    image: isReal ? "golang-docker" : `registry.example.com/${service}:1.${number}`,
    env: { LOG_LEVEL: number > 1 ? "info" : "debug", GREETING: `Hello from ${service}`, ...FLAGS[number] },
    ...service === "invoices" ? { port: 9, startTimeout: 2000 } : {},
    ...NAPPING.includes(service) ? { pauseAfter: 1000 } : {},
    memory: number > 2 ? 256 * MIB : 128 * MIB,
    maxInstances: number > 2 ? 4 : 1,
  });
  return {
    ...{ name: `${service}-0000${number}`, service, template, imageDigest: undefined, pulled: false },
    ...{ imageId: isReal ? imageId : `sha256:${number}`.padEnd(71, "0"), secretVersions: {}, older: false },
    createdAt,
  };
}

const FLAGS: Readonly<Record<number, Record<string, string>>> = { 2: { CACHE: "off" }, 3: { CACHE: "on" } };

/** When a service was used in the last day. */
function visitsOf(use: Use, now: number, random: () => number): Visit[] {
  const visits: Visit[] = [];
  const from = now - DAY_MS;
  const isDay = (at: number) => (now - at) / HOUR_MS < 10 || (now - at) / HOUR_MS > 19;
  const step = {
    busy: (at: number) => [isDay(at) ? 40 : 4, isDay(at) ? 6 : 70],
    office: (at: number) => [isDay(at) ? 14 : 2, isDay(at) ? 34 : 260],
    rare: () => [3, 280],
    nightly: () => [8, 700],
    never: () => [0, Infinity],
  }[use];
  for (let at = from + random() * HOUR_MS; at < now - 12 * MINUTE_MS;) {
    const [length, pause] = step(at) as [number, number];
    const lengthMs = length * MINUTE_MS * (0.3 + random());
    if (length > 0) visits.push({ at, lengthMs });
    at += lengthMs + pause * MINUTE_MS * (0.3 + random());
  }
  return visits;
}

/** The states of a service in that day, and what woke it: it pauses after a minute, and hibernates after five. */
function dayOf(service: string, revision: string, visits: readonly Visit[], now: number, random: () => number) {
  const spells: SpellRecord[] = [];
  const wakes: WakeRecord[] = [];
  const put = (at: number, state: SpellRecord["state"]) => {
    if (at >= now || spells.at(-1)?.state === state) return;
    spells.push({ service, at: Math.round(at), state, failure: undefined });
  };
  put(now - DAY_MS - HOUR_MS, "asleep");
  let idleSince = -Infinity;
  for (const { at, lengthMs } of visits) {
    const gap = at - idleSince;
    if (gap > MINUTE_MS) {
      const how = gap > 3 * HOUR_MS ? "cold" : gap > 5 * MINUTE_MS ? "hibernated" : "resume";
      const ms = { cold: 260 + random() * 400, hibernated: 6 + random() * 70, resume: 1 + random() * 3 }[how];
      if (how === "cold") put(at, "starting");
      const isRobot = random() < 0.2;
      wakes.push({
        ...{ service, revision, instance: `cless-${revision}`, at: Math.round(at), how, ms: Math.round(ms * 10) / 10 },
        by: {
          ...{ kind: "request", method: "GET", host: `${service}.example.org`, path: PATHS[Math.floor(random() * 5)]! },
          network: `203.0.113.0/24`,
          ...isRobot ? { userAgent: "Googlebot/2.1", robot: true } : { userAgent: "Firefox/140.0" },
        },
      });
      put(at + ms, "ready");
    }
    idleSince = at + lengthMs;
    const next = visits[visits.findIndex((visit) => visit.at === at) + 1]?.at ?? Infinity;
    if (idleSince + MINUTE_MS < next) put(idleSince + MINUTE_MS, "paused");
    if (idleSince + 5 * MINUTE_MS < next) put(idleSince + 5 * MINUTE_MS, "hibernated");
    if (idleSince + 3 * HOUR_MS < next) put(idleSince + 3 * HOUR_MS, "asleep");
  }
  return { spells, wakes };
}

const PATHS = ["/", "/cart", "/api/items", "/feed.xml", "/login"];

function requestsOf(
  service: string,
  { at, lengthMs }: Visit,
  perMinute: number,
  now: number,
  random: () => number,
): RequestCount[] {
  const first = Math.floor(at / MINUTE_MS);
  const last = Math.min(Math.floor((at + lengthMs) / MINUTE_MS), Math.floor(now / MINUTE_MS) - 1);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => {
    const tide = Math.sin((first + index) / 35) + Math.sin((first + index) / 11) / 3;
    const requests = 1 + Math.floor(perMinute * (0.8 + tide / 3 + random() / 6));
    const slow = Math.ceil(requests / 50);
    const latencies = [[bucketOf(4, -20), requests - slow], [bucketOf(40 + 60 * random(), -20), slow]] as const;
    return {
      ...{ service, minute: first + index, requests, errors: random() < 0.03 ? 1 : 0 },
      latencies: latencies.filter(([, count]) => count > 0),
    };
  });
}

/** The times without requests: each day of a week was like the last one. */
function gapsOf(service: string, visits: readonly Visit[], now: number): GapCount[] {
  const lengths = visits.slice(1).map(({ at }, index) => at - visits[index]!.at - visits[index]!.lengthMs);
  const byBucket = Map.groupBy(lengths.filter((ms) => ms > 1000), gapBucketOf);
  const days = Array.from({ length: 7 }, (_, back) => dayNumberOf(now) - back);
  return days.flatMap((day) =>
    Array.from(byBucket, ([bucket, some]) => ({
      ...{ service, day, bucket, count: some.length },
      seconds: some.reduce((sum, ms) => sum + ms / 1000, 0),
    }))
  );
}

function idleSinceOf(visits: readonly Visit[], now: number): number {
  const last = visits.at(-1);
  return last === undefined ? now - AGE_MS : Math.min(now, last.at + last.lengthMs);
}

/** A service takes 30 to 300 MiB while it is awake, and is awake for a fifteenth of its time. */
function costOf(service: string, now: number, random: () => number): CostRecord {
  const wholeBytes = Math.round((30 + random() * 270) * MIB);
  const byteS = wholeBytes * AGE_MS / 1000;
  return {
    ...{ service, since: now - AGE_MS, at: now, processorNs: Math.round(8e11 * random()), wholeBytes, readings: {} },
    ...{ usedByteS: byteS / 15, savedByteS: byteS * 14 / 15 },
  };
}

function deploysOf(service: string, latest: RevisionRecord, now: number): DeployRecord[] {
  const worked: DeployRecord = {
    ...{ service, revision: latest.name, image: latest.template.image, by: "ci", startedAt: latest.createdAt },
    ...{ durationMs: 2140, outcome: "deployed", reason: undefined, output: [] },
  };
  if (service !== "preview-142") return [worked];
  return [worked, {
    ...{ service, revision: "preview-142-00004", image: "registry.example.com/preview-142:1.4", by: "ci" },
    ...{ startedAt: now - 84 * MINUTE_MS, durationMs: 31_204, outcome: "failed" },
    reason: "the container ended with code 1 before it was ready",
    output: ["panic: no DATABASE_URL", "", "goroutine 1 [running]:", "main.main()", "\t/app/main.go:18 +0x1d4"],
  }];
}
