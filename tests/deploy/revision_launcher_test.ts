import { assertEquals, assertRejects } from "@std/assert";
import { RevisionEnv } from "../../src/control/runtime_revision.ts";
import { RevisionLauncher } from "../../src/deploy/revision_launcher.ts";
import type { Revision } from "../../src/model/revision.ts";
import { ServedByOther } from "../../src/pool/launcher.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { FakeLauncher } from "../support/fake_launcher.ts";
import { newRevision } from "../support/kit.ts";

const ORIGIN = "http://10.0.0.2:8080";

function newLauncher() {
  const clock = new FakeClock();
  const engine = new FakeLauncher();
  const asked: string[] = [];
  const secrets = { broken: false };
  const env = new RevisionEnv({
    resolve: (secretEnv, versions) => {
      asked.push(...Object.values(secretEnv));
      if (secrets.broken) return Promise.reject(new Error("the secret key is gone"));
      return Promise.resolve(Object.fromEntries(
        Object.entries(secretEnv).map(([variable, name]) => [variable, `${name} ${versions[name]}`]),
      ));
    },
  });
  const problems = new Map<string, string>();
  const hostPaths = { problem: (path: string) => Promise.resolve(problems.get(path)) };
  return {
    clock,
    engine,
    asked,
    secrets,
    problems,
    launcher: new RevisionLauncher(engine, env, hostPaths, clock),
  };
}

function withVolumes(name: string, ...sources: string[]): Revision {
  const volumes = sources.map((source) => ({ source, path: `/data/${source.replaceAll("/", "")}`, readOnly: false }));
  return { ...newRevision(), name, volumes };
}

const SECRET: Revision = { ...newRevision(), env: { A: "1" }, secretEnv: { KEY: "key" }, secretVersions: { key: 2 } };

Deno.test("a container gets its secrets, which are read only once", async () => {
  const { launcher, engine, asked } = newLauncher();
  for (const id of ["one", "two"]) {
    const launched = launcher.launch({ id, revision: SECRET });
    const launch = await engine.nextLaunch();
    assertEquals(launch.revision.env, { A: "1", KEY: "key 2" });
    launch.succeed(ORIGIN);
    assertEquals(await launched, { origin: ORIGIN });
  }
  assertEquals(asked, ["key"]);
});

Deno.test("a container that is not created since another one serves holds no volume, but the other one does", async () => {
  const { launcher, engine } = newLauncher();
  const revision = withVolumes("app-00001", "data");
  const launched = launcher.launch({ id: "one", revision });
  const other = {
    id: "other",
    service: "app",
    revision: "app-00001",
    imageId: "1",
    state: "running",
    origin: ORIGIN,
  } as const;
  (await engine.nextLaunch()).fail(new ServedByOther(other));
  await assertRejects(() => launched, ServedByOther);
  let isGone = false;
  const gone = launcher.untilGone(() => true).then(() => isGone = true);
  await settle();
  assertEquals(isGone, false);
  await launcher.remove("other");
  await gone;
});

Deno.test("a container whose secrets cannot be read is not started, and the next start reads them again", async () => {
  const { launcher, engine, secrets } = newLauncher();
  secrets.broken = true;
  await assertRejects(() => launcher.launch({ id: "one", revision: SECRET }), Error, "the secret key is gone");
  assertEquals(engine.called("launch"), []);
  secrets.broken = false;
  const launched = launcher.launch({ id: "two", revision: SECRET });
  (await engine.nextLaunch()).succeed(ORIGIN);
  await launched;
});

Deno.test("a container waits until earlier ones with its volumes are gone, and other containers do not wait", async () => {
  const { launcher, engine } = newLauncher();
  const start = (id: string, ...sources: string[]) => launcher.launch({ id, revision: withVolumes(id, ...sources) });
  const [one, two, three, free] = [
    start("one", "data"),
    start("two", "/srv/a/b", "data"),
    start("three", "/srv/a"),
    start("free", "other", "/srv/b"),
  ];
  await settle();
  assertEquals(engine.called("launch"), ["one", "free"]);
  for (let left = 2; left > 0; left--) (await engine.nextLaunch()).succeed(ORIGIN);
  await Promise.all([one, free]);
  await launcher.stop("one");
  await settle();
  assertEquals(engine.called("launch"), ["one", "free", "two"]);
  (await engine.nextLaunch()).fail(new Error("refused"));
  await assertRejects(() => two, Error, "refused");
  await settle();
  assertEquals(engine.called("launch").length, 3);
  await launcher.remove("two"); // what has failed may have left something
  (await engine.nextLaunch()).succeed(ORIGIN);
  await three;
});

