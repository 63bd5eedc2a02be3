import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ImageUnavailable, RevisionFailed } from "../../src/control/deploy_error.ts";
import { StoreUnavailable } from "../../src/control/store.ts";
import { DeployQueue } from "../../src/deploy/deploy_queue.ts";
import { LATEST } from "../../src/model/traffic.ts";
import { ClessError } from "../../src/base/errors.ts";
import { settle } from "../support/fake_clock.ts";
import { AT_ONCE, input, newScene, type Scene, WAITING } from "./deployer_kit.ts";

const BY = { by: "ci" };

/** The events since the last call, in order. */
function told({ events }: Scene): string[] {
  return events.splice(0).map(([type, service, data]) => `${type} ${service} ${JSON.stringify(data)}`);
}

Deno.test("the state of a service is looked at when a deploy of it begins and when it has ended, also in failure", async () => {
  const deploys = new DeployQueue();
  const checks: [service: string, isDeploying: boolean][] = [];
  const { deployer, trials } = newScene({
    deploys,
    statusWatch: { check: (service) => void checks.push([service, deploys.has(service)]) },
  });
  await deployer.deploy("app", input("one"), AT_ONCE);
  assertEquals(checks.splice(0), [["app", true], ["app", false]]);
  const failing = deployer.deploy("app", input("two"), WAITING);
  await settle();
  assertEquals(checks.splice(0), [["app", true]]);
  trials[0]!.fail(new Error("exit code 1"));
  await assertRejects(() => failing);
  assertEquals(checks, [["app", false]]);
});

Deno.test("every change of a service emits its events once requests see it", async () => {
  const scene = newScene();
  const { deployer } = scene;
  await deployer.deploy("app", input("one"), AT_ONCE);
  assertEquals(told(scene), [
    'service.created app {"revision":"app-00001"}',
    'traffic.changed app {"traffic":[{"revision":"app-00001","percent":100}]}',
  ]);
  await deployer.deploy("app", input("two", { traffic: 0, env: { KEY: "hunter2" } }), AT_ONCE);
  assertEquals(told(scene), [
    'service.changed app {"revision":"app-00002","changed":["image","env","imageId"]}',
  ]);
  await deployer.deploy("app", input("two", { env: { KEY: "hunter2" }, service: { domains: ["a.example"] } }), AT_ONCE);
  assertEquals(told(scene), ['service.changed app {"revision":"app-00002","changed":["domains"]}']);
  await deployer.setTraffic("app", [{ revision: LATEST, percent: 100, tag: "new" }], BY);
  assertEquals(told(scene), [
    'traffic.changed app {"traffic":[{"revision":"app-00002","percent":100,"tag":"new"}]}',
  ]);
  await deployer.rollback("app", BY);
  assertEquals(told(scene).length, 1);
  await deployer.setTraffic("app", [{ revision: LATEST, percent: 100 }], BY);
  await deployer.deleteRevision("app", "app-00001", BY);
  assertEquals(told(scene).slice(1), ['revision.deleted app {"revision":"app-00001"}']);
  await deployer.deploy("app", input("two", { env: { KEY: "hunter2" } }), AT_ONCE);
  assertEquals(told(scene), []);
  await deployer.deploy("app", input("three", { service: { revisionHistory: 0 } }), AT_ONCE);
  await deployer.deploy("app", input("four"), AT_ONCE);
  assertEquals(told(scene).filter((event) => event.startsWith("revision")), [
    'revision.deleted app {"revision":"app-00002"}',
  ]);
  await deployer.delete("app", BY);
  assertEquals(told(scene), ["service.deleted app {}"]);
});

Deno.test("a trial emits an event for its start and one for its outcome", async () => {
  const scene = newScene();
  const { deployer, trials } = scene;
  const good = deployer.deploy("app", input("one"), WAITING);
  await settle();
  assertEquals(told(scene), ['revision.starting app {"revision":"app-00001"}']);
  trials[0]!.succeed();
  await good;
  assertEquals(told(scene)[0], 'revision.ready app {"revision":"app-00001"}');
  const bad = deployer.deploy("app", input("two"), WAITING);
  await settle();
  const cause = new ClessError("start_failed", "for the public", { detail: "exited with code 3" });
  trials[1]!.fail(Object.assign(cause, { output: "line 1\r\nline 2\n\n" }));
  const error = await assertRejects(() => bad, RevisionFailed);
  assertEquals([error.reason, error.output], ["exited with code 3", ["line 1", "line 2"]]);
  assertEquals(told(scene), [
    'revision.starting app {"revision":"app-00002"}',
    'revision.failed app {"revision":"app-00002","reason":"exited with code 3","output":["line 1","line 2"]}',
  ]);
  const given = new AbortController();
  const gone = deployer.deploy("app", input("two"), { ...WAITING, signal: given.signal });
  await settle();
  given.abort(new Error("given up"));
  trials[2]!.fail(new Error("stopped"));
  await assertRejects(() => gone, Error, "given up");
  assertEquals(told(scene)[1], 'revision.failed app {"revision":"app-00003","reason":"given up","output":[]}');
});

