import { delay } from "../../src/base/async.ts";
import { shuttingDown } from "../../src/base/errors.ts";
import { Homes } from "../../src/docker/swarm/homes.ts";
import type { PeerAnswer, PeerMessage, Peers } from "../../src/docker/swarm/instance_messages.ts";
import { SlotExchange } from "../../src/docker/swarm/slot_exchange.ts";
import { Fleet } from "../../src/fleet/fleet.ts";
import { Predecessor, usesOf } from "../../src/fleet/predecessor.ts";
import type { Revision } from "../../src/model/revision.ts";
import type { Tenure } from "../../src/pool/decide.ts";
import { Executor } from "../../src/pool/executor.ts";
import type { Lease } from "../../src/pool/instance.ts";
import { InstancePool } from "../../src/pool/pool.ts";
import { NO_LAG } from "../../src/base/lag.ts";
import { FakeClock } from "./fake_clock.ts";
import { FakeLauncher } from "./fake_launcher.ts";
import { never, newRevision } from "./kit.ts";
import type { Random } from "./random.ts";

/** Each instance, with the node that it runs on. */
export const INSTANCES: readonly { readonly id: string; readonly node: string }[] = [
  { id: "here", node: "a" },
  { id: "nowhere", node: "x" }, // no cless runs there
];
/** So long after a cless has died, the others know: until its registration has run out, if nothing else says it. */
const RUNS_OUT_MS = 40_000;
/** A predecessor may use so long for its last requests. */
const DRAIN_MS = 30_000;
/** A predecessor says so often what it does. */
const REPORT_MS = 100;

/** Options of a {@linkcode SlotWorld}. */
export interface SlotWorldOptions {
  readonly random: Random;
  readonly concurrency: number;
  /** How many of {@linkcode INSTANCES} there are. */
  readonly instances: number;
  /** How probable it is that a message or an answer is lost. */
  readonly loss: number;
}

/** Several cless with the pools of one revision, on nodes `a`, `b` and `c`, whose messages take time and may be lost. */
export class SlotWorld {
  readonly clock = new FakeClock();
  readonly options: SlotWorldOptions;
  readonly revision: Revision;
  /** The process that takes messages and requests on each node. */
  readonly processes = new Map<string, SlotProcess>();
  /** All that there have been. */
  readonly all: SlotProcess[] = [];
  /** How many requests each app has, as it sees it. */
  readonly busy = new Map<string, number>();
  /** The most that any app has had. */
  most = 0;
  /** How many requests have ended, and how many are under way. */
  served = 0;
  open = 0;
  messages = 0;

  constructor(options: SlotWorldOptions) {
    this.options = options;
    const { concurrency, instances } = options;
    const never = { pauseAfterMs: Infinity, stopAfterMs: Infinity, stopHibernatedAfterMs: Infinity };
    this.revision = { ...newRevision(), concurrency, maxInstances: instances, ...never };
    for (const node of ["a", "b", "c"]) this.begin(node);
  }

  /** Starts a cless on a node. @param predecessor The one that it takes over from. */
  begin(node: string, predecessor?: SlotProcess): SlotProcess {
    const begun = new SlotProcess(this, node, predecessor);
    this.all.push(begun);
    for (const [other, { live }] of this.processes) {
      live.add(node);
      begun.live.add(other);
    }
    if (predecessor === undefined) this.processes.set(node, begun);
    return begun;
  }

  /**
   * A cless dies, and so does one of its node that is taking over from it, or from which it has taken over.
   *
   * @param knownMs After this time the others know.
   */
  die(node: string, knownMs = this.options.random.between(1000, RUNS_OUT_MS)): void {
    this.processes.delete(node);
    for (const process of this.on(node)) process.die();
    this.clock.after(knownMs, () => {
      if (this.processes.has(node)) return;
      for (const other of this.processes.values()) other.went(node);
    });
  }

