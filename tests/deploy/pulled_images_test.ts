import { assert, assertEquals, assertRejects } from "@std/assert";
import { RevisionFailed } from "../../src/control/deploy_error.ts";
import { PulledImages } from "../../src/deploy/pulled_images.ts";
import type { DeclaredServices } from "../../src/control/declared_services.ts";
import { StoreUnavailable } from "../../src/control/store.ts";
import type { PullPolicy } from "../../src/model/template.ts";
import { settle } from "../support/fake_clock.ts";
import { AT_ONCE, input, newScene, WAITING } from "./deployer_kit.ts";

const BY = { by: "ci" };

/** A registry from which missing images are pulled. A name means the content of that name. */
function newRegistry(...local: string[]) {
  const here = new Set(local.map((name) => `sha256:${name}`));
  const removed: string[] = [];
  const asked: string[] = [];
  const state: { failure: Error | undefined; inUse: boolean; slow: Promise<void> | undefined } = {
    failure: undefined,
    inUse: false,
    slow: undefined,
  };
  const images = {
    resolve: (name: string, policy: PullPolicy) => {
      const imageId = `sha256:${name}`;
      const pulled = policy === "always" || !here.has(imageId);
      here.add(imageId);
      return Promise.resolve({ imageId, digest: `${name}@sha256:digest`, pulled });
    },
    remove: async (imageId: string) => {
      asked.push(imageId);
      await state.slow;
      if (state.failure !== undefined) throw state.failure;
      if (state.inUse) return false;
      removed.push(imageId);
      return here.delete(imageId);
    },
  };
  const scene = newScene({ images });
  return { ...scene, removed, asked, state, here };
}

Deno.test("the sweep after its last revision removes an image that was pulled, and not one that was there before", async () => {
  const { deployer, removed } = newRegistry("local");
  const service = { revisionHistory: 0 };
  for (const image of ["one", "local", "two", "three", "four"]) {
    await deployer.deploy("app", input(image, { service }), AT_ONCE);
  }
  await settle();
  assertEquals(removed, []);
  await deployer.tidy();
  await settle();
  // The fourth is the latest, and the third can be rolled back to.
  assertEquals(removed, ["sha256:one", "sha256:two"]);
  await deployer.delete("app", BY);
  await settle();
  assertEquals(removed.sort(), ["sha256:four", "sha256:one", "sha256:three", "sha256:two"]);
});

Deno.test("an image is removed with the names that it was pulled by, and with no other", async () => {
  const resolve = (name: string, policy: PullPolicy) =>
    Promise.resolve({
      imageId: "sha256:one",
      digest: "one@sha256:digest",
      pulled: policy === "always" && name !== "mine",
    });
  const names: string[][] = [];
  const remove = (_: string, pulledAs: Iterable<string>) => {
    names.push([...pulledAs]);
    return Promise.resolve(true);
  };
  const { deployer } = newScene({ images: { resolve, remove } });
  for (const image of ["one:1", "one:2", "mine"]) {
    await deployer.deploy("app", input(image, { pullPolicy: "always", service: { revisionHistory: 0 } }), AT_ONCE);
  }
  await deployer.delete("app", BY);
  await settle();
  assertEquals(names, [["one:1", "one:2"]]);
});

Deno.test("an image stays as long as a revision of any service has it", async () => {
  const { deployer, removed } = newRegistry();
  await deployer.deploy("app", input("one"), AT_ONCE);
  const { revision } = await deployer.deploy("web", input("one"), AT_ONCE);
  assert(revision.pulled);
  await deployer.delete("app", BY);
  await settle();
  assertEquals(removed, []);
  await deployer.deploy("web", input("two"), AT_ONCE);
  await deployer.deploy("web", input("three"), AT_ONCE);
  await deployer.deleteRevision("web", "web-00001", BY);
  await settle();
  assertEquals(removed, ["sha256:one"]);
});

Deno.test("an image is removed only once its containers are gone", async () => {
  const { deployer, publisher, kit, removed } = newRegistry();
  const stopped = Promise.withResolvers<void>();
  await deployer.deploy("app", input("one"), AT_ONCE);
  const pool = publisher.poolOf("app", "app-00001")!;
  const held = pool.hold(new AbortController().signal);
  (await kit.launcher.nextLaunch()).succeed("http://10.0.0.2:8080");
  (await held).lease.release();
  kit.launcher.on.stop = () => stopped.promise;
  const deleted = deployer.delete("app", BY);
  const drained = pool.retire(0);
  await settle();
  assertEquals(removed, []);
  stopped.resolve();
  await Promise.all([deleted, drained]);
  await settle();
  assertEquals(removed, ["sha256:one"]);
});

