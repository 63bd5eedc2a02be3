import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { openDataDir } from "../../src/control/data_dir.ts";
import { Secrets } from "../../src/control/secrets/secrets.ts";
import { makeIdentity, openIdentity } from "../../src/peers/identity.ts";
import { formatJoinToken } from "../../src/peers/join_token.ts";
import { SqliteStore } from "../../src/sqlite/store.ts";
import { FakeEngine } from "../support/fake_engine.ts";
import { noNet, noRun, noWrite } from "../support/permissions.ts";
import { programArgs, type Run } from "./run_main.ts";

const TOKEN = {
  owner: "0a1b2c3d",
  adminToken: "t".repeat(64),
  adminTokenMadeAt: 1_700_000_000_000,
  secretKey: new Uint8Array(32).fill(7).toBase64(),
  identity: await makeIdentity(),
  managers: [{ nodeId: "manager1", address: "10.0.0.1:2377" }, { nodeId: "manager2", address: "10.0.0.2:2377" }],
  swarm: { worker: "SWMTKN-1-worker", manager: "SWMTKN-1-manager" },
  peers: ["10.0.0.1:1324", "10.0.0.2:1324"],
};
const TEXT = formatJoinToken(TOKEN);

/** A machine with an engine, on which cless has never run. */
interface Machine {
  readonly engine: FakeEngine;
  readonly dataDir: string;
  /**
   * Runs `cless join` with the token, unless the arguments begin with another one; `input` is its standard input, and
   * `host` where the engine is.
   */
  join(args?: readonly string[], input?: string, host?: string): Promise<Run>;
}

/** How a machine is in a Swarm, as its engine tells it. */
function inSwarm(state: string, managers: readonly string[] = [], isManager = false) {
  const RemoteManagers = managers.map((NodeID) => ({ NodeID, Addr: "10.0.0.1:2377" }));
  return { Swarm: { LocalNodeState: state, ControlAvailable: isManager, RemoteManagers } };
}

function joinTest(name: string, fn: (machine: Machine) => Promise<void>): void {
  Deno.test({ name, ignore: noNet || noRun || noWrite }, async () => {
    await using engine = await FakeEngine.start();
    engine.on("GET /version", 200, { Version: "26.1.5" });
    engine.on("GET /info", 200, inSwarm("inactive"));
    engine.on("POST /swarm/join", 200);
    const folder = await Deno.makeTempDir();
    const dataDir = `${folder}/data`;
    const join = async (args: readonly string[] = [], input = "", host = `unix://${engine.path}`) => {
      const given = args[0]?.startsWith("--") === false ? args : [TEXT, ...args];
      const child = new Deno.Command(Deno.execPath(), {
        args: programArgs("join", ...given, "--data-dir", dataDir),
        env: { DOCKER_HOST: host, DOCKER_CONFIG: folder },
        ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
      }).spawn();
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode(input)).catch(() => {});
      await writer.close().catch(() => {});
      const { code, stderr, stdout } = await child.output();
      const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trimEnd());
      return { code, out: out!, err: err! };
    };
    await fn({ engine, dataDir, join }).finally(() => Deno.remove(folder, { recursive: true }));
  });
}

/** The machine's data-dir, as `cless serve` would find it. */
async function found(dataDir: string) {
  using dir = await openDataDir(dataDir);
  using store = SqliteStore.open(dir.path, { isNew: dir.isNew });
  await Secrets.open(store, { folder: dir.path });
  const secretKey = (await Deno.readTextFile(`${dataDir}/secret-key`)).trim();
  const identity = await openIdentity(dir.path);
  return { owner: dir.owner, adminToken: dir.token, isNew: dir.isNew, secretKey, identity, older: store.olderImages() };
}

const JOINED = {
  ...{ owner: TOKEN.owner, adminToken: TOKEN.adminToken, secretKey: TOKEN.secretKey, identity: TOKEN.identity },
  ...{ isNew: false, older: [] },
};

joinTest("a fresh machine joins as a worker, and has all that the others have", async ({ dataDir, engine, join }) => {
  const { code, err, out } = await join();
  assertEquals([code, err], [0, ""]);
  assertEquals(out.split("\n"), [
    `this machine has joined the Swarm as a worker; the data-dir is ${await Deno.realPath(dataDir)}`,
    "start cless here: cless serve --engine swarm --manager 10.0.0.1:1324 --manager 10.0.0.2:1324 " +
    `--data-dir ${dataDir}`,
  ]);
  assertEquals(engine.bodies, [{
    ListenAddr: "0.0.0.0:2377",
    AdvertiseAddr: "",
    RemoteAddrs: ["10.0.0.1:2377", "10.0.0.2:2377"],
    JoinToken: "SWMTKN-1-worker",
  }]);
  assertEquals(await found(dataDir), JOINED);
  for (const file of ["owner", "admin-token", "secret-key", "peer-identity", "cless.sqlite"]) {
    assertEquals((await Deno.stat(`${dataDir}/${file}`)).mode! & 0o077, 0, file);
  }
});