  /** A cless ends as it should: it has no requests any more, and says so. */
  async end(node: string): Promise<void> {
    const process = this.processes.get(node);
    if (process === undefined || process.isLeaving) return;
    process.isLeaving = true; // gets no new requests
    while (this.on(node).some(({ open }) => open > 0)) await delay(this.clock, 10);
    if (this.processes.get(node) !== process) return;
    this.processes.delete(node);
    process.die();
    for (const other of this.processes.values()) other.went(node);
  }

  /** Another process of a node takes over from the one that is there. */
  async takeOver(node: string): Promise<void> {
    const { clock, options: { random }, processes } = this;
    const before = processes.get(node);
    if (before === undefined || before.isLeaving || this.on(node).length > 1) return;
    before.isLeaving = true;
    before.role.now = { tenure: "serve", isOwner: false };
    const next = this.begin(node, before);
    await delay(clock, random.below(500));
    if (before.isDead) return;
    for (const other of before.live) next.live.add(other);
    for (const other of next.live) if (!before.live.has(other)) next.went(other);
    next.listensUntil = Infinity;
    await delay(clock, random.below(50));
    if (before.isDead) return;
    for (const other of before.live) next.live.add(other);
    next.role.now = { tenure: "all", isOwner: true };
    processes.set(node, next);
    before.listensUntil = clock.now() + random.below(500);
    before.role.now = { tenure: "finish", isOwner: false };
    for (const pool of before.fleet.pools()) pool.giveBackSlots();
    const deadline = clock.now() + DRAIN_MS;
    while (before.open > 0 && clock.now() < deadline) await delay(clock, 10);
    before.die();
  }

  /** The processes of a node hear once more which instances have started there. */
  hearAgain(node: string): void {
    for (const process of this.on(node)) for (const id of process.heard) process.started(id);
  }

  /** The processes of a node that live. */
  on(node: string): SlotProcess[] {
    return this.all.filter((process) => process.node === node && !process.isDead);
  }

  /** Who gets a message: at the end of a take-over, both processes of a node take some. */
  #listener(node: string): SlotProcess | undefined {
    const { clock, options: { random }, processes } = this;
    const all = this.on(node).filter((process) =>
      process === processes.get(node) || clock.now() < process.listensUntil
    );
    return all.length < 2 ? all[0] : random.pick(all);
  }

  /** Delivers a message. @throws {Error} When it, or its answer, does not arrive. */
  async send(from: SlotProcess, to: string, message: PeerMessage, timeoutMs: number): Promise<PeerAnswer> {
    const { clock, options: { loss, random } } = this;
    if (from.isDead) throw new Error("it has ended");
    this.messages++;
    const late = delay(clock, timeoutMs).then(() => Promise.reject(new Error("it does not answer")));
    late.catch(() => {});
    const deliver = async () => {
      await delay(clock, random.below(random.chance(0.02) ? 2000 : 3));
      const process = this.#listener(to);
      if (process === undefined || random.chance(loss) || from.isDead) return await late;
      const text = JSON.stringify(await process.answer(JSON.parse(JSON.stringify(message))));
      await delay(clock, random.below(random.chance(0.02) ? 2000 : 3));
      if (random.chance(loss) || process.isDead) return await late;
      return JSON.parse(text);
    };
    if (random.chance(loss)) deliver().catch(() => {}); // it is sent twice
    return await Promise.race([deliver(), late]);
  }

  /** A request comes to a cless, and takes so long once an app has it. */
  async request(process: SlotProcess, tookMs: number): Promise<void> {
    const { busy, clock } = this;
    this.open++;
    process.open++;
    const granted = process.pool.claim() ?? await process.pool.hold(never()).catch(() => undefined);
    if (process.isDead) return;
    if (granted === undefined) { // too many wait
      process.open--;
      this.open--;
      return;
    }
    const lease = "lease" in granted ? granted.lease : granted;
    const { id } = lease.instance;
    const count = (busy.get(id) ?? 0) + 1;
    busy.set(id, count);
    this.most = Math.max(this.most, count);
    process.leases.add(lease);
    await delay(clock, tookMs);
    if (process.isDead) return;
    busy.set(id, busy.get(id)! - 1);
    process.leases.delete(lease);
    process.open--;
    this.open--;
    this.served++;
    lease.release();
  }
}