Deno.test("an image that was pulled for a revision that did not become ready is removed", async () => {
  const { deployer, removed, trials, store } = newRegistry("local");
  for (const image of ["one", "local"]) {
    const failing = deployer.deploy("app", input(image), WAITING);
    await settle();
    trials.at(-1)!.fail(new Error("no"));
    await assertRejects(() => failing, RevisionFailed);
    await deployer.tidy();
    await settle();
  }
  assertEquals(removed, ["sha256:one"]);
  store.failure = new StoreUnavailable("the disk is full");
  await assertRejects(() => deployer.deploy("app", input("two"), AT_ONCE), StoreUnavailable);
  await deployer.tidy();
  await settle();
  assertEquals(removed, ["sha256:one", "sha256:two"]);
});

Deno.test("an image that a deploy on its way needs is not removed", async () => {
  const { deployer, removed, trials } = newRegistry();
  await deployer.deploy("app", input("one"), AT_ONCE);
  const deployed = deployer.deploy("web", input("one"), WAITING);
  await settle();
  await deployer.delete("app", BY);
  await settle();
  assertEquals(removed, []);
  trials[0]!.succeed();
  assert((await deployed).revision.pulled);
  await settle();
  assertEquals(removed, []);
  await deployer.delete("web", BY);
  await settle();
  assertEquals(removed, ["sha256:one"]);
});

Deno.test("a deploy during the removal of its image pulls it again", async () => {
  const { deployer, removed, state, here } = newRegistry();
  await deployer.deploy("app", input("one"), AT_ONCE);
  const slow = Promise.withResolvers<void>();
  state.slow = slow.promise;
  await deployer.delete("app", BY);
  await settle();
  const deployed = deployer.deploy("app", input("one"), AT_ONCE);
  await settle();
  slow.resolve();
  assertEquals((await deployed).revision.pulled, true);
  await settle();
  assertEquals([removed, [...here]], [["sha256:one"], ["sha256:one"]]);
});

Deno.test("an image is removed once, however many deploys end meanwhile, and stays if it is pulled again", async () => {
  const { deployer, asked, state, here } = newRegistry("local");
  await deployer.deploy("app", input("one"), AT_ONCE);
  const slow = Promise.withResolvers<void>();
  state.slow = slow.promise;
  await deployer.delete("app", BY);
  await settle();
  await deployer.deploy("web", input("local"), AT_ONCE);
  await settle();
  const deployed = deployer.deploy("app", input("one"), AT_ONCE);
  await settle();
  slow.resolve();
  await deployed;
  await settle();
  assertEquals([asked, [...here]], [["sha256:one"], ["sha256:local", "sha256:one"]]);
});

Deno.test("an image that is pulled again after its removal is removed again, and not only by the periodic sweep", async () => {
  const { deployer, removed } = newRegistry();
  for (let n = 0; n < 2; n++) {
    await deployer.deploy("app", input("one"), AT_ONCE);
    await deployer.delete("app", BY);
    await settle();
  }
  assertEquals(removed, ["sha256:one", "sha256:one"]);
});

Deno.test("an image that waits for its removal stays for a deploy that needs it, and is removed after that one", async () => {
  const { deployer, asked, state, trials } = newRegistry();
  for (const image of ["one", "two"]) await deployer.deploy(image, input(image), AT_ONCE);
  const slow = Promise.withResolvers<void>();
  state.slow = slow.promise;
  for (const image of ["one", "two"]) await deployer.delete(image, BY);
  await settle();
  const deployed = deployer.deploy("app", input("two"), WAITING);
  await settle();
  slow.resolve();
  await settle();
  assertEquals(asked, ["sha256:one"]);
  trials[0]!.fail(new Error("no"));
  await assertRejects(() => deployed, RevisionFailed);
  await deployer.tidy();
  await settle();
  assertEquals(asked, ["sha256:one", "sha256:two"]);
});

