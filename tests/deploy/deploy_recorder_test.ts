import { assertEquals, assertRejects } from "@std/assert";
import { Conflict, ImageUnavailable, RevisionFailed } from "../../src/control/deploy_error.ts";
import { StaleError, StoreUnavailable } from "../../src/control/store.ts";
import { ClessError, couldNotStart, shuttingDown } from "../../src/base/errors.ts";
import { settle } from "../support/fake_clock.ts";
import { FakeStore } from "../support/fake_store.ts";
import { AT_ONCE, input, newScene, WAITING } from "./deployer_kit.ts";

/** The deploys of a service as texts, the newest first. */
function deploysOf(store: FakeStore, service: string): string[] {
  return store.deploys(service, 100).map(({ by, image, outcome, reason, revision }) =>
    [outcome, revision ?? "-", image, by, reason ?? "-"].join(" | ")
  );
}

Deno.test("a first deploy that fails leaves a record with reason, output and duration, and no service", async () => {
  const { declared, deployer, store, time, trials } = newScene();
  const deployed = deployer.deploy("app", input("shop"), WAITING);
  await settle();
  const began = time.now;
  time.now += 31_000;
  trials[0]!.fail(
    new ClessError("start_failed", "public", { detail: "it ended with code 1", output: "one\npanic: no KEY\n" }),
  );
  await assertRejects(() => deployed, RevisionFailed);
  const [record, ...more] = store.deploys("app", 100);
  assertEquals(more, []);
  const { startedAt, durationMs, ...rest } = record!;
  assertEquals(rest, {
    service: "app",
    revision: "app-00001",
    image: "shop",
    by: "ci",
    outcome: "failed",
    reason: "it ended with code 1",
    output: ["one", "panic: no KEY"],
  });
  assertEquals([startedAt < began, durationMs >= 31_000, durationMs < 31_100], [true, true, true]);
  assertEquals([declared.has("app"), store.service("app"), store.history("app", 10)], [false, undefined, []]);
});

Deno.test("deploys that worked and that failed stand beside each other, the newest first", async () => {
  const { deployer, store, trials } = newScene();
  await deployer.deploy("app", input("one"), AT_ONCE);
  const failing = deployer.deploy("app", input("two"), { by: "alice", wait: true });
  await settle();
  trials[0]!.fail(couldNotStart("no answer"));
  await assertRejects(() => failing, RevisionFailed);
  const working = deployer.deploy("app", input("three"), WAITING);
  await settle();
  trials[1]!.succeed();
  await working;
  assertEquals(deploysOf(store, "app"), [
    "deployed | app-00003 | three | ci | -",
    "failed | app-00002 | two | alice | no answer",
    "deployed | app-00001 | one | ci | -",
  ]);
});

Deno.test("a deploy that has nothing to change leaves no record, and one that changes only a setting does", async () => {
  const { deployer, store } = newScene();
  await deployer.deploy("app", input("one"), AT_ONCE);
  await deployer.deploy("app", input("one"), AT_ONCE);
  assertEquals(deploysOf(store, "app").length, 1);
  await deployer.deploy("app", input("one", { service: { domains: ["a.example.org"] } }), AT_ONCE);
  assertEquals(deploysOf(store, "app")[0], "deployed | app-00001 | one | ci | -");
  assertEquals(deploysOf(store, "app").length, 2);
});

Deno.test("a deploy whose image cannot be found is kept, without a revision", async () => {
  const resolve = () => Promise.reject(new ImageUnavailable("there is no image shop"));
  const { deployer, store } = newScene({ images: { resolve } });
  await assertRejects(() => deployer.deploy("app", input("shop"), WAITING), ImageUnavailable);
  assertEquals(deploysOf(store, "app"), ["failed | - | shop | ci | there is no image shop"]);
});

Deno.test("a request that is refused before anything is tried leaves no record", async () => {
  const { deployer, store } = newScene();
  await assertRejects(() => deployer.deploy("app", input("one"), { ...AT_ONCE, ifMatch: 3 }), StaleError);
  await assertRejects(() => deployer.deploy("app", input("one", { secretEnv: { KEY: "key" } }), AT_ONCE), Error, "key");
  assertEquals(deploysOf(store, "app"), []);
});