joinTest("a manager joins with the managers' token, and needs no other manager", async ({ engine, join }) => {
  const { code, out } = await join(["--manager-node", "--advertise", "10.0.0.9"]);
  assertEquals(code, 0);
  assertStringIncludes(out, "has joined the Swarm as a manager");
  assert(!out.includes("--manager "));
  const [{ AdvertiseAddr, JoinToken }] = engine.bodies as [{ AdvertiseAddr: string; JoinToken: string }];
  assertEquals([AdvertiseAddr, JoinToken], ["10.0.0.9", "SWMTKN-1-manager"]);
});

joinTest("the token may come from standard input, with its line end", async ({ dataDir, join }) => {
  const { code, err } = await join(["-"], `${TEXT}\n`);
  assertEquals([code, err], [0, ""]);
  assertEquals((await found(dataDir)).owner, TOKEN.owner);
});

joinTest("a machine that is in the Swarm already only gets its data-dir, also a second time", async (machine) => {
  const { dataDir, engine, join } = machine;
  engine.on("GET /info", 200, inSwarm("active", ["other", "manager2"]));
  for (let n = 0; n < 2; n++) {
    const { code, err, out } = await join();
    assertEquals([code, err], [0, ""]);
    assertStringIncludes(out, "this machine is in the Swarm already");
    assertEquals(await found(dataDir), JOINED);
  }
  assert(!engine.requests.includes("POST /swarm/join"));
});

joinTest("a worker does not become a manager by joining again", async ({ engine, join }) => {
  engine.on("GET /info", 200, inSwarm("active", ["manager1"]));
  const { code, err } = await join(["--manager-node"]);
  assertEquals(code, 1);
  assertStringIncludes(err, "cless: this machine is a worker of the Swarm already; make it a manager with docker node");
});

joinTest("a machine that is in another Swarm stays there, and nothing is written that counts", async (machine) => {
  const { dataDir, engine, join } = machine;
  engine.on("GET /info", 200, inSwarm("active", ["other"], true));
  const { code, err } = await join();
  assertEquals(code, 1);
  assertStringIncludes(err, "cless: this machine is in another Swarm; leave that with docker swarm leave --force");
  assert(!engine.requests.includes("POST /swarm/join"));
  assert(!await exists(`${dataDir}/owner`));
  for (const [state, reason] of [["locked", "docker swarm unlock"], ["pending", "(pending)"], ["error", "(error)"]]) {
    engine.on("GET /info", 200, inSwarm(state!));
    assertStringIncludes((await join()).err, reason!);
  }
});

joinTest(
  "a data-dir of another cless is not touched, and the machine joins nothing",
  async ({ dataDir, engine, join }) => {
    {
      using dir = await openDataDir(dataDir);
      dir.settle();
    }
    const before = await Deno.readTextFile(`${dataDir}/admin-token`);
    const { code, err } = await join();
    assertEquals(code, 1);
    assertStringIncludes(err, `cless: the data-dir ${dataDir} belongs to another cless`);
    assertStringIncludes(err, "name a new one with --data-dir");
    assertEquals(await Deno.readTextFile(`${dataDir}/admin-token`), before);
    assert(!engine.requests.includes("POST /swarm/join"));
  },
);

joinTest("the data-dir of a cless that runs is not touched", async ({ dataDir, engine, join }) => {
  using _dir = await openDataDir(dataDir);
  const { code, err } = await join();
  assertEquals(code, 1);
  assertStringIncludes(err, "is in use by another cless");
  assert(!engine.requests.includes("POST /swarm/join"));
});

joinTest("when the engine cannot join, it says why and what may help, and can be tried again", async (machine) => {
  const { dataDir, engine, join } = machine;
  engine.on("POST /swarm/join", 500, {
    message: "rpc error: code = DeadlineExceeded desc = context deadline exceeded",
  });
  const { code, err } = await join();
  assertEquals(code, 1);
  assertStringIncludes(err, "cless: cannot join the Swarm at 10.0.0.1:2377, 10.0.0.2:2377: rpc error");
  assertStringIncludes(err, "the ports 2377/tcp, 7946/tcp, 7946/udp and 1324/tcp must be open");
  engine.on("POST /swarm/join", 400, {
    message: "could not choose an IP address to advertise since this system has two",
  });
  assertStringIncludes((await join()).err, "with --advertise");
  engine.on("POST /swarm/join", 200);
  assertEquals((await join()).code, 0);
  assertEquals(await found(dataDir), JOINED);
});

joinTest("without an engine, and with an engine on another machine, it says so", async ({ engine, join }) => {
  engine.on("GET /version", "lost");
  assertStringIncludes((await join()).err, "cless: no Docker engine answers");
  const { err } = await join([], "", "tcp://192.0.2.1:2375");
  assertStringIncludes(
    err,
    "cless: a Swarm needs the socket of the Docker engine: the engine is at tcp://192.0.2.1:2375",
  );
});

joinTest("what is no token is a wrong command line, and is not shown", async ({ engine, join }) => {
  for (const text of ["cless-join-abcdefgh", `x${TEXT}`, TEXT.slice(0, 400)]) {
    const { code, err } = await join([text]);
    assertEquals(code, 2);
    assertStringIncludes(err, "cless: this is no token to join: ");
    assertStringIncludes(err, "cless nodes --join-token prints one");
    assert(!err.includes(text.slice(12, 30)));
  }
  assertEquals(engine.requests, []);
});

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