Deno.test("an image with a HEALTHCHECK emits a warning that it does not run, once for its repository", async () => {
  const scene = newScene({
    images: { resolve: (name) => Promise.resolve({ imageId: `sha256:${name}`, pulled: false, hasHealthCheck: true }) },
  });
  const warnings = () => told(scene).filter((line) => line.startsWith("revision.warning"));
  await scene.deployer.deploy("app", input("host:5000/one:1"), AT_ONCE);
  const [warning, ...more] = warnings();
  assertStringIncludes(warning!, "the image's HEALTHCHECK does not run");
  assertEquals(more, []);
  for (const image of ["host:5000/one:2", "host:5000/one@sha256:1"]) {
    await scene.deployer.deploy("app", input(image), AT_ONCE);
    assertEquals(warnings(), []);
  }
  await scene.deployer.deploy("app", input("host:5000/two:1"), AT_ONCE);
  assertEquals(warnings().length, 1);
});

Deno.test("a pull emits an event when it begins, and tells its progress to the present subscribers", async () => {
  const scene = newScene({
    images: {
      resolve: (_name, _policy, { onProgress }) => {
        onProgress?.({ status: "Pulling from acme/shop", done: 0, total: 0 });
        onProgress?.({ status: "Pull complete", done: 1, total: 2, layer: "0123456789ab" });
        return Promise.reject(new ImageUnavailable("the registry does not answer", { reason: "unreachable" }));
      },
    },
  });
  const error = await assertRejects(() => scene.deployer.deploy("app", input("shop"), WAITING), ImageUnavailable);
  assertEquals([error.reason, error.output], ["unreachable", []]);
  assertEquals(told(scene), [
    'revision.pulling app {"image":"shop","done":0,"total":0,"status":"Pulling from acme/shop"}',
    'revision.pulling app {"image":"shop","done":1,"total":2,"status":"Pull complete","layer":"0123456789ab","told":true}',
  ]);
});

Deno.test("a change that fails or changes nothing emits no event", async () => {
  const scene = newScene();
  scene.store.failure = new StoreUnavailable("the disk is full");
  await assertRejects(() => scene.deployer.deploy("app", input("one"), AT_ONCE), StoreUnavailable);
  assertEquals(told(scene), []);
});

Deno.test("a running deploy tells how far it is: the pull, then the revision, and nothing once it has ended", async () => {
  const pulled = Promise.withResolvers<{ imageId: string; pulled: boolean }>();
  const { deployer, runningDeploys: running, trials } = newScene({
    images: {
      resolve: (_name, _policy, { onProgress }) => {
        onProgress?.({ status: "Asking the registry", done: 0, total: 0 });
        onProgress?.({ status: "Pull complete", done: 1, total: 2, layer: "0123456789ab" });
        return pulled.promise;
      },
    },
  });
  const far = () => {
    const { isHandingOver, pull, revision } = running.of("app") ?? {};
    return [pull, revision, isHandingOver];
  };
  assertEquals(far(), [undefined, undefined, undefined]);
  const deployed = deployer.deploy("app", input("shop"), WAITING);
  await settle();
  assertEquals(far(), [{ done: 1, total: 2 }, undefined, false]);
  assertEquals([...running.services()], ["app"]);
  pulled.resolve({ imageId: "sha256:1", pulled: true });
  await settle();
  assertEquals(far(), [undefined, "app-00001", false]);
  trials[0]!.fail(new Error("no answer"));
  await assertRejects(() => deployed, RevisionFailed);
  assertEquals([far(), [...running.services()]], [[undefined, undefined, undefined], []]);
});

Deno.test("what is wrong with volumes is a warning of a deploy that works, and in the reason of one that fails", async () => {
  const problem = "its user 1000 cannot write to /data (the volume data)";
  const scene = newScene({ volumeAccess: { problemsOf: (revision) => Promise.resolve([`${problem}, ${revision}`]) } });
  const { deployer, trials } = scene;
  const good = deployer.deploy("app", input("one"), WAITING);
  await settle();
  trials[0]!.succeed();
  await good;
  assertEquals(told(scene).slice(1, 3), [
    `revision.warning app {"revision":"app-00001","warning":"${problem}, app-00001"}`,
    'revision.ready app {"revision":"app-00001"}',
  ]);
  const bad = deployer.deploy("app", input("two"), WAITING);
  await settle();
  trials[1]!.fail(new Error("exit code 1"));
  const { reason } = await assertRejects(() => bad, RevisionFailed);
  assertEquals(reason, `exit code 1; ${problem}, app-00002`);
});
