import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  checkChoice,
  checkDisk,
  checkFreezer,
  checkLeftovers,
  checkReach,
  checkSwap,
} from "../../src/docker/checks.ts";
import { CommandApi } from "../../src/docker/command_api.ts";
import type { EngineNetwork } from "../../src/docker/engine_api.ts";
import { SocketApi } from "../../src/docker/socket_api.ts";
import { dockerTest, noFakeDocker } from "../support/fake_docker.ts";
import { FakeEngine } from "../support/fake_engine.ts";
import { noNet, noRun, noSys } from "../support/permissions.ts";

const REACHED = "this machine reaches the containers' own addresses";
const NOT_REACHED = "this machine does not reach the containers' own addresses";

/** An engine with this bridge network, and others. */
function bridge(...subnets: EngineNetwork["subnets"]) {
  const other = { name: "other", labels: {}, subnets: [{ subnet: "127.0.0.0/8", gateway: "127.0.0.1" }] };
  const networks = [other, { name: "bridge", labels: {}, subnets }];
  return { networks: () => Promise.resolve(networks) };
}

Deno.test(
  { name: "containers are reached where the engine's gateway is an address of this machine", ignore: noSys },
  async () => {
    const api = bridge({ subnet: "127.0.0.0/8", gateway: "127.0.0.1" });
    for (const upstream of ["auto", "direct", "published"] as const) {
      assertEquals(await checkReach(api, upstream), { check: "containers", state: "ok", fact: REACHED });
    }
  },
);

Deno.test({ name: "a gateway that is not named is the subnet's first address", ignore: noSys }, async () => {
  assertEquals((await checkReach(bridge({ subnet: "127.0.0.0/8", gateway: undefined }), "auto")).fact, REACHED);
});

Deno.test(
  { name: "where containers are not reached, only --upstream direct does not work", ignore: noSys },
  async () => {
    for (const api of [bridge({ subnet: "203.0.113.0/24", gateway: "203.0.113.1" }), bridge()]) {
      const fact = `${NOT_REACHED}; ports of 127.0.0.1 are used instead, at about half the speed`;
      assertEquals(await checkReach(api, "auto"), { check: "containers", state: "ok", fact });
      const remedy = "leave out --upstream direct";
      const direct = { check: "containers", state: "failed", fact: NOT_REACHED, remedy } as const;
      assertEquals(await checkReach(api, "direct"), direct);
    }
  },
);

/** An engine whose data is in a folder. */
function dataIn(dataFolder: string, runtime = "runc") {
  return { info: () => Promise.resolve({ id: "ID-1", dataFolder, runtime }) };
}

Deno.test({ name: "the room on the engine's disk is told", ignore: noRun }, async () => {
  const { check, fact, state } = await checkDisk(dataIn("/"));
  assertEquals(check, "disk");
  assertMatch(fact, /^\d+\.\d GiB are free in \/$/);
  assert(["ok", "warning", "failed"].includes(state));
});

Deno.test({ name: "a disk that cannot be seen from here is no trouble", ignore: noRun }, async () => {
  const fact = "/nowhere/docker cannot be seen from here";
  assertEquals(await checkDisk(dataIn("/nowhere/docker")), { check: "disk", state: "ok", fact });
});

Deno.test("an engine that does not say where its data is gets a warning", async () => {
  assertEquals((await checkDisk(dataIn(""))).state, "warning");
});

dockerTest("doctor says how the engine is asked, and why not over its socket", async (docker) => {
  const choice = { api: new CommandApi(docker.command), docker: docker.command };
  const slow = "containers are started, paused and resumed by the docker command, which is slower";
  assertEquals(await checkChoice(choice), { check: "socket", state: "ok", fact: slow });
  const because = await checkChoice({ ...choice, whyNotSocket: "there is none" });
  assertEquals(because, { check: "socket", state: "ok", fact: `${slow}: there is none` });
});

dockerTest("a docker command that asks another engine, or is not there, is a warning", async (docker) => {
  await using engine = await FakeEngine.start();
  engine.on("GET /info", 200, { ID: "ID-1", DockerRootDir: "/" });
  using api = new SocketApi(engine.path);
  const fact = `containers are started, paused and resumed over the socket ${engine.path}`;
  const check = () => checkChoice({ api, docker: docker.command });
  await docker.on("info", 'WARNING: x\n{"ID":"ID-1"}\n', '{"ID":"ID-2"}\n', { stderr: "no luck\n", code: 1 });
  assertEquals(await check(), { check: "socket", state: "ok", fact });
  const other = await check();
  assertEquals(other.state, "warning");
  assertEquals(other.fact, `${fact}, but the docker command, which pulls images, asks another engine`);
  const missing = await check();
  assertEquals([missing.state, missing.fact], ["warning", `${fact}, but no image can be pulled: no luck`]);
}, { ignore: noFakeDocker || noNet });

/** An engine with networks that each are a cless's, with its owner and data-dir. */
function ownedBy(...owners: [owner: string, dataDir: string][]) {
  const networks = owners.map(([owner, dataDir]) => ({
    name: `cless-${owner}`,
    labels: { "cless.owner": owner, "cless.data-dir": dataDir },
    subnets: [],
  }));
  return { networks: () => Promise.resolve([{ name: "bridge", labels: {}, subnets: [] }, ...networks]) };
}

