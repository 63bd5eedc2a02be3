import { assert, assertEquals, assertRejects } from "@std/assert";
import { ClessError } from "../../../src/base/errors.ts";
import { Conflict, NotFound, RevisionFailed } from "../../../src/control/deploy_error.ts";
import { ExecError, type ExecPiece } from "../../../src/control/exec/process.ts";
import { type ExecClient, type ExecRequest, ExecSessions } from "../../../src/control/exec/sessions.ts";
import { Router } from "../../../src/routing/router.ts";
import { AT_ONCE, input, newScene as newDeployScene } from "../../deploy/deployer_kit.ts";
import { settle } from "../../support/fake_clock.ts";
import { FakeExecEngine } from "../../support/fake_exec.ts";

const LS: ExecRequest = { command: ["ls", "-l", "secret"], user: undefined, terminal: undefined, by: "ci" };

/** A client that notes what it gets. */
class FakeClient implements ExecClient {
  readonly leaving = new AbortController();
  readonly got: string[] = [];
  /** What `send` waits for. */
  room: Promise<void> = Promise.resolve();

  get gone(): AbortSignal {
    return this.leaving.signal;
  }

  started(_process: unknown, { id }: { readonly id: string }): void {
    this.got.push(`started in ${id}`);
  }

  async send({ bytes, stream }: ExecPiece): Promise<void> {
    this.got.push(`${stream}: ${new TextDecoder().decode(bytes)}`);
    await this.room;
  }
}

/** The service `app` with two revisions, of which the first has most of the requests; nothing runs. */
async function newScene() {
  const scene = newDeployScene({ tryStart: "real" });
  const { deployer, kit, services } = scene;
  await deployer.deploy("app", input("one"), AT_ONCE);
  await deployer.deploy("app", input("two", { traffic: 30, tag: "next" }), AT_ONCE);
  const engine = new FakeExecEngine();
  const events: unknown[] = [];
  const sessions = new ExecSessions({
    ...kit,
    ...{ engine, router: new Router(services, undefined) },
    events: { emit: (type, service, data) => void events.push([type, service, data]) },
  });
  const awake = async () => {
    const woken = services.get("app")!.main().tryStart(new AbortController().signal);
    (await kit.launcher.nextLaunch()).succeed("http://10.0.0.2:8080");
    await woken;
    return kit.fleet.get("one")!;
  };
  return { ...scene, ...kit, engine, events, sessions, awake, client: new FakeClient() };
}

Deno.test("a command wakes its service, passes its output on in order, and ends with its code", async () => {
  const { client, clock, engine, events, fleet, launcher, sessions } = await newScene();
  const running = sessions.run(await sessions.find("app", {}), LS, client);
  const launch = await launcher.nextLaunch();
  assertEquals([launch.revision.name, engine.calls], ["app-00001", []]);
  launch.succeed("http://10.0.0.2:8080");
  const process = await engine.next();
  process.say("out");
  process.say("err", "stderr");
  process.say("more");
  await clock.advance(250);
  process.end(7);
  assertEquals(await running, { code: 7 });
  assertEquals(client.got, ["started in one", "stdout: out", "stderr: err", "stdout: more"]);
  assertEquals(engine.calls, [{ id: "one", command: ["ls", "-l", "secret"], user: undefined, terminal: undefined }]);
  const facts = { instance: "one", revision: "app-00001", by: "ci", command: "ls" };
  assertEquals(events, [
    ["exec.started", "app", facts],
    ["exec.ended", "app", { ...facts, code: 7, ms: 250 }],
  ]);
  assertEquals([fleet.get("one")!.sessions, process.disposed], [0, true]);
});

Deno.test("the instance is kept awake exactly as long as the session is open", async () => {
  const { awake, client, engine, sessions } = await newScene();
  const instance = await awake();
  const running = sessions.run(await sessions.find("app", {}), LS, client);
  const process = await engine.next();
  assertEquals([instance.inUse, instance.requests], [1, 0]);
  process.end(0);
  await running;
  assertEquals(instance.inUse, 0);
});

