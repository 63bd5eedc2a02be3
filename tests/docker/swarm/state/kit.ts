import { StoreUnavailable } from "../../../../src/control/store.ts";
import type { RevisionRecord, SecretRecord, ServiceChange, ServiceRecord } from "../../../../src/control/records.ts";
import type { Replica } from "../../../../src/control/replica.ts";
import type { ConfigApi } from "../../../../src/docker/swarm/state/shared_configs.ts";
import type { ForeignChange } from "../../../../src/docker/swarm/state/follower.ts";
import { SwarmStore } from "../../../../src/docker/swarm/state/swarm_store.ts";
import { SqliteStore } from "../../../../src/sqlite/store.ts";
import { changeAfter, noStore, revisionOf } from "../../../sqlite/kit.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { FakeSwarm } from "../../../support/fake_swarm.ts";
import { loaded } from "../../../support/loaded.ts";
import { until } from "../../../support/until.ts";

/** The owner of all stores of a test. */
export const OWNER = "1a2b3c4d";

/** The calls of an API that a test can hinder. */
export class HinderedApi implements ConfigApi {
  readonly #api: ConfigApi;
  /** Called before each call, with its name and what it is about; what it throws or waits for comes before the answer. */
  before: (call: keyof ConfigApi, about: string) => Promise<void> | void = () => {};
  /** Called after each call that has succeeded. */
  after: (call: keyof ConfigApi, about: string) => Promise<void> | void = () => {};
  /** Whether an event is lost. */
  loses: () => boolean = () => false;

  constructor(api: ConfigApi) {
    this.#api = api;
  }

  config: ConfigApi["config"] = (name) => this.#do("config", name, () => this.#api.config(name));
  configs: ConfigApi["configs"] = (label) => this.#do("configs", label, () => this.#api.configs(label));
  createConfig: ConfigApi["createConfig"] = (name, labels, data) =>
    this.#do("createConfig", name, () => this.#api.createConfig(name, labels, data));
  setConfigLabels: ConfigApi["setConfigLabels"] = (config, labels) =>
    this.#do("setConfigLabels", config.name, () => this.#api.setConfigLabels(config, labels));
  removeConfig: ConfigApi["removeConfig"] = (name) =>
    this.#do("removeConfig", name, () => this.#api.removeConfig(name));
  events: ConfigApi["events"] = async (since, signal) => {
    const events = await this.#do("events", "", () => this.#api.events(since, signal));
    const loses = () => this.loses();
    return (async function* () {
      for await (const event of events) if (!loses()) yield event;
    })();
  };

  async #do<T>(call: keyof ConfigApi, about: string, work: () => Promise<T>): Promise<T> {
    await this.before(call, about);
    const result = await work();
    await this.after(call, about);
    return result;
  }
}

/** The store of one node. */
export interface NodeStore {
  readonly store: SwarmStore;
  readonly replica: SqliteStore;
  readonly api: HinderedApi;
  /** What was told of the changes of others, unless something else listens. */
  readonly told: ForeignChange[];
}

/** Several nodes' stores on one Swarm. */
export interface World {
  readonly swarm: FakeSwarm;
  readonly clock: FakeClock;
  /** Wall-clock time, ms. */
  readonly time: { now: number };
  /** Opens the store of a node, with the replica that it had; it follows the Swarm already. */
  open(node?: string, options?: OpenOptions): Promise<NodeStore>;
  /** The folder of a node's replica. */
  folderOf(node: string): string;
}

/** Options of {@linkcode World.open}. */
export interface OpenOptions {
  /** Whether nothing listens, as before the program has read the replica. Otherwise, changes are taken over at once. */
  readonly deaf?: boolean;
  /** Whether it gives the Swarm nothing yet. */
  readonly isShy?: boolean;
  readonly api?: HinderedApi;
  /** The replica, if it is open already. */
  readonly replica?: SqliteStore;
}

/** A test with a Swarm of three managers; what was opened is closed in the end. */
export function swarmTest(name: string, fn: (world: World) => Promise<void>): void {
  Deno.test({
    name,
    ignore: noStore,
    fn: async () => {
      const folder = await Deno.makeTempDir({ prefix: "swarm-store-" });
      await using opened = new AsyncDisposableStack();
      opened.defer(() => Deno.remove(folder, { recursive: true }));
      const clock = new FakeClock();
      const swarm = new FakeSwarm(clock, ["a", "b", "c"]);
      const time = { now: 1_700_000_000_000 };
      const folderOf = (node: string) => `${folder}/${node}`;
      await fn({
        ...{ swarm, clock, time, folderOf },
        async open(
          node = "a",
          { api = new HinderedApi(swarm.api(node)), deaf = false, isShy = false, ...options } = {},
        ) {
          await Deno.mkdir(folderOf(node), { recursive: true });
          const replica = options.replica ?? SqliteStore.open(folderOf(node));
          const store = opened.use(new SwarmStore({ api, owner: OWNER, replica, clock, now: () => time.now }));
          await store.start();
          if (!isShy) await store.sow();
          const told: ForeignChange[] = [];
          if (!deaf) store.onForeignChange((change) => void (told.push(change), takeOver(store, change)));
          return { store, replica, api, told };
        },
      });
    },
  });
}

/** What a program does with the changes of others. */
async function takeOver(store: SwarmStore, change: ForeignChange): Promise<void> {
  if (!("service" in change)) return;
  try {
    (await store.foreign(change.service))?.take();
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error;
  }
}

/** Everything that is shared in a replica, for comparison. */
export function sharedIn(replica: Replica): unknown {
  const names = replica.known().sort();
  const { revisions, services } = loaded(replica);
  const secrets = replica.secretVersions().map(({ name }) => name).flatMap((name) => {
    const versions = Array.from({ length: replica.nextSecretVersion(name) }, (_, version) => version);
    return versions.map((version) => replica.secret(name, version));
  });
  return {
    ...{ services, revisions, secrets },
    past: names.map((name) => [name, replica.history(name, 1e6), replica.deploys(name, 1e6)]),
    tokens: replica.tokens(),
  };
}

/** Waits until something is in a replica. */
export function untilThere(replica: Replica, service: string, generation: number | undefined): Promise<void> {
  return until(() => replica.service(service)?.generation === generation);
}

/** The next deploy of a service, with a new revision. */
export function deployAfter(last: ServiceChange, over: Partial<ServiceRecord> = {}): ServiceChange {
  const { lastNumber, name } = last.service;
  const addRevision: RevisionRecord = revisionOf(name, lastNumber + 1);
  return {
    ...changeAfter(last, { lastNumber: lastNumber + 1, latestRevision: addRevision.name, ...over }),
    addRevision,
  };
}

/** A version of a secret. */
export function secretOf(name: string, version: number): SecretRecord {
  return { name, version, createdAt: version, sealed: new TextEncoder().encode(`${name} ${version}`) };
}
