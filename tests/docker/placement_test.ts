import { assertEquals, assertRejects } from "@std/assert";
import { DockerError } from "../../src/docker/command.ts";
import { DockerLauncher } from "../../src/docker/launcher.ts";
import { OwnNetwork } from "../../src/docker/network/network.ts";
import { conventionRevision } from "../../src/model/revision.ts";
import { type Answer, dockerTest, type FakeDocker, noFakeDocker } from "../support/fake_docker.ts";
import { noNet } from "../support/permissions.ts";
import { freePorts } from "./free_ports.ts";

const ID = "0123456789abcdef".repeat(4);
const REVISION = conventionRevision("golang", `sha256:${ID}`, {
  startTimeout: 30_000,
  requestTimeout: 300_000,
  pauseAfter: Infinity,
  stopAfter: 600_000,
});

/** A network whose gateway is an address of every machine. */
const REACHED = "127.0.0.0/24";
const NOT_REACHED = "203.0.113.0/24";

interface Options {
  readonly upstream?: "auto" | "direct" | "published";
  readonly subnet?: string;
  readonly ports?: number;
  readonly inspect?: readonly Answer[];
}

/** A launcher, and the ports that it may use. */
async function newLauncher(docker: FakeDocker, options: Options = {}) {
  const { upstream = "published", subnet = NOT_REACHED, ports = 10, inspect = [] } = options;
  const first = freePorts(ports);
  await docker.on("network ls", `${ID}\n`);
  const own = JSON.stringify({ Name: "cless-a1", IPAM: { Config: [{ Subnet: subnet }] } });
  await docker.on("network inspect", ...inspect, own);
  await docker.on("run", `${ID}\n`);
  await docker.on("rm", "");
  const network = new OwnNetwork(docker.command, { owner: "a1", path: "/data" });
  const portRange = { first, last: first + ports - 1 };
  const launcher = new DockerLauncher({ docker: docker.command, network, owner: "a1", portRange, upstream });
  const launch = async (id: string) => (await launcher.launch({ id, revision: REVISION })).origin;
  return { launcher, launch, first };
}

/** A test with a docker command and ports. */
function placeTest(name: string, fn: (docker: FakeDocker) => Promise<void>): void {
  dockerTest(name, fn, { ignore: noFakeDocker || noNet });
}

/** A line of `docker ps`. */
function line(id: string, state: string, address: string, origin: string): string {
  const { imageId, name: revision } = REVISION;
  const fields = { id, state, status: "Up 2 hours", service: "golang", revision, imageId, address, origin };
  return JSON.stringify(fields) + "\n";
}

placeTest("where the host does not reach containers, each gets a port of 127.0.0.1", async (docker) => {
  for (const upstream of ["published", "auto"] as const) {
    const { first, launch } = await newLauncher(docker, { upstream });
    assertEquals(await launch("one"), `http://127.0.0.1:${first}`);
    const args = (await docker.calls("run")).at(-1)!;
    assertEquals(args.includes(`--publish=127.0.0.1:${first}:8080`), true);
    assertEquals(args.includes("--ip=203.0.113.2"), true);
  }
});

placeTest("where the host reaches containers, it goes straight there and publishes nothing", async (docker) => {
  for (const options of [{ upstream: "direct" }, { upstream: "auto", subnet: REACHED }] as const) {
    const { launch } = await newLauncher(docker, options);
    const prefix = options.upstream === "direct" ? "203.0.113" : "127.0.0";
    assertEquals(await launch("one"), `http://${prefix}.2:8080`);
    const args = (await docker.calls("run")).at(-1)!;
    assertEquals(args.filter((arg) => arg.startsWith("--publish")), []);
  }
});

placeTest("a port is published though the host reaches containers, where that is wanted", async (docker) => {
  const { first, launch } = await newLauncher(docker, { upstream: "published", subnet: REACHED });
  assertEquals(await launch("one"), `http://127.0.0.1:${first}`);
});

placeTest("a port in use is passed over, whoever notices", async (docker) => {
  const { first, launch } = await newLauncher(docker);
  using _other = Deno.listen({ hostname: "127.0.0.1", port: first });
  const stderr =
    "docker: Error response from daemon: driver failed programming external connectivity on endpoint one: " +
    `Bind for 127.0.0.1:${first + 1} failed: port is already allocated.\n`;
  await docker.on("run", { stderr, code: 125 }, `${ID}\n`);
  assertEquals(await launch("one"), `http://127.0.0.1:${first + 2}`);
});

placeTest("a start for which there is no port uses up no address", async (docker) => {
  const { first, launch, launcher } = await newLauncher(docker, { ports: 1 });
  await launch("one");
  for (let n = 0; n < 3; n++) await assertRejects(() => launch("two"), RangeError, "--port-range");
  launcher.forget("one");
  assertEquals(await launch("two"), `http://127.0.0.1:${first}`);
  assertEquals((await docker.calls("run")).at(-1)!.includes("--ip=203.0.113.3"), true);
});