Deno.test("without a command a shell runs, and an image without one is told clearly", async () => {
  const { awake, client, engine, events, sessions } = await newScene();
  await awake();
  const running = sessions.run(await sessions.find("app", {}), { ...LS, command: [] }, client);
  const process = await engine.next();
  assertEquals(process.command.command.slice(0, 2), ["sh", "-c"]);
  process.end(127, { problem: 'the command cannot be run: "sh": executable file not found in $PATH' });
  assertEquals(await running, {
    code: 127,
    problem: "the image has no shell; name a program that it has, as in cless exec NAME -- /app --version",
  });
  assertEquals((events[0] as [string, string, { command: string }])[2].command, "shell");
});

Deno.test("a command can be run in a certain revision, or in a certain instance, which is woken if it sleeps", async () => {
  const { awake, client, engine, launcher, sessions } = await newScene();
  const instance = await awake();
  const running = sessions.run(await sessions.find("app", { revision: "app-00002" }), LS, client);
  const launch = await launcher.nextLaunch();
  assertEquals(launch.revision.name, "app-00002");
  launch.succeed("http://10.0.0.3:8080");
  (await engine.next()).end(0);
  await running;
  await launcher.pause("one");
  await settle();
  launcher.onEvent({ id: "one", what: "paused" });
  await settle();
  assertEquals(instance.state, "paused");
  const again = sessions.run(await sessions.find("app", { instance: "one" }), LS, client);
  (await engine.next()).end(3);
  assertEquals(await again, { code: 3 });
  assertEquals([instance.state, instance.sessions, launcher.called("resume")], ["ready", 0, ["one"]]);
  assertEquals(engine.calls.map(({ id }) => id), ["two", "one"]);
});

Deno.test("what is not there is not found, and nothing is woken for it", async () => {
  const { awake, launcher, sessions } = await newScene();
  await awake();
  await assertRejects(() => sessions.find("nosuch", {}), NotFound, "there is no service nosuch");
  await assertRejects(
    () => sessions.find("app", { revision: "app-00009" }),
    NotFound,
    "app has no revision app-00009 with a share of its traffic or a tag",
  );
  await assertRejects(() => sessions.find("app", { instance: "two" }), NotFound, "app has no instance two");
  const both = { instance: "one", revision: "app-00002" };
  await assertRejects(() => sessions.find("app", both), Conflict, "the instance one is of app-00001, not of app-00002");
  assertEquals(launcher.called("launch"), ["one"]);
});

Deno.test("an instance that ends takes no commands, and one that ends before it is ready says so", async () => {
  const { awake, client, fleet, launcher, services, sessions } = await newScene();
  const instance = await awake();
  const lease = services.get("app")!.main().claim()!;
  const slept = services.get("app")!.main().sleep(10_000);
  await settle();
  await assertRejects(() => sessions.find("app", { instance: "one" }), Conflict, "the instance one is draining");
  lease.release();
  await slept;
  const woken = services.get("app")!.main().tryStart(new AbortController().signal);
  const launch = await launcher.nextLaunch();
  const place = await sessions.find("app", { instance: "two" });
  const running = sessions.run(place, LS, client);
  await settle();
  launch.fail(new Error("full"));
  await assertRejects(() => running, Conflict, "the instance two has ended before it was ready");
  await assertRejects(() => woken);
  assertEquals([instance.sessions, fleet.get("two")?.sessions ?? 0], [0, 0]);
});

Deno.test("a service that cannot start says why in place of the command's output", async () => {
  const { client, launcher, sessions } = await newScene();
  launcher.written = "no database";
  const running = sessions.run(await sessions.find("app", {}), LS, client);
  (await launcher.nextLaunch()).fail(new Error("the engine is full"));
  const error = await assertRejects(() => running, RevisionFailed);
  assertEquals(error.reason, "the engine is full");
});