Deno.test("images are removed one after the other, and one that is in use is not tried again before the next periodic sweep", async () => {
  const { deployer, asked, removed, state } = newRegistry("local");
  const images = ["one", "two", "three"];
  for (const image of images) await deployer.deploy(image, input(image), AT_ONCE);
  state.inUse = true;
  const slow = Promise.withResolvers<void>();
  state.slow = slow.promise;
  for (const image of images) await deployer.delete(image, BY);
  await settle();
  assertEquals(asked, ["sha256:one"]);
  slow.resolve();
  await settle();
  assertEquals(asked, ["sha256:one", "sha256:two", "sha256:three"]);
  await deployer.deploy("app", input("local"), AT_ONCE);
  await settle();
  assertEquals(asked.length, 3);
  state.inUse = false;
  await deployer.tidy();
  await settle();
  assertEquals(removed, ["sha256:one", "sha256:two", "sha256:three"]);
});

Deno.test("an image that cannot be removed is tried again by the next periodic sweep", async () => {
  const { deployer, removed, state } = newRegistry();
  await deployer.deploy("app", input("one"), AT_ONCE);
  await deployer.deploy("web", input("two"), AT_ONCE);
  state.failure = new Error("the engine does not answer");
  await deployer.delete("app", BY);
  await settle();
  state.failure = undefined;
  state.inUse = true;
  await deployer.delete("web", BY);
  await settle();
  assertEquals(removed, []);
  state.inUse = false;
  await deployer.tidy();
  await settle();
  assertEquals(removed, ["sha256:one", "sha256:two"]);
});

Deno.test("a revision knows the digest by which its image can be pulled again", async () => {
  const { deployer, publisher } = newRegistry();
  await deployer.deploy("app", input("one"), AT_ONCE);
  assertEquals(publisher.poolOf("app", "app-00001")!.revision.imageDigest, "one@sha256:digest");
});

/** Pulled images by themselves: which revisions there are, and when containers are gone, is up to the test. */
function newPulled() {
  const used = new Set<string>();
  const removed: string[] = [];
  const waits: PromiseWithResolvers<void>[] = [];
  const pulled = new PulledImages(
    {
      resolve: (name) => Promise.resolve({ imageId: name, pulled: true }),
      remove: (imageId: string) => {
        removed.push(imageId);
        return Promise.resolve(true);
      },
    },
    {
      hasImage: (imageId: string) => used.has(imageId),
      hasPulledImage: (imageId: string) => used.has(imageId),
      pulledImages: () => [...used],
    } as unknown as DeclaredServices,
    {
      untilGone() {
        waits.push(Promise.withResolvers());
        return waits.at(-1)!.promise;
      },
    },
  );
  const find = (name: string) => pulled.find(name, "missing", { signal: new AbortController().signal });
  return { pulled, used, removed, waits, find };
}

Deno.test("an image is removed only once nobody holds it any more, however often it was held", async () => {
  const { find, pulled, removed, waits } = newPulled();
  const holds = [await find("one"), await find("one")];
  for (const hold of holds) {
    await pulled.sweep();
    assertEquals([removed, waits.length], [[], 0]); // its containers do not matter yet
    hold[Symbol.dispose]();
  }
  const swept = pulled.sweep();
  await settle();
  assertEquals([removed, waits.length], [[], 1]);
  waits[0]!.resolve();
  await swept;
  assertEquals(removed, ["one"]);
  await pulled.sweep();
  assertEquals(removed, ["one"]); // it is forgotten
});

Deno.test("an image that is needed again while its containers go stays", async () => {
  for (const again of ["a revision", "a deploy"] as const) {
    const { find, pulled, removed, used, waits } = newPulled();
    (await find("one"))[Symbol.dispose]();
    const swept = pulled.sweep();
    await settle();
    if (again === "a revision") used.add("one");
    else await find("one");
    waits[0]!.resolve();
    await swept;
    assertEquals(removed, [], again);
  }
});

Deno.test("sweeps come one after the other", async () => {
  const { find, pulled, removed, waits } = newPulled();
  (await find("one"))[Symbol.dispose]();
  const sweeps = [pulled.sweep(), pulled.sweep(true)];
  await settle();
  assertEquals(waits.length, 1);
  waits[0]!.resolve();
  await Promise.all(sweeps);
  assertEquals([removed, waits.length], [["one"], 1]);
});
