import type { Hostname } from "../../src/model/host.ts";
import { conventionRevision, type Revision } from "../../src/model/revision.ts";
import { Activator } from "../../src/routing/activator.ts";
import type { Clock } from "../../src/base/clock.ts";
import { type Lag, NO_LAG } from "../../src/base/lag.ts";
import { Convention } from "../../src/routing/convention.ts";
import { Fleet } from "../../src/fleet/fleet.ts";
import type { PoolObserver } from "../../src/pool/observer.ts";
import { type Grant, InstancePool } from "../../src/pool/pool.ts";
import type { Visits } from "../../src/pool/instance.ts";
import type { Launcher, SharedSlots } from "../../src/pool/launcher.ts";
import { Router } from "../../src/routing/router.ts";
import { Service } from "../../src/routing/service.ts";
import { ServiceMap } from "../../src/routing/service_map.ts";
import { Executor } from "../../src/pool/executor.ts";
import type { Ask } from "../../src/pool/probe.ts";
import { Shed } from "../../src/proxy/admission.ts";
import type { ProxyOptions } from "../../src/proxy/proxy.ts";
import { FakeClock } from "./fake_clock.ts";
import { FakeImages } from "./fake_images.ts";
import { FakeLauncher } from "./fake_launcher.ts";

/** Admits every request. */
export function admitAll(): ProxyOptions["admission"] {
  return { judge: () => "admitted", refusal: new Response(null, { status: 503 }), shed: new Shed() };
}

/** The parts below the request path, with a fake engine, and apps that answer as soon as their container runs. */
export interface Kit {
  readonly clock: FakeClock;
  readonly launcher: FakeLauncher;
  readonly fleet: Fleet;
  readonly executor: Executor;
  /** @param visits Counts the requests of the pool's service. */
  newPool(revision?: Revision, visits?: Visits): InstancePool;
}

/** Options of {@linkcode newKit}. */
export interface KitOptions {
  readonly maxPending?: number;
  /** From 0 to below 1; one half where it is missing, so that nothing is left to chance. */
  readonly random?: () => number;
  /** Asks an app once whether it is there; it always is if this is missing. */
  readonly ask?: Ask;
  /** Is told what becomes of instances. */
  readonly observer?: PoolObserver;
  /** How late cless itself is; never where it is missing. */
  readonly lag?: Lag;
  /** Waits for an app, in the place of the real probe. */
  readonly untilReady?: (url: string, clock: Clock, signal: AbortSignal) => Promise<void>;
  /** Whether an id that is free is given to the next instance, as in a Swarm; else each is given once. */
  readonly reuseIds?: boolean;
  /** Puts something before the engine. */
  readonly before?: (launcher: Launcher, clock: Clock) => Launcher;
}

/** Makes the parts; instances are called `one`, `two`, `three` and so on. */
export function newKit(
  {
    maxPending = 100,
    random = () => 0.5,
    ask = () => Promise.resolve(200),
    observer = {},
    lag = NO_LAG,
    untilReady = () => Promise.resolve(),
    reuseIds = false,
    before = (launcher) => launcher,
  }: KitOptions = {},
): Kit {
  const clock = new FakeClock();
  const engine = new FakeLauncher();
  const launcher = before(engine, clock);
  const fleet = new Fleet();
  engine.onEvent = (event) => fleet.apply(event);
  const executor = new Executor(launcher, clock, fleet, { untilReady, ask, lag });
  const names = ["one", "two", "three", "four", "five", "six"];
  let made = 0;
  const newId = (_: Revision, isMember: (id: string) => boolean) => {
    const free = reuseIds ? names.find((name) => fleet.get(name) === undefined && !isMember(name)) : names[made++];
    return free ?? `no-${made}`;
  };
  return {
    clock,
    launcher: engine,
    fleet,
    executor,
    newPool: (revision = newRevision(), visits) =>
      new InstancePool(revision, {
        ...{ clock, executor, fleet, observer, maxPending, newId, random },
        ...(visits === undefined ? {} : { visits }),
      }),
  };
}

const MAX_RESOLVING = 100;

/** What containers get where nothing is said. */
export const NEW_DEFAULTS = { dropped: ["MKNOD", "NET_RAW"], memoryBytes: 2 ** 30, cpus: 2 };

/** The parts that turn a hostname into a lease, on top of a {@linkcode Kit}. */
export function newFront(kit: Kit) {
  const images = new FakeImages();
  const retired: Promise<void>[] = [];
  const services = new ServiceMap({ retire: (pool) => void retired.push(pool.retire(10_000)) });
  const convention = new Convention({
    images,
    services,
    limits: {
      startTimeoutMs: 30_000,
      requestTimeoutMs: 10_000,
      clientTimeoutMs: 60_000,
      pauseAfterMs: Infinity,
      hibernateAfterMs: Infinity,
      stopAfterMs: 60_000,
      stopHibernatedAfterMs: 60_000,
    },
    defaults: NEW_DEFAULTS,
    older: new Set<string>(),
    pools: kit,
    declared: new Set<string>(),
  });
  const router = new Router(services, convention);
  const activator = new Activator(router, MAX_RESOLVING);
  return { images, services, convention, router, activator, retired };
}

/** A service that was found by its image, with the pools of its revisions, oldest first. */
export function conventionService(name: string, ...pools: InstancePool[]): Service {
  const now = new Date();
  const shares = pools.map((pool, at) => ({ pool, percent: at === 0 ? 100 : 0 }));
  return new Service(name, { shares, found: { createdAt: now, updatedAt: now } });
}

/** A hostname of a service. */
export function hostOf(label: string): Hostname {
  return { name: `${label}.localhost`, label };
}

/** A revision of the service `app`: starts within 30 s, stops after 60 s. */
export function newRevision(imageId = "sha256:0123456789abcdef", service = "app"): Revision {
  return conventionRevision(service, imageId, {
    startTimeoutMs: 30_000,
    requestTimeoutMs: 10_000,
    clientTimeoutMs: 60_000,
    pauseAfterMs: Infinity,
    hibernateAfterMs: Infinity,
    stopAfterMs: 60_000,
    stopHibernatedAfterMs: 60_000,
  });
}

/** The slots of instances that others use too, for revisions without a limit: nobody asks for any. */
export const NO_SLOTS: SharedSlots = {
  hold: unlimited,
  get: unlimited,
  giveBack: unlimited,
};

function unlimited(): never {
  throw new Error("The requests of the revision are not limited");
}

/** A signal that is never aborted. */
export function never(): AbortSignal {
  return new AbortController().signal;
}

/** Has a pool start an instance, and waits for a lease on it. */
export async function started(kit: Kit, pool: InstancePool, origin = "http://10.0.0.2:8080"): Promise<Grant> {
  const held = pool.hold(never());
  (await kit.launcher.nextLaunch()).succeed(origin);
  return await held;
}

/** Rejects with the signal's reason once it is aborted: an app that never answers. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((_, reject) => {
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
