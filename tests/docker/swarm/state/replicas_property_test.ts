import { assert, assertEquals } from "@std/assert";
import type { ServiceChange, ServiceRecord } from "../../../../src/control/records.ts";
import { DomainTakenError, StaleError, StoreUnavailable } from "../../../../src/control/store.ts";
import { creationOf, entryOf, revisionOf } from "../../../sqlite/kit.ts";
import { settle } from "../../../support/fake_clock.ts";
import { Random } from "../../../support/random.ts";
import { HinderedApi, type NodeStore, OWNER, secretOf, sharedIn, swarmTest, type World } from "./kit.ts";

const NODES = ["a", "b", "c"];
const SERVICES = ["api", "web", "worker"];
const DOMAINS = ["one.example.org", "two.example.org", "three.example.org"];
const SEEDS = 12;
const STEPS = 60;

/** What may come to a change in this test. */
type Outcome = "done" | "refused" | "unknown";

/** Makes some change of a node's store, as far as the node knows what is there. */
async function change(random: Random, { store }: NodeStore, at: number): Promise<void> {
  const name = random.pick(SERVICES);
  const service = store.service(name);
  const history = { ...entryOf(name, at), after: { at } };
  switch (random.below(12)) {
    case 0:
      await store.addDeploy({
        ...{ service: name, revision: undefined, image: "x", by: "ci", startedAt: at, durationMs: 1 },
        ...{ outcome: "failed" as const, reason: "no", output: [String(at)] },
      });
      return;
    case 1:
      await store.addSecret(secretOf("key", store.nextSecretVersion("key")));
      return;
    case 2:
      await store.deleteSecret("key");
      return;
    case 3:
      await store.addToken({ name: "ci", scope: "read", hash: Uint8Array.of(at), expiresAt: undefined, createdAt: at });
      return;
    case 4:
      await store.deleteToken("ci");
      return;
    case 5:
      if (service !== undefined) await store.delete(name, service.generation, history);
      return;
    default:
      await store.change(await changeOf(random, store, service, name, at));
  }
}

/** A deploy of a service with some of the domains, or its creation. */
async function changeOf(
  random: Random,
  store: NodeStore["store"],
  service: ServiceRecord | undefined,
  name: string,
  at: number,
): Promise<ServiceChange> {
  const domains = DOMAINS.filter(() => random.chance(0.3));
  const number = await store.reserveNumber(name, (service?.lastNumber ?? 0) + 1);
  const addRevision = { ...revisionOf(name, number), createdAt: at };
  const given = { domains, latestRevision: addRevision.name, lastNumber: number, updatedAt: at };
  const history = { ...entryOf(name, at), after: { at } };
  if (service === undefined) {
    return { ...creationOf(name, { ...given, createdAt: at }), addRevision, history };
  }
  const old = store.revisions(name).map((revision) => revision.name);
  return {
    service: { ...service, ...given, generation: service.generation + 1 },
    expectedGeneration: service.generation,
    addRevision,
    removeRevisions: old.slice(0, Math.max(0, old.length - 2)),
    history,
  };
}

async function outcomeOf(work: Promise<unknown>): Promise<Outcome> {
  try {
    await work;
    return "done";
  } catch (error) {
    if (error instanceof StaleError || error instanceof DomainTakenError) return "refused";
    if (error instanceof StoreUnavailable) return "unknown";
    throw error;
  }
}

/** An API whose calls come to nothing now and then, before or after they are made, and whose events are often lost. */
function moodyApi(world: World, node: string, random: Random): HinderedApi {
  const api = new HinderedApi(world.swarm.api(node));
  api.loses = () => random.chance(0.3);
  return api;
}

/** What must be true of a Swarm whatever has happened. */
function checkSwarm(nodes: readonly NodeStore[]): void {
  const [{ store }] = nodes as [NodeStore];
  const services = store.services("", 100);
  const domains = services.flatMap((service) => service.domains);
  assertEquals(domains.length, new Set(domains).size, "no domain belongs to two services");
  for (const service of services) {
    const revisions = store.revisions(service.name).map(({ name }) => name);
    assert(revisions.includes(service.latestRevision), `${service.name} has its latest revision`);
  }
}

for (let seed = 1; seed <= SEEDS; seed++) {
  swarmTest(`whatever three nodes change and miss, all have the same in the end (${seed})`, async (world) => {
    const random = new Random(seed);
    const opened = new Map<string, NodeStore>();
    const open = async (node: string) => {
      opened.set(node, await world.open(node, { api: moodyApi(world, node, random) }));
    };
    for (const node of NODES) await open(node);
    const acknowledged = { changes: 0, refused: 0 };
    for (let step = 0; step < STEPS; step++) {
      world.time.now += 100;
      const count = random.between(1, 3); // some at the same time
      const works = Array.from({ length: count }, (_, index) => {
        const node = opened.get(random.pick(NODES))!;
        return outcomeOf(change(random, node, world.time.now + index));
      });
      for (const outcome of await Promise.all(works)) {
        assert(outcome !== "unknown");
        acknowledged[outcome === "done" ? "changes" : "refused"]++;
      }
      if (random.chance(0.1)) world.swarm.breakEvents();
      if (random.chance(0.1)) {
        // A process is killed in the middle of a change, and started again.
        const node = random.pick(NODES);
        const killed = opened.get(node)!;
        let left = random.below(8);
        killed.api.before = () => left-- > 0 ? undefined : new Promise(() => {});
        change(random, killed, world.time.now + 50).catch(() => {});
        await settle();
        await settle();
        killed.store[Symbol.dispose]();
        world.time.now += random.chance(0.5) ? 61_000 : 1000;
        await open(node);
      }
      await world.clock.advance(random.pick([0, 1000, 5000]));
    }
    assert(acknowledged.changes > 30, `${acknowledged.changes} changes`);
    for (const node of opened.values()) node.api.loses = () => false;
    for (const { store } of opened.values()) await store.forgetHistory(0);
    await world.clock.advance(2000);
    for (const { store } of opened.values()) await store.forgetHistory(0);
    await settle();
    const nodes = [...opened.values()];
    const [first, ...others] = nodes.map(({ replica }) => sharedIn(replica));
    for (const other of others) assertEquals(other, first);
    checkSwarm(nodes);
    // A node that comes later has the same.
    const late = await world.open("d", { api: new HinderedApi(world.swarm.api("a")) });
    assertEquals(sharedIn(late.replica), first);
    // Nothing is left of what was broken off.
    world.time.now += 61_000;
    for (let hour = 0; hour < 3; hour++) {
      await late.store.forgetHistory(0);
      world.clock.stall(3_600_000);
    }
    const revisions = late.store.services("", 100).flatMap(({ name }) => late.store.revisions(name));
    const configs = [...world.swarm.configs.keys()];
    const ofKind = (kind: string) => configs.filter((name) => name.startsWith(`cless-${OWNER}-${kind}-`)).length;
    const domains = late.store.services("", 100).flatMap((service) => service.domains);
    assertEquals([ofKind("revision"), ofKind("domain")], [revisions.length, domains.length]);
  });
}
