import { assert, assertEquals } from "@std/assert";
import { Random } from "../../support/random.ts";
import { INSTANCES, SlotWorld } from "../../support/slot_world.ts";

/** How long requests come. */
const LOAD_MS = 20_000;
/** By then every request has ended: the registrations of dead cless have run out, and the app has served the rest. */
const END_MS = 200_000;

/** Has a world live with requests at random, and with what may happen to its cless. */
async function live(world: SlotWorld, events: readonly ((node: string) => unknown)[]): Promise<void> {
  const { clock, options: { random }, processes } = world;
  await clock.advance(1); // the instances are ready
  for (const { id, node } of INSTANCES) if (random.chance(0.5)) processes.get(node)?.started(id);
  const perStep = random.between(1, 4) / 10;
  for (let ms = 0; ms < LOAD_MS; ms += 20) {
    const taking = [...processes.values()].filter(({ isLeaving }) => !isLeaving);
    const [favourite] = taking;
    if (favourite !== undefined && random.chance(perStep)) {
      const process = random.chance(0.3) ? favourite : random.pick(taking);
      world.request(process, random.chance(0.02) ? 3000 : random.below(60));
    }
    if (random.chance(0.003)) random.pick(events)?.(random.pick(["a", "b", "c"]));
    await clock.advance(20);
  }
  for (let ms = 0; ms < END_MS && world.open > 0; ms += 1000) await clock.advance(1000);
}

function worldOf(seed: number, loss: number): SlotWorld {
  const random = new Random(20261130, seed);
  return new SlotWorld({ random, loss, concurrency: random.between(1, 4), instances: random.between(1, 2) });
}

async function check(world: SlotWorld, seed: number): Promise<void> {
  const { most, open, options: { concurrency } } = world;
  assert(most <= concurrency, `seed ${seed}: an app of concurrency ${concurrency} had ${most} requests at once`);
  assertEquals(open, 0, `seed ${seed}: some requests wait for ever`);
  assert(world.served > 0);
  await world.clock.advance(10_000);
  const { messages } = world;
  await world.clock.advance(600_000);
  assertEquals(world.messages, messages, `seed ${seed}: something is sent while no request waits`);
}

Deno.test("several cless never send an app more requests at once than its concurrency, and none waits for ever", async () => {
  for (let seed = 0; seed < 30; seed++) {
    const world = worldOf(seed, 0);
    await live(world, [() => {}]);
    await check(world, seed);
  }
});

Deno.test("so it is when messages are lost, come twice or late", async () => {
  for (let seed = 100; seed < 130; seed++) {
    const world = worldOf(seed, 0.1);
    await live(world, [() => {}]);
    await check(world, seed);
  }
});

Deno.test("so it is when the start of an instance is told again and again", async () => {
  for (let seed = 150; seed < 180; seed++) {
    const world = worldOf(seed, seed % 2 === 0 ? 0 : 0.05);
    await live(world, [(node) => world.hearAgain(node), (node) => world.hearAgain(node)]);
    await check(world, seed);
  }
});

Deno.test("so it is when cless die, end, start again and take over from each other", async () => {
  for (let seed = 200; seed < 260; seed++) {
    const world = worldOf(seed, seed % 2 === 0 ? 0 : 0.05);
    await live(world, [
      (node) => world.die(node),
      (node) => world.end(node),
      (node) => world.processes.has(node) || world.begin(node),
      (node) => world.processes.has(node) || world.begin(node),
      (node) => world.takeOver(node),
      (node) => world.takeOver(node),
      (node) => world.hearAgain(node),
      (node) => world.hearAgain(node),
    ]);
    for (const node of ["a", "b", "c"]) if (!world.processes.has(node)) world.begin(node);
    await check(world, seed);
  }
});

Deno.test("slots that a dead cless had idle are free once the others know that it is gone", async () => {
  for (let seed = 300; seed < 330; seed++) {
    const random = new Random(20261130, seed);
    const world = new SlotWorld({ random, loss: 0, concurrency: random.between(1, 4), instances: 1 });
    const { clock, options: { concurrency }, processes } = world;
    await clock.advance(1);
    const dying = random.pick(["b", "c"]);
    for (let n = 0; n < concurrency; n++) world.request(processes.get(dying)!, 10);
    await clock.advance(10_000);
    assertEquals([world.served, world.open], [concurrency, 0]);
    const knownMs = random.between(2000, 5000);
    world.die(dying, knownMs);
    for (const process of processes.values()) world.request(process, 10);
    await clock.advance(knownMs - 1);
    const { open } = world; // they may have got some before: who has none is first
    await clock.advance(5000); // some messages take two seconds
    assertEquals([open > 0, world.open], [true, 0], `seed ${seed}`);
  }
});