Deno.test("an adopted container holds its volumes, and so does one that cannot be removed", async () => {
  const { launcher, engine } = newLauncher();
  launcher.found("old", withVolumes("old", "data"));
  engine.on.remove = () => {
    throw new Error("the engine does not answer");
  };
  await assertRejects(() => launcher.remove("old"), Error, "the engine does not answer");
  const launched = launcher.launch({ id: "one", revision: withVolumes("one", "data") });
  await settle();
  assertEquals(engine.called("launch"), []);
  delete engine.on.remove;
  await launcher.remove("old");
  (await engine.nextLaunch()).succeed(ORIGIN);
  await launched;
});

Deno.test("an engine that other cless use too decides itself when a volume is free", async () => {
  const { launcher, engine } = newLauncher();
  const sharing = { isOurs: () => true, mayEnd: () => Promise.resolve(), runsOn() {} };
  Object.assign(engine, { sharing });
  launcher.found("old", withVolumes("old", "data"));
  const launched = launcher.launch({ id: "one", revision: withVolumes("one", "data") });
  (await engine.nextLaunch()).succeed(ORIGIN);
  await launched;
});

Deno.test("a container that could not be removed holds its volumes until the engine does not list it any more", async () => {
  const { launcher, engine } = newLauncher();
  const volume = (name: string) => withVolumes(name, "data");
  const failing = launcher.launch({ id: "one", revision: volume("one") });
  engine.on.remove = () => {
    throw new Error("the engine is away");
  };
  const before = await launcher.list(); // it is being made
  (await engine.nextLaunch()).fail(new Error("the engine is away"));
  await assertRejects(() => failing, Error, "the engine is away");
  await assertRejects(() => launcher.remove("one"), Error, "the engine is away");
  const launched = launcher.launch({ id: "two", revision: volume("two") });
  engine.put({ id: "one", revision: volume("one") }, "created");
  await launcher.list();
  await settle();
  assertEquals([before, engine.called("launch")], [[], ["one"]]);
  engine.containers.delete("one");
  await launcher.list();
  (await engine.nextLaunch()).succeed(ORIGIN);
  await launched;
});

Deno.test("an unknown container holds up containers with volumes, and no others", async () => {
  const { launcher, engine } = newLauncher();
  launcher.found("unknown", undefined);
  await launcher.untilGone(() => true);
  const waiting = launcher.launch({ id: "one", revision: withVolumes("one", "data") });
  const launched = launcher.launch({ id: "two", revision: newRevision() });
  (await engine.nextLaunch()).succeed(ORIGIN);
  await launched;
  assertEquals(engine.called("launch"), ["two"]);
  await launcher.remove("unknown");
  (await engine.nextLaunch()).succeed(ORIGIN);
  await waiting;
});

Deno.test("a start waits for volumes no longer than its start timeout", async () => {
  const { clock, launcher, engine } = newLauncher();
  launcher.found("old", withVolumes("old-00001", "data"));
  const failing = assertRejects(() => launcher.launch({ id: "one", revision: withVolumes("one", "data") }), Error);
  await clock.advance(30_000);
  assertEquals((await failing).message, "a container of old-00001 does not let go of a volume that this one needs");
  assertEquals([engine.called("launch"), clock.timers], [[], 0]);
});

Deno.test("a host folder that may not be used any more is not given to a container", async () => {
  const { launcher, engine, problems } = newLauncher();
  problems.set("/srv/a", "is not in one of the folders of --allow-host-path");
  const revision = withVolumes("one", "data", "/srv/a");
  const failing = () => launcher.launch({ id: "one", revision });
  await assertRejects(failing, Error, "the volume /srv/a is not in one of the folders");
  assertEquals(engine.called("launch"), []);
});

Deno.test("waiting for containers to go covers those that exist at that moment", async () => {
  const { clock, launcher, engine } = newLauncher();
  const launched = launcher.launch({ id: "one", revision: newRevision() });
  let gone = 0;
  const waiting = launcher.untilGone(({ service }) => service === "app").then(() => gone++);
  await launcher.untilGone(({ service }) => service === "web");
  launcher.found("two", newRevision());
  (await engine.nextLaunch()).succeed(ORIGIN);
  await launched;
  await settle();
  assertEquals(gone, 0);
  await launcher.stop("one");
  await waiting;
  const tired = launcher.untilGone(() => true);
  await clock.advance(60_000);
  await tired;
  assertEquals(clock.timers, 0);
});

Deno.test("all other calls go to the engine unchanged", async () => {
  const { launcher, engine } = newLauncher();
  engine.written = "a\nb";
  const launched = launcher.launch({ id: "one", revision: newRevision() });
  (await engine.nextLaunch()).succeed(ORIGIN);
  await launched;
  engine.used = new Map([["one", { bytes: 5 }]]);
  await launcher.pause("one", 0);
  await launcher.resume("one");
  assertEquals(await launcher.usage(), engine.used);
  launcher.forget("one");
  assertEquals([await launcher.output("one", 1), (await launcher.list()).map(({ id }) => id)], ["b", ["one"]]);
  assertEquals(engine.calls.map(({ method }) => method), ["launch", "pause", "resume", "forget", "output"]);
});
