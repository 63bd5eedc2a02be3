import { assertEquals, assertRejects } from "@std/assert";
import { DockerCommand, DockerError, DockerTimeout } from "../../src/docker/command.ts";
import { EngineSocket } from "../../src/docker/engine_socket.ts";
import { FakeEngine } from "../support/fake_engine.ts";
import { dockerTest, type FakeDocker, noFakeDocker } from "../support/fake_docker.ts";
import { noNet } from "../support/permissions.ts";

/** What a test works with. */
interface Parts {
  readonly docker: FakeDocker;
  readonly engine: FakeEngine;
  readonly socket: EngineSocket;
}

/** A test with an engine behind a socket, and a docker command that says that it asks the same one. */
function socketTest(name: string, fn: (parts: Parts) => Promise<void>, patience?: number): void {
  dockerTest(name, async (docker) => {
    await using engine = await FakeEngine.start();
    await docker.on("context inspect", `unix://${engine.path}\n`);
    await docker.on("info", "WARNING: something\nID-1\n");
    using socket = new EngineSocket(docker.command, patience);
    await fn({ docker, engine, socket });
  }, { ignore: noFakeDocker || noNet });
}

socketTest("until the socket has been found, everything is left to the command", async ({ engine, socket }) => {
  engine.on("POST /containers/one/pause", 204);
  engine.on("GET /containers/one/json", 200, { Id: "1" });
  const finding = socket.find();
  assertEquals([await socket.perform("POST", "/containers/one/pause"), socket.path], [false, undefined]);
  await finding;
  assertEquals([socket.path, socket.problem], [engine.path, undefined]);
  assertEquals(await socket.perform("POST", "/containers/one/pause"), true);
  assertEquals(await socket.get("/containers/one/json"), { Id: "1" });
});

socketTest("what is to be made goes along, and the answer says what it has become", async ({ engine, socket }) => {
  assertEquals(await socket.create("/things/create", { Secret: "s" }), undefined);
  await socket.find();
  engine.on("POST /things/create", 201, { Id: "1" });
  assertEquals(await socket.create("/things/create", { Secret: "s", Text: 'a "word"\n' }), { Id: "1" });
  assertEquals(engine.bodies, [{ Secret: "s", Text: 'a "word"\n' }]);
  engine.on("POST /things/create", 400, { message: "bad parameter" });
  await assertRejects(() => socket.create("/things/create", { Secret: "s" }), DockerError, "bad parameter");
  engine.on("POST /things/create", 201, "no JSON");
  const { message } = await assertRejects(() => socket.create("/things/create", { Secret: "s" }), DockerError);
  assertEquals(message, "the engine's answer to /things/create is no JSON");
  engine.on("POST /things/create", "lost");
  assertEquals([await socket.create("/things/create", { Secret: "s" }), socket.path], [undefined, undefined]);
});

socketTest("one request after the other goes over one connection", async ({ engine, socket }) => {
  engine.on("POST /containers/one/pause", 204);
  await socket.find();
  for (let n = 0; n < 5; n++) await socket.perform("POST", "/containers/one/pause");
  assertEquals([engine.requests.length, engine.connections], [6, 1]);
});

socketTest("what must not be made twice is sent once, also where its connection ends", async ({ engine, socket }) => {
  await socket.find();
  engine.on("POST /things/create", "lost");
  assertEquals(await socket.create("/things/create", { Name: "one" }), undefined);
  assertEquals(engine.requests, ["GET /info", "POST /things/create"]);
});

socketTest("no name server is asked for the way to the socket, and no proxy setting changes it", async (parts) => {
  const { engine, socket } = parts;
  const before = Deno.env.get("NO_PROXY");
  Deno.env.set("NO_PROXY", "*,engine,localhost,127.0.0.0/8");
  try {
    await socket.find();
  } finally {
    if (before === undefined) Deno.env.delete("NO_PROXY");
    else Deno.env.set("NO_PROXY", before);
  }
  assertEquals([socket.path, socket.problem], [engine.path, undefined]);
  assertEquals([...engine.hosts].filter((host) => !/^[\d.]+$/.test(host)), []);
});

