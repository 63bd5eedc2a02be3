import { Gates } from "../../src/access/gates.ts";
import { Deployer, type DeployerOptions, type DeployInput, type DeployOptions } from "../../src/deploy/deployer.ts";
import { DeployQueue } from "../../src/deploy/deploy_queue.ts";
import type { EventType } from "../../src/control/events.ts";
import { RunningDeploys } from "../../src/control/running_deploys.ts";
import { Publisher } from "../../src/deploy/publisher.ts";
import { HostPaths } from "../../src/deploy/volumes.ts";
import { RevisionEnv } from "../../src/control/runtime_revision.ts";
import { RevisionLauncher } from "../../src/deploy/revision_launcher.ts";
import type { TemplateInput } from "../../src/model/template.ts";
import { parseHostname } from "../../src/model/host.ts";
import type { Limits, Revision } from "../../src/model/revision.ts";
import type { InstancePool } from "../../src/pool/pool.ts";
import { RetiringPools } from "../../src/fleet/retiring_pools.ts";
import { DeclaredServices } from "../../src/control/declared_services.ts";
import type { Store } from "../../src/control/store.ts";
import { ServiceMap } from "../../src/routing/service_map.ts";
import { FakeStore } from "../support/fake_store.ts";
import { type Kit, NEW_DEFAULTS, newKit } from "../support/kit.ts";
import { loaded } from "../support/loaded.ts";
import { signInParts } from "../support/sign_in.ts";

/** The limits of revisions whose templates name none. */
export const LIMITS: Limits = {
  startTimeoutMs: 30_000,
  requestTimeoutMs: 10_000,
  clientTimeoutMs: 60_000,
  pauseAfterMs: Infinity,
  hibernateAfterMs: Infinity,
  stopAfterMs: 60_000,
  stopHibernatedAfterMs: 60_000,
};

/** A trial whose outcome the test decides. */
export interface Trial {
  readonly pool: InstancePool;
  readonly signal: AbortSignal;
  succeed(): void;
  fail(error: Error): void;
}

/** A deployer on fakes, and what a test can observe of it. */
export interface Scene {
  readonly kit: Kit;
  readonly store: FakeStore;
  readonly declared: DeclaredServices;
  readonly services: ServiceMap;
  readonly publisher: Publisher;
  /** The launcher in front of the engine. */
  readonly launcher: RevisionLauncher;
  readonly env: RevisionEnv;
  readonly deployer: Deployer;
  /** The deploys that are under way. */
  readonly runningDeploys: RunningDeploys;
  /** The names of the pools that were retired, in order. */
  readonly retired: string[];
  /** Called for each retired pool. The pool is gone once it resolves. */
  readonly on: { retire: (pool: InstancePool) => Promise<void> | void };
  /** The emitted events in order, without durations. */
  readonly events: [type: EventType, service: string, data: Readonly<Record<string, unknown>>][];
  /** The contents of images by name. A name that is missing means the content of the same name. */
  readonly images: Map<string, string>;
  /** The trials, in order. */
  readonly trials: Trial[];
  /** Wall-clock ms. */
  readonly time: { now: number };
  /** The names of the revisions that a hostname leads to, for each percent. */
  splitOf(host: string): Record<string, number> | undefined;
}

/** Options of {@linkcode newScene}. */
export interface SceneOptions extends Omit<Partial<DeployerOptions>, "images" | "rules" | "store"> {
  /** Takes the place of each pool's own `tryStart`; `real` leaves that in its place. */
  readonly tryStart?: "real" | ((pool: InstancePool, signal: AbortSignal) => Promise<void>);
  /** The store of an earlier process, or one that is not a fake; then a test must not use that of the scene. */
  readonly store?: Store;
  readonly images?: Partial<DeployerOptions["images"]>;
  readonly rules?: Partial<DeployerOptions["rules"]>;
}