placeTest("whether the host reaches containers is asked again where the engine did not answer", async (docker) => {
  const busy = { stderr: "Error response from daemon: busy", code: 1 };
  const { launch, launcher } = await newLauncher(docker, { upstream: "auto", subnet: REACHED, inspect: [busy, busy] });
  await assertRejects(() => launcher.prepare(), DockerError, "busy");
  await assertRejects(() => launch("one"), DockerError, "busy");
  assertEquals(await launch("one"), "http://127.0.0.2:8080");
});

placeTest("containers are listed as what they are", async (docker) => {
  const { launcher } = await newLauncher(docker, { upstream: "direct" });
  const states = ["created", "running", "paused", "exited", "dead", "restarting", "removing"];
  const lines = states.map((state, n) => line(state, state, `203.0.113.${n + 2}`, `http://203.0.113.${n + 2}:8080`));
  await docker.on("ps", "WARNING: x\n" + lines.join(""));
  const containers = await launcher.list();
  assertEquals(containers.map(({ id }) => id), states);
  assertEquals(containers.map(({ state }) => state), [...states.slice(0, 3), ...Array(4).fill("ended")]);
  assertEquals({ ...containers[1] }, {
    id: "running",
    service: "golang",
    revision: REVISION.name,
    imageId: REVISION.imageId,
    state: "running",
    upFor: 7_200_000,
    origin: "http://203.0.113.3:8080",
  });
  // Their output can be read.
  assertEquals(launcher.outputs.list("golang").map(({ id }) => id), ["created", "running", "paused"]);
  await launcher.list();
  launcher.forget("created");
  assertEquals(launcher.outputs.list("golang").map(({ id }) => id), ["running", "paused"]);
  assertEquals((await docker.calls("ps"))[0]!.slice(0, 4), [
    "ps",
    "--all",
    "--no-trunc",
    "--filter=label=cless.owner=a1",
  ]);
});

placeTest(
  "a container that was started when the host reached containers the other way has no origin",
  async (docker) => {
    const published = line("published", "running", "203.0.113.2", "http://127.0.0.1:20000");
    const direct = line("direct", "running", "203.0.113.3", "http://203.0.113.3:8080");
    const unknown = line("unknown", "running", "", "");
    const origins = async (upstream: "direct" | "published") => {
      const { launcher } = await newLauncher(docker, { upstream });
      await docker.on("ps", published + direct + unknown);
      return (await launcher.list()).map(({ origin }) => origin);
    };
    assertEquals(await origins("direct"), [undefined, "http://203.0.113.3:8080", undefined]);
    assertEquals(await origins("published"), ["http://127.0.0.1:20000", undefined, undefined]);
  },
);

placeTest("the places of containers that were found are not handed out, until they are given up", async (docker) => {
  const { first, launch, launcher } = await newLauncher(docker, { ports: 3 });
  await docker.on("ps", line("old", "paused", "203.0.113.9", `http://127.0.0.1:${first + 1}`));
  await launcher.list();
  await launcher.list();
  assertEquals(await launch("one"), `http://127.0.0.1:${first + 2}`);
  assertEquals(await launch("two"), `http://127.0.0.1:${first}`);
  await assertRejects(() => launch("three"), RangeError);
  launcher.forget("old");
  assertEquals(await launch("three"), `http://127.0.0.1:${first + 1}`);
  const addresses = (await docker.calls("run")).map((args) => args.find((arg) => arg.startsWith("--ip=")));
  assertEquals(addresses, ["--ip=203.0.113.10", "--ip=203.0.113.11", "--ip=203.0.113.12"]);
});

placeTest("a container that has ended holds no place", async (docker) => {
  const { first, launch, launcher } = await newLauncher(docker, { ports: 1 });
  await docker.on("ps", line("old", "exited", "203.0.113.2", `http://127.0.0.1:${first}`));
  await launcher.list();
  await launcher.remove("old");
  assertEquals(await launch("one"), `http://127.0.0.1:${first}`);
});

placeTest("a place that is given up while the engine makes its list is not noted again", async (docker) => {
  const { first, launch, launcher } = await newLauncher(docker, { ports: 1 });
  const gate = await docker.gate();
  const origin = await launch("one");
  await docker.on("ps", { gate, stdout: line("one", "running", "203.0.113.2", origin) });
  const listed = launcher.list();
  await gate.reached();
  launcher.forget("one");
  await gate.open();
  await listed;
  assertEquals(await launch("two"), `http://127.0.0.1:${first}`);
});

placeTest("a list that the engine refuses is no empty list", async (docker) => {
  const { launcher } = await newLauncher(docker);
  await docker.on("ps", { stderr: "Error response from daemon: busy", code: 1 });
  await assertRejects(() => launcher.list(), DockerError, "busy");
});