Deno.test("a network is left behind when its data-dir is gone, and only then", async () => {
  const api = ownedBy(["a1", "/gone"], ["b2", "/idle"], ["c3", "/busy"]);
  const states: Record<string, boolean | undefined> = { "/gone": undefined, "/idle": false, "/busy": true };
  assertEquals(await checkLeftovers(api, (dataDir) => Promise.resolve(states[dataDir])), [{
    check: "networks",
    state: "warning",
    fact: "cless-a1 was left behind by a cless whose data-dir /gone is gone",
    remedy: "docker ps -aq --filter label=cless.owner=a1 | xargs -r docker rm -f; docker network rm cless-a1",
  }]);
});

Deno.test("a data-dir that cannot be looked at is taken for one in use", async () => {
  const denied = () => Promise.reject(new Deno.errors.PermissionDenied("no"));
  assertEquals((await checkLeftovers(ownedBy(["a1", "/root"]), denied)).map(({ state }) => state), ["ok"]);
});

Deno.test("doctor says so if no network was left behind", async () => {
  assertEquals(await checkLeftovers(ownedBy(), () => Promise.resolve(undefined)), [
    { check: "networks", state: "ok", fact: "none was left behind by a dead data-dir" },
  ]);
});

Deno.test(
  { name: "what pauses idle containers is told, and why not their control groups", ignore: noRun },
  async () => {
    const auto = { freezer: "auto", freezerSocket: "/nowhere/freezer.sock" } as const;
    const byEngine = { ...auto, freezer: "docker" } as const;
    assertMatch((await checkFreezer(byEngine, dataIn("/"))).fact, /paused by the engine.*--freezer docker is set$/);
    if (Deno.uid() === 0) {
      const engine = await Deno.makeTempDir();
      await Deno.mkdir(`${engine}/containers`);
      for (const runtime of ["runc", "crun", "io.containerd.runc.v2"]) {
        assertMatch(
          (await checkFreezer(auto, dataIn(engine, runtime))).fact,
          /frozen by their control groups, by a child process$/,
        );
      }
      assertMatch((await checkFreezer(auto, dataIn("/nowhere"))).fact, /: the engine is not Docker on this machine/);
      assertMatch(
        (await checkFreezer(auto, dataIn(engine, "runsc"))).fact,
        /default runtime is runsc, and only runc and crun/,
      );
      await Deno.remove(engine, { recursive: true });
      return;
    }
    assertMatch(
      (await checkFreezer(auto, dataIn("/"))).fact,
      /cless does not run as root, and \/nowhere.* not a socket$/,
    );
    const { remedy, state } = await checkFreezer({ ...auto, freezer: "cgroup" }, dataIn("/"));
    assertEquals([state, remedy], ["failed", "leave out --freezer cgroup"]);
  },
);

Deno.test(
  { name: "whether idle instances hibernate is told, why not, and how to get swap", ignore: noRun },
  async () => {
    const [total, hour] = [4 * 1024 ** 3, 3_600_000];
    const config = { freezer: "auto", freezerSocket: "/nowhere/freezer.sock", hibernateAfterMs: hour } as const;
    const swap = { totalBytes: total, freeBytes: total / 2 };
    const none = { totalBytes: 0, freeBytes: 0 };
    const fact = async (...args: Parameters<typeof checkSwap>) => (await checkSwap(...args)).fact;
    const never = "idle instances do not hibernate: ";
    assertEquals(
      await fact({ ...config, hibernateAfterMs: Infinity }, undefined, total, swap),
      `${never}--hibernate-after 0 is set`,
    );
    const notFrozen = `${never}nothing freezes them by their control groups (`;
    assertEquals(
      await fact({ ...config, freezer: "docker" }, undefined, total, swap),
      `${notFrozen}--freezer docker is set)`,
    );
    const isRoot = Deno.uid() === 0;
    const engine = await Deno.makeTempDir();
    await Deno.mkdir(`${engine}/containers`);
    if (!isRoot) assertMatch(await fact(config, dataIn(engine), total, swap), /cless does not run as root/);
    else {
      assertEquals(
        await fact(config, dataIn(engine, "runsc"), total, swap),
        `${notFrozen}the engine's default runtime is runsc, and only runc and crun will do)`,
      );
      assertEquals(
        await fact(config, dataIn(engine), total, swap),
        "idle instances hibernate in 4.0 GiB of swap, of which 2.0 GiB are free",
      );
      const full = { totalBytes: total, freeBytes: 63 * 1024 ** 2 };
      for (
        const [swap, problem] of [[none, "the machine has no swap"], [full, "the machine's swap is full"]] as const
      ) {
        const { fact, remedy, state } = await checkSwap(config, dataIn(engine), total, swap);
        assertEquals([state, fact], ["ok", `${never}${problem}`]);
        const file = /^use zram, or make a file: fallocate -l [1-4]G (\S+) && chmod 600 \1 && mkswap \1 && swapon \1$/;
        if (!remedy!.endsWith("needs more room on the disk")) assertMatch(remedy!, file);
      }
    }
    await Deno.remove(engine, { recursive: true });
  },
);
