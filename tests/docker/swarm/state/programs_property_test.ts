import { assert, assertEquals } from "@std/assert";
import { Conflict, NotFound } from "../../../../src/control/deploy_error.ts";
import { DomainTakenError, StaleError } from "../../../../src/control/store.ts";
import { LATEST, TrafficError } from "../../../../src/model/traffic.ts";
import { AT_ONCE, input, newScene, type Scene } from "../../../deploy/deployer_kit.ts";
import type { InstancePool } from "../../../../src/pool/pool.ts";
import { Random } from "../../../support/random.ts";
import { until } from "../../../support/until.ts";
import { type NodeStore, sharedIn, swarmTest, type World } from "./kit.ts";

const SERVICES = ["api", "web"];
const IMAGES = ["one", "two", "three"];
const DOMAINS = ["one.example.org", "two.example.org"];
const BY = { by: "ci" };
const SEEDS = 8;
const STEPS = 40;

interface Program extends NodeStore {
  readonly scene: Scene;
  /** The pools that were tried. */
  readonly tried: readonly InstancePool[];
}

async function start(world: World, node: string): Promise<Program> {
  const opened = await world.open(node, { deaf: true });
  const tried: InstancePool[] = [];
  const tryStart = (pool: InstancePool) => Promise.resolve(void tried.push(pool));
  const scene = newScene({ store: opened.store, tryStart });
  scene.deployer.load();
  opened.store.onForeignChange((change) => {
    if ("service" in change) scene.deployer.refresh(change.service);
  });
  return { ...opened, scene, tried };
}

/** Changes something; what the service is at that moment may make it impossible. */
async function change(random: Random, { scene: { declared, deployer } }: Program): Promise<boolean> {
  const name = random.pick(SERVICES);
  const revisions = declared.get(name)?.revisions.map((revision) => revision.name) ?? [];
  const domains = DOMAINS.filter(() => random.chance(0.4));
  const options = { ...AT_ONCE, wait: random.chance(0.5) };
  try {
    switch (random.below(8)) {
      case 0:
        await deployer.delete(name, BY);
        break;
      case 1:
        await deployer.rollback(name, BY);
        break;
      case 2:
      case 3: {
        const percent = random.between(0, 100);
        const revision = revisions.length > 0 ? random.pick(revisions) : "none";
        await deployer.setTraffic(name, [{ revision, percent }, { revision: LATEST, percent: 100 - percent }], BY);
        break;
      }
      case 4:
        await deployer.deleteRevision(name, revisions[0] ?? "none", BY);
        break;
      default: {
        const service = { domains, revisionHistory: 2 };
        await deployer.deploy(name, input(random.pick(IMAGES), { service, env: { N: `${random.below(4)}` } }), options);
      }
    }
    return true;
  } catch (error) {
    const isExpected = [Conflict, NotFound, DomainTakenError, StaleError, TrafficError];
    if (isExpected.some((kind) => error instanceof kind)) return false;
    throw error;
  }
}

/** What requests find at a node, and what it has in memory. */
function servedBy({ scene: { declared, services, splitOf } }: Program): unknown {
  return {
    names: [...services.names()].sort(),
    splits: [...SERVICES.map((name) => `${name}.localhost`), ...DOMAINS].map(splitOf),
    size: declared.size,
    images: IMAGES.map((image) => declared.hasImage(`sha256:${image}`)),
  };
}

for (let seed = 1; seed <= SEEDS; seed++) {
  swarmTest(
    `whatever three programs change at once, requests find the same at each in the end (${seed})`,
    async (world) => {
      const random = new Random(seed);
      const programs = [await start(world, "a"), await start(world, "b"), await start(world, "c")];
      for (const { api } of programs) api.loses = () => random.chance(0.2);
      let made = 0;
      for (let step = 0; step < STEPS; step++) {
        const works = Array.from({ length: random.between(1, 3) }, () => change(random, random.pick(programs)));
        made += (await Promise.all(works)).filter(Boolean).length;
        if (random.chance(0.1)) world.swarm.breakEvents();
        await world.clock.advance(random.pick([0, 2000]));
      }
      assert(made > 20, `${made} changes`);
      for (const { api } of programs) api.loses = () => false;
      for (const { store } of programs) await store.forgetHistory(0);
      await until(async () => {
        await world.clock.advance(1000);
        const texts = new Set(programs.map(({ replica }) => JSON.stringify(sharedIn(replica))));
        return texts.size === 1 && world.clock.timers === 0;
      });
      // A pool that was tried serves, or was retired.
      for (const { scene: { deployer, publisher, retired }, tried } of programs) {
        await deployer.pause(new Error("the end"));
        const serving = SERVICES.flatMap((name) => publisher.madePools(name));
        for (const pool of tried) assert(serving.includes(pool) || retired.includes(pool.revision.name));
      }
      const [first, ...others] = programs.map(servedBy);
      for (const other of others) assertEquals(other, first);
    },
  );
}
