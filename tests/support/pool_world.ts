import { assert, assertEquals } from "@std/assert";
import type { Revision } from "../../src/model/revision.ts";
import { ClessError } from "../../src/base/errors.ts";
import { delay } from "../../src/base/async.ts";
import { type InstanceState, isAsleep } from "../../src/model/instance_state.ts";
import { type Instance, Lease, type Suspicion } from "../../src/pool/instance.ts";
import type { InstancePool } from "../../src/pool/pool.ts";
import type { Container, ContainerEvent } from "../../src/pool/launcher.ts";
import type { Probed } from "../../src/pool/probe.ts";
import { settle } from "./fake_clock.ts";
import { type Kit, newKit, untilAborted } from "./kit.ts";
import { GOOD, type Mood, obey } from "./mood.ts";
import { Random } from "./random.ts";

const EVENT_DELAY_MS = 20;
/** How often an app that is being started is asked. */
const ASK_MS = 50;
/** Long enough for every back-off and every start that hangs. */
const CALM_MS = 200_000;

/** A request as the test sees it. */
interface Asked {
  readonly number: number;
  readonly client: AbortController;
  /** What the engine had spoilt when it came. */
  readonly spoiltBefore: number;
  state: "waiting" | "served" | "ended";
  lease: Lease | undefined;
}

/** What becomes of the engine's events: in order and once, soon or at once; or with some of them late, doubled or lost. */
export type Events = "in order" | "at once" | "late" | "doubled" | "lost";

/** What an app does: serve, ignore all questions, or say that it is not well. */
export type AppMood = "well" | "deaf" | "unwell";

/** Options of a {@linkcode PoolWorld}. */
export interface WorldOptions {
  /** A container that an earlier process has left. */
  readonly found?: "running" | "paused" | undefined;
  /** Decides which events are late, doubled or lost. */
  readonly seed?: number;
}

/** A pool on an engine of changing moods, with everything that must hold at any time. */
export class PoolWorld {
  readonly kit: Kit;
  readonly pool: InstancePool;
  readonly requests: Asked[] = [];
  readonly #revision: Revision;
  readonly #random: Random;
  readonly #instances: Instance[] = [];
  /** Containers that somebody has had his hands on: what cless thinks of them may be wrong for a while. */
  readonly #touched = new Set<string>();
  readonly #launched = new Set<string>();
  readonly #wrongs: string[] = [];
  #mood: Mood = GOOD;
  #app: AppMood = "well";
  #events: Events = "in order";
  #isComputing = false;
  #pausing = 0;
  #hibernating = 0;
  /** The containers that have not run since their memory began to be moved to disk. */
  readonly #onDisk = new Set<string>();
  /** How many calls wait for an instance that is to hibernate early. */
  #pressing = 0;
  #isKept = true;
  /** How many starts and resumes the engine or an app has made fail. */
  #spoilt = 0;
  #retired: Promise<void> | undefined;
  /** Whether instances may be stopped in use: somebody ends them all, after a while. */
  #cutting = false;
  #suspensions = 0;
  #fallingAsleep = 0;