Deno.test("a deploy that cless calls off when it stops is kept, with the reason", async () => {
  const { deployer, store, trials } = newScene();
  const deployed = deployer.deploy("app", input("one"), WAITING);
  deployed.catch(() => {});
  await settle();
  const closed = deployer.close(shuttingDown());
  trials[0]!.fail(new Error("stopped"));
  await closed;
  await assertRejects(() => deployed, ClessError, "shutting down");
  assertEquals(deploysOf(store, "app"), ["called off | app-00001 | one | ci | cless is shutting down"]);
});

Deno.test("deleting a service removes its deploys, and keeps the one that it calls off", async () => {
  const { deployer, store, trials } = newScene();
  await deployer.deploy("app", input("one"), AT_ONCE);
  const deployed = deployer.deploy("app", input("two"), WAITING);
  deployed.catch(() => {});
  await settle();
  const deleted = deployer.delete("app", { by: "ci" });
  await settle();
  trials[0]!.fail(new Error("stopped"));
  await assertRejects(() => deployed, Conflict);
  await deleted;
  const reason = "the service app was deleted while it was being deployed";
  assertEquals(deploysOf(store, "app"), [`called off | app-00002 | two | ci | ${reason}`]);
});

Deno.test("a deploy ends as it would have if its record cannot be stored", async () => {
  class FullStore extends FakeStore {
    override addDeploy(): Promise<void> {
      return Promise.reject(new StoreUnavailable("no space is left"));
    }
  }
  const { declared, deployer, trials } = newScene({ store: new FullStore() });
  const failing = deployer.deploy("app", input("one"), WAITING);
  await settle();
  trials[0]!.fail(couldNotStart("no answer"));
  await assertRejects(() => failing, RevisionFailed, "no answer");
  const { service } = await deployer.deploy("app", input("two"), AT_ONCE);
  assertEquals([service.latestRevision, declared.has("app")], ["app-00002", true]);
});

Deno.test("a deploy that the store did not take fails at once, without another attempt to store something", async () => {
  class AwayStore extends FakeStore {
    override change(): Promise<void> {
      return Promise.reject(new StoreUnavailable("there is no leader"));
    }
    override addDeploy(): Promise<void> {
      return new Promise(() => {});
    }
  }
  const { deployer } = newScene({ store: new AwayStore() });
  await assertRejects(() => deployer.deploy("app", input("one"), AT_ONCE), StoreUnavailable, "there is no leader");
});

Deno.test("after a restart of cless, no revision gets the name of one that never worked", async () => {
  const first = newScene();
  const failing = first.deployer.deploy("app", input("one"), WAITING);
  await settle();
  first.trials[0]!.fail(couldNotStart("no answer"));
  await assertRejects(() => failing, RevisionFailed);
  const second = newScene({ store: first.store });
  second.deployer.load();
  const { revision } = await second.deployer.deploy("app", input("two"), AT_ONCE);
  assertEquals(revision.name, "app-00002");
});

Deno.test("the first deploy of a service can be called off, and leaves the record of that", async () => {
  const { declared, deployer, retired, store, trials } = newScene();
  const deployed = deployer.deploy("app", input("one"), WAITING);
  deployed.catch(() => {});
  await settle();
  const deleted = deployer.deleteTried("app");
  await settle();
  trials[0]!.fail(new Error("stopped"));
  assertEquals(await deleted, true);
  await assertRejects(() => deployed, Conflict);
  assertEquals([declared.has("app"), retired], [false, ["app-00001"]]);
  const reason = "the service app was deleted while it was being deployed";
  assertEquals(deploysOf(store, "app"), [`called off | app-00001 | one | ci | ${reason}`]);
});

Deno.test("the deploys of a service that never worked can be removed, those of others and of one that works stay", async () => {
  const { deployer, store, trials } = newScene();
  const failing = deployer.deploy("app", input("one"), WAITING);
  await settle();
  trials[0]!.fail(couldNotStart("no answer"));
  await assertRejects(() => failing, RevisionFailed);
  await deployer.deploy("web", input("two"), AT_ONCE);
  assertEquals(await deployer.deleteTried("nosuch"), false);
  assertEquals(await deployer.deleteTried("web"), false);
  assertEquals(await deployer.deleteTried("app"), true);
  assertEquals([deploysOf(store, "app"), deploysOf(store, "web").length], [[], 1]);
  assertEquals(await deployer.deleteTried("app"), false);
});
