import { assertEquals } from "@std/assert";
import { type AdminApi, adminApi } from "../../src/admin/api.ts";
import type { Collaborators } from "../../src/admin/collaborators.ts";
import { Metrics } from "../../src/admin/metrics.ts";
import type { FailureView, RevisionView, ServiceView } from "../../src/control/catalog.ts";
import type { ServiceStatus } from "../../src/control/service_status.ts";
import type { ServiceActivity } from "../../src/control/figures/activity.ts";
import type { Cost } from "../../src/control/figures/costs.ts";
import type { Basis } from "../../src/control/figures/estimates.ts";
import type { WakeSummary } from "../../src/control/figures/wake_counts.ts";
import type { Timeline } from "../../src/control/figures/past.ts";
import { NotFound } from "../../src/control/deploy_error.ts";
import type { Period, WakeRecord } from "../../src/control/figures/records.ts";
import type { DeployPreview } from "../../src/control/records.ts";
import type { ClessEvent } from "../../src/control/events.ts";
import { showTemplate } from "../../src/control/schema/schema.ts";
import { CertificateNames } from "../../src/control/certificates/names.ts";
import { ExecSessions } from "../../src/control/exec/sessions.ts";
import { Router } from "../../src/routing/router.ts";
import { Secrets } from "../../src/control/secrets/secrets.ts";
import { Sessions } from "../../src/control/access/sessions.ts";
import { Tokens } from "../../src/control/access/tokens.ts";
import { canonicalTemplate } from "../../src/model/template.ts";
import { resolveTraffic } from "../../src/model/traffic.ts";
import { LIMITS, newScene, type Scene, type SceneOptions } from "../deploy/deployer_kit.ts";
import { NEW_DEFAULTS } from "../support/kit.ts";
import { RevisionLimits } from "../../src/control/revision_limits.ts";
import { FakeExecEngine } from "../support/fake_exec.ts";
import { FakeStore } from "../support/fake_store.ts";

/** The owner's token. */
export const OWNER = "0123456789abcdef".repeat(4);
/** The address that a test's requests come from. */
export const PEER = "127.0.0.1";

const NOTHING: Basis = {
  idleness: { gaps: [], seconds: 0, idleS: 0 },
  days: 0,
  bytes: { awakeBytes: 0, pausedBytes: 0, hibernatedBytes: 0 },
};

/** An admin API on fakes. */
export interface Admin extends Scene {
  readonly handle: AdminApi;
  readonly parts: Collaborators;
  /** Tokens with smaller scopes than the owner's. */
  readonly tokens: { readonly read: string; readonly deploy: string };
  /** The wakes and sleeps that were asked for, in order. */
  readonly asked: string[];
  /** The convention services. */
  readonly found: ServiceView[];
  /** The status of services; the others are asleep. */
  readonly statuses: Map<string, ServiceStatus>;
  /** The last failures of revisions. */
  readonly failures: Map<string, FailureView>;
  /** The costs of services; the others have never started. */
  readonly costs: Map<string, Cost>;
  /** What services are doing; the API tells it as it is here. */
  readonly activity: ServiceActivity[];
  /** The single wakes. */
  readonly woken: WakeRecord[];
  /** What services did; the API tells it as it is here. */
  readonly past: { readonly periods: Period[]; readonly timelines: Timeline[] };
  /** The engine of the commands that are run in instances. */
  readonly exec: FakeExecEngine;
  /** What is known for estimates. */
  readonly basis: { now: Basis };
  /** The events for subscribers. */
  readonly happening: ClessEvent[];
  /** Asks the API, with the owner's token unless the request has one. */
  ask(method: string, path: string, options?: AskOptions): Promise<Response>;
}