  constructor(revision: Revision, { found, seed = 0 }: WorldOptions = {}) {
    this.#revision = revision;
    this.#random = new Random(seed);
    this.kit = newKit({
      maxPending: 10_000,
      ask: (url, signal) => this.#ask(url, signal),
      observer: { changed: (instance, before) => this.#changed(instance, before) },
      untilReady: (url, _clock, signal) => this.#untilReady(url, signal),
    });
    const { clock, launcher } = this.kit;
    launcher.onEvent = (event) => this.#deliver(event);
    launcher.processorTime = () => Promise.resolve(this.#isComputing ? clock.now() : 0);
    launcher.on.launch = async ({ id }) => {
      this.#checkLaunch(id);
      await this.#obey(() => {});
      return { origin: `http://${id}` };
    };
    launcher.on.pause = async (id) => {
      const instance = this.#instances.find((instance) => instance.id === id);
      if (instance !== undefined && instance.inFlight > 0) this.#wrongs.push(`${id} is paused in use`);
      this.#pausing++;
      const { hang = 0 } = this.#mood;
      if (hang > 0) await delay(clock, hang);
      await this.#obey(() => this.#put(id, "paused")).finally(() => this.#pausing--);
      // The app has answered meanwhile, and is given requests: nobody can tell that it is paused all the same.
      if (this.#instances.some((instance) => instance.id === id && instance.state !== "paused")) this.#touched.add(id);
    };
    launcher.on.hibernate = async (id) => {
      this.#checkHibernate(id);
      this.#hibernating++;
      this.#onDisk.add(id);
      const { reclaim = 0 } = this.#mood;
      if (reclaim > 0) await delay(clock, reclaim);
      await this.#obey(() => {}).finally(() => this.#hibernating--);
      if (launcher.containers.get(id)?.state !== "paused") throw new Error("it was woken meanwhile");
    };
    launcher.on.resume = (id) => {
      this.#onDisk.delete(id);
      return this.#obey(() => this.#put(id, "running"));
    };
    launcher.on.stop = launcher.on.remove = (id) => {
      this.#checkStop(id);
      return this.#obey(() => {});
    };
    this.pool = this.kit.newPool(revision);
    this.kept = true;
    if (found !== undefined) this.#find(found);
  }

  /** Whether the engine is about to pause a container. */
  get isPausing(): boolean {
    return this.#pausing > 0;
  }

  /** Whether memory is being moved to disk. */
  get isHibernating(): boolean {
    return this.#hibernating > 0;
  }

  /** A request comes. @param quiet Whether it wakes nobody, and goes away where nobody is awake. */
  ask(quiet = false): void {
    const asked: Asked = {
      number: this.requests.length,
      client: new AbortController(),
      spoiltBefore: this.#spoilt,
      state: "waiting",
      lease: undefined,
    };
    const isFirst = !this.requests.some(({ state }) => state === "waiting");
    this.requests.push(asked);
    const lease = this.pool.claim(quiet);
    if (lease !== undefined) {
      if (!isFirst) this.#wrongs.push(`${asked.number} overtakes who waits`);
      return this.#served(asked, lease);
    }
    if (quiet) return this.end(asked);
    this.pool.hold(asked.client.signal).then(
      ({ lease }) => this.#served(asked, lease),
      (error) => this.#failed(asked, error),
    );
  }

  /** The nth of the requests in some state, counted round and round. */
  pick(state: Asked["state"], n: number): Asked | undefined {
    const those = this.requests.filter((asked) => asked.state === state);
    return those[n % those.length];
  }

  /** The nth container in one of some states, counted round and round. */
  pickContainer(n: number, ...states: Container["state"][]): string | undefined {
    const { containers } = this.kit.launcher;
    const ids = [...containers.values()].filter(({ state }) => states.includes(state)).map(({ id }) => id);
    return ids[n % ids.length];
  }

  /** A request is done, or its client gives up. */
  end(asked: Asked): void {
    if (asked.state === "waiting") asked.client.abort(new Error("gone"));
    asked.state = "ended";
    asked.lease?.release();
  }

  /** All requests that are being served are done. */
  endServed(): void {
    for (const asked of this.requests) if (asked.state === "served") this.end(asked);
  }

  /** Changes how the engine takes orders. */
  set mood(mood: Mood) {
    this.#mood = mood;
  }

  /** Changes whether the apps use processor time. */
  set computing(isComputing: boolean) {
    this.#isComputing = isComputing;
  }

  /** Changes what the app does. */
  set app(app: AppMood) {
    this.#app = app;
  }

  /** Changes what becomes of the engine's events. */
  set events(events: Events) {
    this.#events = events;
  }

  /** Whether the revision gets requests, so that it should have what it has always. */
  set kept(kept: boolean) {
    this.#isKept = kept;
    this.pool.keep(kept);
  }

  /** A container dies. */
  die(id: string, exitCode: number, how: "by itself" | "by hand" | "unseen"): void {
    this.#touched.add(id);
    if (how === "by itself") this.kit.launcher.end(id, exitCode);
    else if (how === "by hand") this.kit.launcher.kill(id, exitCode);
    else this.kit.launcher.endUnseen(id);
  }

  /** Somebody pauses or unpauses a container. */
  meddle(id: string, what: "paused" | "resumed"): void {
    this.#touched.add(id);
    this.#put(id, what === "paused" ? "paused" : "running");
  }

  /** A request finds that the app of an instance takes no connections, closes them, or does not answer in time. */
  suspect(n: number, what: Suspicion | "answered"): void {
    const ready = this.#instances.filter(({ state }) => state === "ready");
    const instance = ready[n % ready.length];
    if (instance === undefined) return;
    this.#touched.add(instance.id);
    if (what === "answered") (instance.leases[0] ?? new Lease(instance, false)).answered(200);
    else instance.suspect(what);
  }

  /** Memory is short: the nth of the sleeping instances is to hibernate early. */
  press(n: number): void {
    const asleep = this.kit.fleet.asleep();
    const instance = asleep[n % asleep.length]?.instance;
    if (instance === undefined) return;
    this.#pressing++;
    this.pool.hibernate(instance).finally(() => this.#pressing--);
  }

  /** The memory of the nth of the sleeping instances has come back from disk, as far as it was there. */
  memoryBack(n: number): void {
    const asleep = this.kit.fleet.asleep();
    const instance = asleep[n % asleep.length]?.instance;
    if (instance !== undefined) this.pool.memoryBack(instance);
  }

  /** The engine's list is held against what is known, some ms after it was made. */
  reconcile(delayMs = 0): void {
    const { clock, fleet, launcher } = this.kit;
    const known = fleet.known();
    launcher.list().then(async (listed) => {
      if (delayMs > 0) await delay(clock, delayMs);
      for (const { id } of fleet.reconcile(listed, known)) launcher.remove(id).catch(() => {});
    });
  }

  /** Stops all instances once, after what is in flight. */
  sleep(drainTimeout: number): void {
    this.#cutting = true;
    this.#fallingAsleep++;
    this.pool.sleep(drainTimeout).then(() => this.#fallingAsleep--);
  }

  /** Stops all instances, and holds new requests until it is unsuspended. */
  suspend(drainTimeout: number): void {
    this.#cutting = true;
    this.#suspensions++;
    this.pool.suspend(drainTimeout);
  }

  /** Ends the last suspension, if there is one. */
  unsuspend(): void {
    if (this.#suspensions === 0) return;
    this.#suspensions--;
    this.pool.unsuspend();
  }

  /** Ends the pool. */
  retire(drainTimeout: number): Promise<void> {
    this.#cutting = true;
    return this.#retired ??= this.pool.retire(drainTimeout);
  }

  /** Lets time pass; all must be well at the end, too. */
  async advance(ms: number): Promise<void> {
    await this.kit.clock.advance(ms);
    this.#check();
    const { concurrency } = this.#revision;
    const isFree = ({ inFlight, state }: Instance) =>
      state === "ready" && (concurrency === 0 || inFlight < concurrency);
    if (this.pool.waiting > 0 && this.#instances.some(isFree)) this.#wrongs.push("a slot is free, and somebody waits");
    const isHeld = this.#suspensions > 0 || (this.#fallingAsleep > 0 && this.#revision.volumes.length > 0);
    if (this.pool.waiting > 0 && !this.pool.live && !isHeld) {
      this.#wrongs.push("somebody waits for nothing");
    }
    const waiting = this.requests.filter(({ state }) => state === "waiting").length;
    if (waiting !== this.pool.waiting) this.#wrongs.push(`${waiting} wait, and the pool knows ${this.pool.waiting}`);
    for (const instance of this.#instances) {
      const open = this.requests.filter(({ lease, state }) => state === "served" && lease?.instance === instance);
      if (open.length !== instance.inFlight) {
        this.#wrongs.push(`${instance.id} counts ${instance.inFlight} leases, and there are ${open.length}`);
      }
    }
    this.#checkOwners();
    assertEquals(this.#wrongs, []);
  }

  /** Everything calms down: all who wait are served, nothing is left over. */
  async finish(): Promise<void> {
    const { clock, fleet, executor, launcher } = this.kit;
    this.mood = GOOD;
    this.app = "well";
    this.events = "in order";
    this.kept = true;
    await this.advance(1000); // events that were late have come
    while (this.#suspensions > 0) this.unsuspend();
    this.reconcile();
    for (let rounds = 0; this.requests.some(({ state }) => state === "waiting"); rounds++) {
      assert(rounds < 50, `nobody serves ${this.pick("waiting", 0)!.number}`);
      await this.advance(CALM_MS / 50);
      this.endServed();
    }
    this.endServed();
    await this.#comeToRest();
    if (this.#retired === undefined) {
      this.ask();
      await this.advance(1000);
      assertEquals(this.requests.at(-1)!.state, "served", "a request when all is calm");
      await this.advance(CALM_MS / 10);
      this.endServed();
    }
    await clock.until(this.retire(1000));
    await clock.until(executor.settled());
    await settle();
    assertEquals(this.#wrongs, []);
    for (const { id, inFlight, state } of this.#instances) {
      assertEquals([id, inFlight, state === "stopped" || state === "failed"], [id, 0, true]);
    }
    await clock.advance(1000);
    assertEquals([fleet.instances(), this.pool.live, this.pool.waiting], [[], false, 0]);
    // What the engine has refused to remove is found by the reconciler.
    const removed = new Set([...launcher.called("stop"), ...launcher.called("remove")]);
    assertEquals([...launcher.containers.keys()].filter((id) => !removed.has(id)), []);
    assertEquals(clock.timers, 0, "timers of a pool that has retired");
    assertEquals([this.#hibernating, this.#pressing], [0, 0], "what still waits for memory to be on disk");
  }

  /** Where nothing happens any more, nothing is ordered any more. */
  async #comeToRest(): Promise<void> {
    const { launcher } = this.kit;
    await this.advance(CALM_MS);
    const before = launcher.calls.length;
    await this.advance(CALM_MS / 4);
    assertEquals(launcher.calls.slice(before), [], "orders though nothing happens");
  }

  #changed(instance: Instance, before: InstanceState | undefined): void {
    if (before === undefined) return void this.#instances.push(instance);
    const isLost = isAsleep(before) && instance.state === "draining" && this.pool.waiting > 0;
    if (instance.state === "failed" || isLost) this.#spoilt++;
    if (instance.state === "hibernated" && !this.#onDisk.has(instance.id)) {
      this.#wrongs.push(`${instance.id} has run since its memory was moved to disk`);
    }
    if (instance.state === "ready" && this.pool.waiting > 0 && this.pool.claim() !== undefined) {
      this.#wrongs.push(`somebody could overtake who waits for ${instance.id}`);
    }
    this.#check();
  }

  #served(asked: Asked, lease: Lease): void {
    if (asked.state === "ended") return lease.release(); // it left at that very moment
    const before = this.requests.find(({ number, state }) => state === "waiting" && number < asked.number);
    if (before !== undefined) this.#wrongs.push(`${asked.number} is served before ${before.number}`);
    asked.state = "served";
    asked.lease = lease;
    lease.holder = { instanceGone: () => this.end(asked) };
    if (lease.instance.gone.aborted) this.end(asked);
    this.#check();
  }

  #failed(asked: Asked, error: unknown): void {
    if (asked.state === "ended") return;
    asked.state = "ended";
    const code = error instanceof ClessError ? error.code : String(error);
    const isStart = (code === "start_failed" || code === "start_timeout") && this.#spoilt > asked.spoiltBefore;
    const isLoop = code === "crash_loop" && this.#spoilt + this.#touched.size >= 3;
    const isEnd = code === "draining" && this.#retired !== undefined;
    if (!isStart && !isLoop && !isEnd) this.#wrongs.push(`${asked.number} fails by itself: ${code}`);
  }

  #check(): void {
    const { concurrency, maxInstances, minInstances } = this.#revision;
    const of = (...states: Instance["state"][]) => this.#instances.filter(({ state }) => states.includes(state));
    const live = this.#live().length;
    if (live > maxInstances) this.#wrongs.push(`${live} instances are live`);
    if (concurrency === 0 && minInstances < 2 && of("starting", "ready").length > 1) this.#wrongs.push("two starts");
    for (const { id, inFlight, state } of this.#instances) {
      if (concurrency > 0 && inFlight > concurrency) this.#wrongs.push(`${id} has ${inFlight} requests`);
      const container = this.kit.launcher.containers.get(id);
      if (inFlight > 0 && !this.#touched.has(id) && (state === "ready" || container?.state === "paused")) {
        if (container?.state === "running") continue;
        this.#wrongs.push(`${id} has requests and is ${container?.state}`);
      }
    }
  }

  #checkLaunch(id: string): void {
    if (this.#launched.has(id)) return; // the engine was away, and is asked again
    this.#launched.add(id);
    if (this.#suspensions > 0) this.#wrongs.push(`${id} is launched while the pool is suspended`);
    if (this.#retired !== undefined) this.#wrongs.push(`${id} is launched though the pool has retired`);
    if (this.pool.backoffMs > 0) this.#wrongs.push(`${id} is launched during the back-off`);
    if (this.pool.waiting === 0 && this.pool.backingOff) {
      this.#wrongs.push(`${id} is launched unasked during the back-off`);
    }
  }

  #checkHibernate(id: string): void {
    const instance = this.#instances.find((instance) => instance.id === id);
    if (instance?.state !== "paused") this.#wrongs.push(`${id} hibernates though it is ${instance?.state}`);
    if (instance !== undefined && instance.inFlight > 0) this.#wrongs.push(`${id} hibernates in use`);
    if (this.#isKept && !this.#cutting && this.#live().length <= this.#revision.minInstances) {
      this.#wrongs.push(`${id} hibernates though it has to be kept`);
    }
  }

  /** The instances that serve or could serve soon. */
  #live(): Instance[] {
    return this.#instances.filter(({ state }) => state === "starting" || state === "ready" || isAsleep(state));
  }

  #checkStop(id: string): void {
    const instance = this.#instances.find((instance) => instance.id === id);
    if (instance === undefined || instance.inUse === 0 || instance.gone.aborted || this.#cutting) return;
    // One that does not answer, or cannot be resumed after somebody has paused it, is stopped all the same.
    if (instance.failure === undefined && !this.#touched.has(id)) this.#wrongs.push(`${id} is stopped in use`);
  }

  /** Every container belongs to an instance, unless the engine did not remove it when it was told to. */
  #checkOwners(): void {
    const { fleet, launcher } = this.kit;
    const ordered = new Set([...launcher.called("stop"), ...launcher.called("remove")]);
    const orphans = fleet.reconcile([...launcher.containers.values()], []);
    for (const { id } of orphans) if (!ordered.has(id)) this.#wrongs.push(`${id} belongs to nobody`);
  }

  /** An earlier process has left a container, which is taken over as a starting cless does it. */
  #find(state: "running" | "paused"): void {
    const { containers } = this.kit.launcher;
    this.kit.launcher.put({ id: "found", revision: this.#revision }, state);
    this.pool.suspend(0);
    this.pool.adopt({ ...containers.get("found")!, origin: "http://found" });
    this.pool.unsuspend();
  }

  #deliver(event: ContainerEvent): void {
    const { clock, fleet } = this.kit;
    if (this.#events === "at once") return fleet.apply(event);
    const isStruck = this.#events !== "in order" && this.#random.chance(0.5);
    if (isStruck) this.#touched.add(event.id); // cless may think something else of it for a while
    if (isStruck && this.#events === "lost") return;
    const delayMs = isStruck && this.#events === "late" ? this.#random.below(900) : EVENT_DELAY_MS;
    clock.after(delayMs, () => fleet.apply(event));
    if (isStruck && this.#events === "doubled") clock.after(this.#random.below(900), () => fleet.apply(event));
  }

  /** What an app does when it is asked: one that runs answers, unless it is deaf, and all others are silent. */
  async #ask(url: string, signal: AbortSignal): Promise<Probed> {
    if (this.#isRunning(url) && this.#app !== "deaf") return this.#app === "well" ? 200 : 503;
    await untilAborted(signal).catch(() => {});
    return "silent";
  }

  async #untilReady(url: string, signal: AbortSignal): Promise<void> {
    while (!this.#isRunning(url) || this.#app !== "well") {
      await delay(this.kit.clock, ASK_MS, signal);
      signal.throwIfAborted();
    }
  }

  #isRunning(url: string): boolean {
    return this.kit.launcher.containers.get(new URL(url).hostname)?.state === "running";
  }

  #obey(act: () => void): Promise<void> {
    return obey(this.#mood, this.kit.clock, act);
  }

  #put(id: string, state: "paused" | "running"): void {
    const { containers } = this.kit.launcher;
    const container = containers.get(id);
    if (container === undefined || container.state === "ended") return;
    containers.set(id, { ...container, state });
    this.kit.launcher.emit({ id, what: state === "paused" ? "paused" : "resumed" });
  }
}