/** Makes a deployer. A trial waits for the test to decide about it. */
export function newScene(options: SceneOptions = {}): Scene {
  const trials: Trial[] = [];
  const onTrial = (pool: InstancePool, signal: AbortSignal) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    trials.push({ pool, signal, succeed: resolve, fail: reject });
    return promise;
  };
  const { store = new FakeStore(), images: ownImages = {}, rules = {}, tryStart = onTrial, ...parts } = options;
  const declared = new DeclaredServices(store);
  const retired: string[] = [];
  const on: Scene["on"] = { retire: () => {} };
  const draining = new RetiringPools(0);
  const standIns = new Map<InstancePool, Pick<InstancePool, "revision" | "retire">>();
  /** Stands in for a pool that retires: it is gone when the test says so. */
  const standIn = (pool: InstancePool) => {
    const { revision } = pool;
    const retire = async () => {
      retired.push(revision.name);
      await on.retire(pool);
    };
    return standIns.getOrInsertComputed(pool, () => ({ revision, retire }));
  };
  const retiring = {
    retire: (pool: InstancePool) => draining.retire(standIn(pool)),
    gone: (service?: string) => draining.gone(service),
  };
  const services = new ServiceMap(retiring);
  const events: Scene["events"] = [];
  const images = new Map<string, string>();
  const time = { now: 1_000_000 };
  let drawn = 0;
  const secrets = {
    currentVersions: (names: Iterable<string>) => {
      const newest = new Map(store.secretVersions().map(({ name, version }) => [name, version]));
      return Object.fromEntries(Array.from(names, (name) => {
        const version = newest.get(name);
        if (version === undefined) throw new Error(`there is no secret ${name}`);
        return [name, version];
      }));
    },
    resolve: (secretEnv: Readonly<Record<string, string>>, versions: Readonly<Record<string, number>>) => {
      const read = (name: string) => {
        if (store.secret(name, versions[name]!) === undefined) throw new Error(`the secret ${name} is gone`);
        return `${name} ${versions[name]}`;
      };
      return Promise.resolve().then(() =>
        Object.fromEntries(Object.entries(secretEnv).map(([variable, name]) => [variable, read(name)]))
      );
    },
  };
  const env = new RevisionEnv(secrets);
  const folders = new Set(["/", "/srv", "/srv/data", "/srv/data/a"]);
  const hostPaths = new HostPaths(["/srv"], (path) => {
    return folders.has(path) ? Promise.resolve(path) : Promise.reject(new Deno.errors.NotFound("No such file"));
  });
  let launcher: RevisionLauncher | undefined;
  const kit = newKit({
    before: (engine, clock) => launcher = new RevisionLauncher(engine, env, hostPaths, clock),
  });
  const pools = {
    newPool(revision: Revision): InstancePool {
      const pool = kit.newPool(revision);
      if (tryStart !== "real") pool.tryStart = (signal) => tryStart(pool, signal);
      return pool;
    },
  };
  const publisher = new Publisher({
    gates: new Gates({ clock: kit.clock, signIn: signInParts({ clock: kit.clock }) }),
    services,
    limits: LIMITS,
    defaults: NEW_DEFAULTS,
    env,
    store,
    pools,
    clock: kit.clock,
    retiring,
    random: () => drawn,
  });
  const running = new RunningDeploys();
  const deployer = new Deployer({
    store,
    declared,
    publisher,
    secrets,
    images: {
      resolve: (reference) =>
        Promise.resolve({ imageId: `sha256:${images.get(reference) ?? reference}`, pulled: false }),
      remove: () => Promise.resolve(true),
      ...ownImages,
    },
    launcher: launcher!,
    volumeAccess: { problemsOf: () => Promise.resolve([]) },
    volumeUsers: { othersWithVolume: () => Promise.resolve([]) },
    machines: { boundsOf: () => Promise.resolve(undefined) },
    drainTimeoutMs: 10_000,
    rules: {
      checkEnv: () => undefined,
      hostPaths,
      reservedHostnames: [],
      baseDomains: ["cless.cloud", "localhost"],
      signInAddresses: { problemOf: () => undefined },
      ...rules,
    },
    deploys: new DeployQueue(),
    running,
    statusWatch: { check: () => {} },
    events: {
      emit: (type, service, { ms: _, ...data }) => void events.push([type, service, data]),
      tell: (type, service, data) => void events.push([type, service, { ...data, told: true }]),
    },
    now: () => time.now++,
    ...parts,
  });
  const splitOf = (host: string) => {
    const route = services.find(parseHostname(host)!);
    if (route === undefined) return undefined;
    const split: Record<string, number> = {};
    for (let percent = 0; percent < 100; percent++) {
      drawn = percent / 100;
      const { name } = route.route().revision;
      split[name] = (split[name] ?? 0) + 1;
    }
    return split;
  };
  return {
    kit,
    store: store as FakeStore,
    declared,
    services,
    publisher,
    launcher: launcher!,
    env,
    deployer,
    runningDeploys: running,
    retired,
    on,
    events,
    images,
    trials,
    time,
    splitOf,
  };
}

/** The input of a deploy, from a template's fields and the fields beside it. */
export function input(
  image: string,
  { service = {}, traffic, tag, targets, ...template }: Partial<DeployInput> & Partial<TemplateInput> = {},
): DeployInput {
  return {
    template: { image, ...template },
    service,
    ...(traffic === undefined ? {} : { traffic }),
    ...(tag === undefined ? {} : { tag }),
    ...(targets === undefined ? {} : { targets }),
  };
}

/** Without a trial. */
export const AT_ONCE: DeployOptions = { by: "ci", wait: false };
/** With a trial. */
export const WAITING: DeployOptions = { by: "ci", wait: true };

/** Everything that a failed change must leave as it was. */
export function seen({ declared, publisher, store }: Scene, ...names: string[]) {
  return {
    kept: loaded(store),
    history: names.map((name) => store.history(name, 1000)),
    declared: [...declared.after("")],
    pools: names.map((name) => publisher.madePools(name).map(({ revision }) => revision.name)),
  };
}
