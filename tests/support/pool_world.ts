import { assert, assertEquals } from "@std/assert";
import type { Revision } from "../../src/model/revision.ts";
import { ClessError } from "../../src/base/errors.ts";
import { delay } from "../../src/base/async.ts";
import type { Instance, Lease } from "../../src/pool/instance.ts";
import type { InstancePool } from "../../src/pool/instance_pool.ts";
import type { Container } from "../../src/pool/launcher.ts";
import type { Probed } from "../../src/pool/readiness.ts";
import { settle } from "./fake_clock.ts";
import { type Kit, newKit, untilAborted } from "./kit.ts";
import { GOOD, type Mood, obey } from "./mood.ts";

const TICK_MS = 500;
const EVENT_DELAY_MS = 20;
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

/** A pool on an engine of changing moods, with everything that must hold at any time. */
export class PoolWorld {
  readonly kit: Kit;
  readonly pool: InstancePool;
  readonly requests: Asked[] = [];
  readonly #revision: Revision;
  readonly #instances: Instance[] = [];
  /** Containers that somebody has had his hands on: what cless thinks of them may be wrong for a while. */
  readonly #touched = new Set<string>();
  readonly #wrongs: string[] = [];
  #mood: Mood = GOOD;
  #pausing = 0;
  /** How many starts and resumes the engine or an app has made fail. */
  #spoilt = 0;
  #retired = false;
  #kept = true;
  #suspensions = 0;

  constructor(revision: Revision) {
    this.#revision = revision;
    this.kit = newKit({ maxPending: 10_000, ask: (url, signal) => this.#app(url, signal) });
    const { clock, fleet, launcher } = this.kit;
    const add = fleet.add.bind(fleet);
    fleet.add = (instance, pool) => {
      this.#instances.push(instance);
      instance.onChange = (before) => {
        const isLost = before === "paused" && instance.state === "draining" && this.pool.waiting > 0;
        if (instance.state === "failed" || isLost) this.#spoilt++;
        this.#check();
      };
      add(instance, pool);
    };
    launcher.onEvent = (event) => void clock.after(EVENT_DELAY_MS, () => fleet.apply(event));
    launcher.on.launch = async ({ id }) => {
      await this.#obey(() => {});
      return { origin: `http://${id}` };
    };
    launcher.on.pause = async (id) => {
      this.#pausing++;
      const { hang = 0 } = this.#mood;
      if (hang > 0) await delay(clock, hang);
      await this.#obey(() => this.#put(id, "paused")).finally(() => this.#pausing--);
      // The app has answered meanwhile, and is given requests: nobody can tell that it is paused all the same.
      if (this.#instances.some((instance) => instance.id === id && instance.state !== "paused")) this.#touched.add(id);
    };
    launcher.on.resume = (id) => this.#obey(() => this.#put(id, "running"));
    launcher.on.stop = launcher.on.remove = () => this.#obey(() => {});
    this.pool = this.kit.newPool(revision);
    clock.every(TICK_MS, () => this.pool.tick(this.#kept));
  }

  /** Whether the engine is about to pause a container. */
  get isPausing(): boolean {
    return this.#pausing > 0;
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

  /** Changes how the engine takes orders. */
  set mood(mood: Mood) {
    this.#mood = mood;
  }

  /** Whether the revision gets requests, so that it should have what it has always. */
  set kept(kept: boolean) {
    this.#kept = kept;
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

  /** The engine's list is held against what is known, some ms after it was made. */
  reconcile(delayMs = 0): void {
    const { clock, fleet, launcher } = this.kit;
    const known = fleet.known();
    launcher.list().then(async (listed) => {
      if (delayMs > 0) await delay(clock, delayMs);
      fleet.reconcile(listed, known);
    });
  }

  /** Stops all instances, and has everybody wait until it is resumed. */
  suspend(drainTimeout: number): void {
    this.#suspensions++;
    this.pool.suspend(drainTimeout);
  }

  /** Ends the last suspension, if there is one. */
  resume(): void {
    if (this.#suspensions === 0) return;
    this.#suspensions--;
    this.pool.resume();
  }

  /** Lets time pass; all must be well at the end, too. */
  async advance(ms: number): Promise<void> {
    await this.kit.clock.advance(ms);
    this.#check();
    const { concurrency } = this.#revision;
    const isFree = ({ inFlight, state }: Instance) =>
      state === "ready" && (concurrency === 0 || inFlight < concurrency);
    if (this.pool.waiting > 0 && this.#instances.some(isFree)) this.#wrongs.push("a slot is free, and somebody waits");
    if (this.pool.waiting > 0 && !this.pool.awake && this.#suspensions === 0) {
      this.#wrongs.push("somebody waits for nothing");
    }
    assertEquals(this.#wrongs, []);
  }

  /** Everything calms down: all who wait are served, nothing is left over. */
  async finish(): Promise<void> {
    const { clock, fleet, launcher, starter } = this.kit;
    this.#mood = GOOD;
    this.#kept = true;
    while (this.#suspensions > 0) this.resume();
    this.reconcile();
    for (let rounds = 0; this.requests.some(({ state }) => state === "waiting"); rounds++) {
      assert(rounds < 50, `nobody serves ${this.pick("waiting", 0)!.number}`);
      await this.advance(CALM_MS / 50);
      for (const asked of this.requests) if (asked.state === "served") this.end(asked);
    }
    for (const asked of this.requests) this.end(asked);
    await this.advance(CALM_MS);
    this.ask();
    await this.advance(1000);
    const last = this.requests.at(-1)!;
    assertEquals(last.state, "served", "a request when all is calm");
    await this.advance(CALM_MS / 10);
    this.#retired = true;
    for (const asked of this.requests) this.end(asked);
    await clock.until(this.pool.retire(1000));
    await clock.until(starter.settled());
    await settle();
    assertEquals(this.#wrongs, []);
    for (const { id, inFlight, state } of this.#instances) {
      assertEquals([id, inFlight, state === "stopped" || state === "failed"], [id, 0, true]);
    }
    await clock.advance(1000);
    assertEquals([fleet.instances(), this.pool.awake, this.pool.waiting], [[], false, 0]);
    // What the engine has refused to remove is found by the reconciler.
    const removed = new Set([...launcher.called("stop"), ...launcher.called("remove")]);
    assertEquals([...launcher.containers.keys()].filter((id) => !removed.has(id)), []);
    assertEquals(clock.timers, 1, "timers besides the tick");
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
    const isEnd = code === "draining" && this.#retired;
    if (!isStart && !isLoop && !isEnd) this.#wrongs.push(`${asked.number} fails by itself: ${code}`);
  }

  #check(): void {
    const { concurrency, maxInstances, minInstances } = this.#revision;
    const of = (...states: Instance["state"][]) => this.#instances.filter(({ state }) => states.includes(state));
    const live = of("starting", "ready", "paused").length;
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

  /** What an app does when it is asked: one that runs answers, and all others are silent. */
  async #app(url: string, signal: AbortSignal): Promise<Probed> {
    if (this.kit.launcher.containers.get(new URL(url).hostname)?.state === "running") return 200;
    await untilAborted(signal).catch(() => {});
    return "silent";
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
