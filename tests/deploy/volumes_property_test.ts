import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { sharedVolume } from "../../src/deploy/volumes.ts";
import { LATEST } from "../../src/model/traffic.ts";
import type { Revision } from "../../src/model/revision.ts";
import { Activator } from "../../src/routing/activator.ts";
import { Router } from "../../src/routing/router.ts";
import { InstanceControl } from "../../src/control/instance_control.ts";
import type { ClessError } from "../../src/base/errors.ts";
import { settle } from "../support/fake_clock.ts";
import { hostOf, never } from "../support/kit.ts";
import { input, newScene } from "./deployer_kit.ts";

const NAMES = ["a", "b"] as const;
const SOURCES = ["data", "more", "/srv/data", "/srv/data/a"] as const;

type Step =
  | { do: "deploy"; name: string; sources: string[]; traffic: number | undefined; wait: boolean; works: boolean }
  | { do: "rollback" | "latest" | "delete" | "sleep"; name: string }
  | { do: "ask"; name: string; ms: number }
  | { do: "pass"; ms: number };

const name = fc.constantFrom(...NAMES);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("deploy" as const),
      name,
      sources: fc.uniqueArray(fc.constantFrom(...SOURCES), { maxLength: 2 }),
      traffic: fc.constantFrom(undefined, undefined, undefined, 0, 50, 100),
      wait: fc.boolean(),
      works: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("rollback", "latest", "delete", "sleep"), name }) },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant("ask" as const), name, ms: fc.constantFrom(0, 10, 4000, 20_000) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("pass" as const), ms: fc.constantFrom(0, 1, 100, 5000, 15_000) }),
  },
);

/** Carries out steps without waiting for each other; returns what went wrong. */
async function play(steps: readonly Step[]): Promise<string[]> {
  const scene = newScene({ tryStart: "real" });
  const { declared, deployer, kit, services } = scene;
  const { clock, launcher } = kit;
  scene.on.retire = (pool) => pool.retire(10_000);
  const router = new Router(services, undefined);
  const control = new InstanceControl(router, services, 10_000);
  const activator = new Activator(router, 100);
  const faults: string[] = [];
  const running = new Map<string, Revision>();
  const pause = (ms: number) => new Promise<void>((resolve) => clock.after(ms, resolve));
  launcher.on.launch = async ({ id, revision }) => {
    for (const [other, { volumes }] of running) {
      if (sharedVolume(revision.volumes, volumes) !== undefined) faults.push(`${other} and ${id} at once`);
    }
    running.set(id, revision);
    await pause(50);
    if (revision.env["WORKS"] === "no") throw new Error("exited with code 3");
    return { origin: "http://10.0.0.2:8080" };
  };
  launcher.on.stop = launcher.on.remove = async (id) => {
    await pause(20);
    running.delete(id);
  };
  const pending: Promise<unknown>[] = [];
  let image = 0;
  const ask = async (service: string, ms: number) => {
    try {
      const { lease } = await activator.hold(hostOf(service), activator.find(hostOf(service))?.route(), never());
      await pause(ms);
      lease.release();
    } catch (error) {
      // Nobody has deployed it yet, or somebody has deleted it.
      if ((error as ClessError).code !== "unknown_host" && !deleted.has(service)) faults.push(`${service}: ${error}`);
    }
  };
  const deleted = new Set<string>();
  const carryOut = async (one: Step): Promise<unknown> => {
    switch (one.do) {
      case "deploy": {
        const { traffic, wait, works, sources } = one;
        const volumes = sources.map((source, at) => ({ source, path: `/in/${at}`, readOnly: false }));
        const env = { WORKS: works || !wait ? "yes" : "no" }; // what is not tried is not kept from its requests
        const wish = { volumes, env, ...(traffic === undefined ? {} : { traffic }) };
        return await deployer.deploy(one.name, input(`image-${image++}`, wish), { by: "ci", wait });
      }
      case "rollback":
        return await deployer.rollback(one.name, { by: "ci" });
      case "latest":
        return await deployer.setTraffic(one.name, [{ revision: LATEST, percent: 100 }], { by: "ci" });
      case "delete":
        deleted.add(one.name);
        return await deployer.delete(one.name, { by: "ci" });
      case "sleep":
        return await control.sleep(one.name);
      case "ask":
        return await ask(one.name, one.ms);
      case "pass":
        return await clock.advance(one.ms);
    }
  };
  for (const one of steps) {
    const done = carryOut(one).catch(() => {});
    if (one.do === "pass") await done;
    else pending.push(done);
    await settle();
  }
  let settled = false;
  Promise.all(pending).then(() => settled = true);
  for (let minute = 0; minute < 20 && !settled; minute++) await clock.advance(60_000);
  if (!settled) faults.push("something never ends");
  for (const { name } of [...declared.after("")]) control.sleep(name);
  await clock.advance(60_000);
  if (running.size > 0) faults.push(`left: ${[...running.keys()]}`);
  return faults;
}

Deno.test("whatever happens, no two containers ever have the same volume, and no request fails because of it", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), async (steps) => {
      assertEquals(await play(steps), []);
    }),
    { numRuns: 400, interruptAfterTimeLimit: 20_000 },
  );
});