Deno.test("an engine that refuses, or that goes while the command runs, is a failure with its own words", async () => {
  const { awake, client, engine, events, sessions } = await newScene();
  const instance = await awake();
  engine.error = new ExecError("the command cannot be run: no memory");
  const place = await sessions.find("app", {});
  assertEquals(await sessions.run(place, LS, client), { code: 125, problem: "the command cannot be run: no memory" });
  assertEquals(events, []);
  engine.error = undefined;
  const running = sessions.run(place, LS, client);
  (await engine.next()).fail(new ExecError("the engine has cut the connection to the command"));
  assertEquals(await running, { code: 125, problem: "the engine has cut the connection to the command" });
  assertEquals([events.length, instance.sessions], [2, 0]);
});

Deno.test("a client that goes ends the session and frees the instance, also while the service starts", async () => {
  const { client, engine, fleet, launcher, sessions } = await newScene();
  const place = await sessions.find("app", {});
  const waiting = sessions.run(place, LS, client);
  const launch = await launcher.nextLaunch();
  client.leaving.abort();
  assertEquals(await waiting, { code: 125 });
  launch.succeed("http://10.0.0.2:8080");
  await settle();
  assertEquals(engine.calls, []);
  const other = new FakeClient();
  const running = sessions.run(place, LS, other);
  const process = await engine.next();
  await settle();
  other.leaving.abort();
  assertEquals([await running, process.disposed, fleet.get("one")!.inUse], [{ code: 125 }, true, 0]);
});

Deno.test("sessions that are closed tell why, and there are no new ones", async () => {
  const { awake, client, engine, sessions } = await newScene();
  const instance = await awake();
  const place = await sessions.find("app", {});
  const running = sessions.run(place, LS, client);
  await engine.next();
  await settle();
  await sessions.close("cless is stopping");
  assertEquals(await running, { code: 125, problem: "cless is stopping" });
  assertEquals(instance.sessions, 0);
  const error = await assertRejects(() => sessions.find("app", {}), ClessError);
  assertEquals(error.code, "draining");
  assertEquals(await sessions.run(place, LS, client), { code: 125, problem: "cless is stopping" });
});

Deno.test("the output of a command is read no faster than its client takes it", async () => {
  const { awake, client, engine, sessions } = await newScene();
  await awake();
  const room = Promise.withResolvers<void>();
  client.room = room.promise;
  const running = sessions.run(await sessions.find("app", {}), LS, client);
  const process = await engine.next();
  process.say("one");
  process.say("two");
  process.end(0);
  await settle();
  assertEquals(client.got, ["started in one", "stdout: one"]);
  room.resolve();
  await running;
  assertEquals(client.got, ["started in one", "stdout: one", "stdout: two"]);
});

Deno.test("a command that ends with its instance says that the instance has ended", async () => {
  const { awake, client, clock, engine, launcher, sessions } = await newScene();
  await awake();
  const place = await sessions.find("app", {});
  const running = sessions.run(place, LS, client);
  (await engine.next()).end(137);
  await settle();
  launcher.onEvent({ id: "one", what: "ended", exitCode: 1 });
  assertEquals(await running, { code: 137, problem: "the instance one has ended" });
  const woken = sessions.run(place, LS, client);
  (await launcher.nextLaunch()).succeed("http://10.0.0.3:8080");
  (await engine.next()).end(137); // only the command was killed
  await settle();
  await clock.advance(500);
  assertEquals(await woken, { code: 137 });
});

Deno.test("there is a most of sessions that are open at once", async () => {
  const { awake, client, engine, sessions } = await newScene();
  await awake();
  const place = await sessions.find("app", {});
  const running = Array.from({ length: 100 }, () => sessions.run(place, LS, client));
  const error = await assertRejects(() => sessions.find("app", {}), ClessError, "100 sessions are open");
  assertEquals(error.code, "overloaded");
  (await engine.next()).end(0);
  await running[0];
  await settle();
  assert(await sessions.find("app", {}));
  await sessions.close("over");
  await Promise.all(running);
});