/** One cless. */
export class SlotProcess {
  readonly node: string;
  readonly fleet = new Fleet();
  readonly pool: InstancePool;
  readonly slots: SlotExchange;
  readonly role: { now: { tenure: Tenure; isOwner: boolean } };
  readonly live: Set<string>;
  readonly leases = new Set<Lease>();
  /** The instances of whose start it has heard. */
  readonly heard = new Set<string>();
  /** How many requests it has. */
  open = 0;
  isDead = false;
  isLeaving = false;
  /** Until when it takes messages though it is not the one of its node, clock ms. */
  listensUntil = -Infinity;
  readonly #world: SlotWorld;

  constructor(world: SlotWorld, node: string, before?: SlotProcess) {
    this.#world = world;
    this.node = node;
    this.live = new Set([node]);
    this.role = { now: before ? { tenure: "finish", isOwner: false } : { tenure: "all", isOwner: true } };
    const { clock, options, revision } = world;
    const { live } = this;
    const peers: Peers = {
      get live() {
        return [...live].sort();
      },
      ask: (to, message, { timeoutMs = 10_000 } = {}) => world.send(this, to, message, timeoutMs),
    };
    const homes = new Homes(node, peers);
    const predecessor = new Predecessor(this.fleet);
    const now = () => 1e12 + clock.now() + node.charCodeAt(0) * 1000; // the clocks of the nodes differ
    this.slots = new SlotExchange({ homes, peers, clock, now, role: this.role, predecessor });
    const launcher = new FakeLauncher();
    const isOurs = (id: string) => homes.isOurs(id);
    const find = () => Promise.resolve(undefined);
    const others = { find, mayEnd: () => Promise.resolve(), runsOn() {}, usesAgain() {} };
    launcher.sharing = { isOurs, ...others, slots: this.slots };
    const asking = { untilReady: () => Promise.resolve(), ask: () => Promise.resolve(200), lag: NO_LAG };
    const executor = new Executor(launcher, clock, this.fleet, asking);
    this.pool = new InstancePool(revision, {
      clock,
      executor,
      fleet: this.fleet,
      maxPending: 1e6,
      role: this.role,
      random: () => 0.5,
    });
    for (const { id, node: place } of INSTANCES.slice(0, options.instances)) {
      homes.found(id, place);
      const known = { id, service: "app", revision: revision.name, imageId: revision.imageId };
      this.pool.adopt({ ...known, state: "running", origin: `http://${id}:80` });
    }
    if (before === undefined) return;
    for (const id of before.heard) this.started(id);
    this.#follow(before, predecessor);
  }

  /** It hears that an instance has started. Events may come again, also those that came before a take-over. */
  started(id: string): void {
    this.heard.add(id);
    this.slots.home.started(id, `container of ${id}`);
  }

  async answer(message: PeerMessage): Promise<PeerAnswer> {
    if ("askSlots" in message) return await this.slots.home.answer(message);
    return "tellSlots" in message ? this.slots.answerTell(message) : { ok: false };
  }

  /** The cless of a node is gone. */
  went(node: string): void {
    if (!this.live.delete(node)) return;
    this.slots.home.went(node);
    this.pool.look();
  }

  /** It ends at once, with its requests. */
  die(): void {
    if (this.isDead) return;
    const { busy } = this.#world;
    this.isDead = true;
    this.pool.refuse(shuttingDown());
    this.#world.open -= this.open;
    for (const { instance: { id } } of this.leases) busy.set(id, busy.get(id)! - 1);
  }

  async #follow(before: SlotProcess, predecessor: Predecessor): Promise<void> {
    while (!before.isDead) {
      predecessor.report(JSON.parse(JSON.stringify(usesOf(before.fleet))));
      await delay(this.#world.clock, REPORT_MS);
    }
    predecessor.end();
  }
}