socketTest("what the engine says is wrong is told as it says it", async ({ engine, socket }) => {
  await socket.find();
  engine.on("POST /one", 409, { message: "Container one is already paused\n" });
  engine.on("POST /two", 500, "no JSON");
  engine.on("GET /three", 200, "no JSON");
  const message = async (asked: Promise<unknown>) => (await assertRejects(() => asked, DockerError)).message;
  assertEquals(await message(socket.perform("POST", "/one")), "Container one is already paused");
  assertEquals(await message(socket.perform("POST", "/two")), "the engine answered 500");
  assertEquals(await message(socket.get("/three")), "the engine's answer to /three is no JSON");
  assertEquals(socket.path, engine.path);
});

socketTest("an engine that hangs is not waited for without end", async ({ engine, socket }) => {
  await socket.find();
  engine.on("POST /one", "never");
  await assertRejects(() => socket.perform("POST", "/one"), DockerTimeout, "the engine did not answer /one in time");
}, 200);

socketTest("an engine that has gone is left to the command, and found again", async ({ docker, engine, socket }) => {
  engine.on("POST /one", 204);
  await socket.find();
  await engine.stop();
  assertEquals([await socket.perform("POST", "/one"), socket.path], [false, undefined]);
  // It is not looked for at each request.
  assertEquals([await socket.perform("POST", "/one"), (await docker.calls("info")).length], [false, 1]);
  await engine.restart();
  await socket.find();
  assertEquals([await socket.perform("POST", "/one"), (await docker.calls("info")).length], [true, 2]);
});

socketTest("many who notice at once that the engine has gone do no harm", async ({ engine, socket }) => {
  await socket.find();
  await engine.stop();
  const done = await Promise.all(Array.from({ length: 20 }, () => socket.perform("POST", "/one")));
  assertEquals(done, Array.from({ length: 20 }, () => false));
});

socketTest("a socket that another engine answers at is not used", async ({ docker, engine, socket }) => {
  await docker.on("info", "ID-2\n");
  await socket.find();
  assertEquals(socket.problem, `another engine answers at ${engine.path} than the docker command has`);
  assertEquals(await socket.perform("POST", "/one"), false);
});

socketTest("where there is no socket to use, it says why", async ({ docker, engine, socket }) => {
  const problems: [host: string, problem: string][] = [
    ["tcp://192.0.2.1:2375", "the engine is at tcp://192.0.2.1:2375, which is no unix socket"],
    ["ssh://ann@host", "the engine is at ssh://ann@host, which is no unix socket"],
    [`unix://${engine.path}.not`, `No such file or directory (os error 2): stat '${engine.path}.not'`],
  ];
  for (const [host, problem] of problems) {
    await docker.on("context inspect", `${host}\n`);
    await socket.find();
    assertEquals([socket.problem, socket.path], [problem, undefined]);
  }
  await docker.on("context inspect", { stderr: "unknown command: context\n", code: 1 });
  await socket.find();
  assertEquals(socket.problem, "unknown command: context");
});

Deno.test("it does not give up before both of its commands have ended", async () => {
  const info = Promise.withResolvers<string>();
  const docker = new class extends DockerCommand {
    override run([verb]: readonly string[]): Promise<string> {
      return verb === "info" ? info.promise : Promise.reject(new DockerError("unknown command: context"));
    }
  }("docker");
  using socket = new EngineSocket(docker);
  let decided = false;
  const finding = socket.find().then(() => decided = true);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals(decided, false);
  info.resolve("ID-1\n");
  await finding;
  assertEquals([socket.problem, socket.path], ["unknown command: context", undefined]);
});

socketTest("what is closed stays so, also while it is being looked for", async ({ engine, socket }) => {
  const finding = socket.find();
  socket[Symbol.dispose]();
  await finding;
  assertEquals([socket.path, await socket.perform("POST", "/one"), engine.requests.length <= 1], [
    undefined,
    false,
    true,
  ]);
});