/** Options of a request. */
export interface AskOptions {
  /** An object is sent as JSON, a text as it is. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly token?: string | undefined;
  readonly peer?: string;
  readonly url?: string;
}

/** Makes an API. Starts succeed at once unless the options say otherwise. */
export async function newAdmin(
  { scene: sceneOptions = {}, ...changed }: Partial<Collaborators> & { readonly scene?: SceneOptions } = {},
): Promise<Admin> {
  const { store = new FakeStore() } = sceneOptions;
  const key = { folder: "/none", text: new Uint8Array(32).fill(1).toBase64() };
  const secrets = await Secrets.open(store, key, () => 1_000_000);
  const scene = newScene({ tryStart: () => Promise.resolve(), store, secrets, ...sceneOptions });
  const { deployer, kit, runningDeploys: running } = scene;
  const asked: string[] = [];
  const found: ServiceView[] = [];
  const statuses = new Map<string, ServiceStatus>();
  const failures = new Map<string, FailureView>();
  const happening: ClessEvent[] = [];
  const costs = new Map<string, Cost>();
  const activity: ServiceActivity[] = [];
  const past: Admin["past"] = { periods: [], timelines: [] };
  const woken: WakeRecord[] = [];
  const basis: Admin["basis"] = { now: NOTHING };
  const wakes = (service: string, minutes: number): WakeSummary[] => {
    asked.push(`wakes of ${service} in ${minutes}`);
    return [{
      revision: "web-00001",
      how: "resume",
      count: 1,
      p50Ms: 3,
      p99Ms: 3,
      histogram: [{ upToMs: 4, count: 1 }],
    }];
  };
  const wakeLog: Collaborators["past"]["wakeLog"] = ({ limit, minutes, service = "all" }) => {
    asked.push(`wake log of ${service} in ${minutes}, at most ${limit}`);
    return woken;
  };
  const exec = new FakeExecEngine();
  const tokens = new Tokens(store, OWNER, () => scene.time.now);
  await tokens.check(OWNER); // otherwise a test could end before the token's hash is computed
  const catalog = catalogOf(scene, found, { failures, statuses });
  const control = async (what: string, name: string, by = "") => {
    await Promise.resolve();
    if (catalog.get(name) === undefined) throw new NotFound(`there is no service ${name}`);
    asked.push(`${what} ${name}${by}`);
  };
  const parts: Collaborators = {
    catalog,
    deployer: Object.assign(deployer, { plan: (name: string) => Promise.resolve(previewOf(scene, name)) }),
    running,
    volumeAccess: { problemsOf: () => Promise.resolve([]) },
    imageNames: { idOf: () => Promise.resolve(undefined) },
    revisionLimits: new RevisionLimits(LIMITS, NEW_DEFAULTS, new Map([["pause-after", "--pause-after"]])),
    waits: { of: () => undefined },
    control: { wake: (name, _, by) => control("wake", name, ` for ${by}`), sleep: (name) => control("sleep", name) },
    exec: new ExecSessions({
      ...kit,
      router: new Router(scene.services, undefined),
      engine: exec,
      events: { emit() {} },
    }),
    secrets,
    tokens,
    sessions: new Sessions(store, tokens, () => scene.time.now),
    store,
    dataDir: {
      rotateToken: () => "cless_new",
      backup: () => Promise.resolve([{ name: "cless.sqlite", bytes: new Uint8Array([1, 2, 3]) }]),
    },
    fleet: kit.fleet,
    events: { subscribe: () => eventsOf(happening) },
    logs: { read: () => linesOf(3) },
    meter: {
      costs: () => Promise.resolve(costs),
      usages: () => kit.launcher.usage(),
      allUsages: () => kit.launcher.usage(),
    },
    activity: {
      now(minutes) {
        asked.push(`activity of ${minutes} minutes`);
        return Promise.resolve(activity);
      },
    },
    past: {
      ...{ wakes, wakeLog },
      hours(service, hours) {
        asked.push(`${hours} hours of ${service}`);
        return past.periods;
      },
      minutes(service, minutes) {
        asked.push(`${minutes} minutes of ${service}`);
        return past.periods;
      },
      timelines(hours, only = "all") {
        asked.push(`${hours} hours of ${only}`);
        return past.timelines;
      },
    },
    metrics: new Metrics(),
    estimates: {
      basisOf(service, days) {
        asked.push(`estimate of ${service} from ${days} days`);
        return basis.now;
      },
    },
    engine: { canHibernate: true, answers: () => Promise.resolve(true) },
    certificateNames: new CertificateNames({ store, clock: kit.clock, now: () => scene.time.now }),
    hosts: {
      kindOf: (name) => scene.services.get(name.split(".")[0]!) === undefined ? undefined : "declared",
      urlOf: (service, tag) => `http://${tag === undefined ? "" : `${tag}--`}${service}.localhost:8080`,
    },
    signInAddresses: { callbacksOf: (service) => [`http://${service}.localhost:8080/callback`] },
    statistics: { pools: () => new Set(), read: () => ({}) },
    activator: { draining: false },
    config: {
      domain: "cless.cloud",
      publicUrl: undefined,
      admin: { hostname: "127.0.0.1", port: 1323 },
    },
    clock: kit.clock,
    now: () => scene.time.now,
    stopping: new AbortController().signal,
    ...changed,
  };
  const handle = adminApi(parts);
  const ask: Admin["ask"] = (method, path, options = {}) => {
    const { body, peer = PEER, url = "http://127.0.0.1:1323" } = options;
    const headers = new Headers(options.headers);
    const token = "token" in options ? options.token : OWNER;
    if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
    if (body !== undefined && !headers.has("content-type")) headers.set("content-type", "application/json");
    const sent = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    return handle(new Request(url + path, { method, headers, ...(sent === undefined ? {} : { body: sent }) }), peer);
  };
  return {
    ...scene,
    handle,
    parts,
    exec,
    asked,
    found,
    failures,
    statuses,
    happening,
    costs,
    activity,
    past,
    woken,
    basis,
    ask,
    tokens: { read: await tokens.issue("reader", "read"), deploy: await tokens.issue("ci", "deploy") },
  };
}

const TITLES: Record<number, string> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  412: "Precondition Failed",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

/** Checks that an answer is an error with this code, and returns its detail. */
export async function problemOf(answer: Response, status: number, code: string): Promise<string> {
  const { headers } = answer;
  const body = await answer.json();
  assertEquals([answer.status, headers.get("cless-error")], [status, code], body.detail);
  assertEquals(headers.get("content-type"), "application/problem+json");
  const { detail, reason: _reason, output: _output, errors = [{}], ...rest } = body;
  assertEquals(rest, { type: "about:blank", title: TITLES[status], status, code });
  if ("field" in errors[0]) assertEquals(`${errors[0].field}: ${errors[0].reason}`, detail);
  return detail;
}

/** Checks that an answer has this status, and returns its JSON. */
export async function good(answer: Promise<Response>, status = 200) {
  const { headers, status: got } = await answer;
  const text = await (await answer).text();
  assertEquals(got, status, text);
  if (status === 204) return undefined;
  assertEquals(headers.get("content-type"), "application/json");
  return JSON.parse(text);
}

function catalogOf(
  { declared }: Scene,
  found: readonly ServiceView[],
  { failures, statuses }: Pick<Admin, "failures" | "statuses">,
): Collaborators["catalog"] {
  const list = () => {
    const views = Array.from(declared.after(""), (service): ServiceView => ({ ...service, convention: false }));
    const names = new Set(views.map(({ name }) => name));
    return [...views, ...found.filter(({ name }) => !names.has(name))].sort((a, b) => a.name < b.name ? -1 : 1);
  };
  return {
    after: (name) => list().filter((service) => service.name > name),
    status: (name) => statuses.get(name) ?? { state: "asleep" },
    statuses: () => Array.from(statuses, ([service, status]) => ({ service, ...status })),
    served: () => [],
    get: (name) => list().find((service) => service.name === name),
    userOf: (secret) =>
      declared.needingPreparation().flatMap(({ revisions }) => revisions.toReversed())
        .filter(({ template }) => Object.values(template.secretEnv).includes(secret))
        .map(({ name }) => ({ revision: name }))[0],
    revisions: (name) => {
      const state = declared.get(name);
      if (state === undefined) return found.some((one) => one.name === name) ? [] : undefined;
      const { service: { latestRevision, traffic }, revisions } = state;
      const targets = resolveTraffic(traffic, latestRevision);
      return revisions.map((record): RevisionView => {
        const target = targets.find(({ revision }) => revision === record.name);
        return {
          ...record,
          percent: target?.percent ?? 0,
          tag: target?.tag,
          latest: record.name === latestRevision,
          failure: failures.get(record.name),
        };
      }).reverse();
    },
  };
}

function previewOf({ declared }: Scene, name: string): DeployPreview {
  const service = declared.service(name);
  const traffic = service?.traffic ?? [{ revision: "latest", percent: 100 }];
  return {
    change: service === undefined ? "create" : "update",
    revision: `${name}-00009`,
    changed: ["image"],
    settings: [],
    pull: false,
    traffic: { before: service?.traffic ?? [], after: traffic },
    domains: { before: service?.domains ?? [], after: service?.domains ?? [] },
    revisionHistory: { before: service?.revisionHistory, after: service?.revisionHistory ?? 20 },
    declaredBy: { before: service?.declaredBy, after: service?.declaredBy },
  };
}

/** A convention service. */
export function foundService(name: string): ServiceView {
  return {
    name,
    domains: [],
    latestRevision: `${name}-0123456789ab`,
    traffic: [{ revision: "latest", percent: 100 }],
    previousTraffic: [],
    generation: undefined,
    convention: true,
    revisionHistory: undefined,
    wake: undefined,
    loading: undefined,
    access: undefined,
    limits: undefined,
    maintenance: undefined,
    declaredBy: undefined,
    createdAt: 1_000_000,
    updatedAt: 1_000_000,
  };
}

/** A template with its defaults, in JSON. */
export function templateJson(image: string): Record<string, unknown> {
  return JSON.parse(JSON.stringify(showTemplate(canonicalTemplate({ image }))));
}

async function* eventsOf(events: readonly ClessEvent[]): AsyncIterable<ClessEvent> {
  await Promise.resolve();
  yield* events;
}

async function* linesOf(count: number) {
  await Promise.resolve();
  for (let line = 1; line <= count; line++) {
    const time = `2026-11-25T10:00:0${line}.000Z`;
    yield { instance: "one", revision: "web-00001", stream: "stdout" as const, time, text: `line ${line}` };
  }
}
