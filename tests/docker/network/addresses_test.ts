import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { CommandApi } from "../../../src/docker/command_api.ts";
import { EngineError } from "../../../src/docker/engine_error.ts";
import { ImageSource } from "../../../src/docker/images/image_source.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { ContainerOutputs } from "../../../src/docker/logs/outputs.ts";
import { Freezer } from "../../../src/docker/freezer/freezer.ts";
import { Hibernator } from "../../../src/docker/freezer/hibernator.ts";
import { DockerLauncher } from "../../../src/docker/launcher.ts";
import { Addresses, HostPorts, Sequence } from "../../../src/docker/network/addresses.ts";
import { OwnNetwork } from "../../../src/docker/network/network.ts";
import { parseSubnet } from "../../../src/docker/network/subnet.ts";
import { conventionRevision } from "../../../src/model/revision.ts";
import { type Answer, dockerTest, type FakeDocker, noFakeDocker } from "../../support/fake_docker.ts";
import { noNet } from "../../support/permissions.ts";
import { freePorts } from "../../support/free_ports.ts";

const ID = "0123456789abcdef".repeat(4);
const REVISION = conventionRevision("golang", `sha256:${ID}`, {
  startTimeoutMs: 30_000,
  requestTimeoutMs: 300_000,
  clientTimeoutMs: 60_000,
  pauseAfterMs: Infinity,
  hibernateAfterMs: Infinity,
  stopAfterMs: 600_000,
  stopHibernatedAfterMs: 600_000,
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
  await docker.on("rm", "one\n");
  const api = new CommandApi(docker.command);
  const network = new OwnNetwork(api, { owner: "a1", path: "/data" });
  const portRange = { first, last: first + ports - 1 };
  const images = new ImageSource(api, docker.command);
  const freezer = new Freezer(undefined, false, systemClock);
  const launcher = new DockerLauncher(
    api,
    images,
    new Addresses(network, { portRange, upstream }),
    new ContainerOutputs(api, systemClock),
    freezer,
    new Hibernator(freezer, undefined, systemClock),
  );
  const launch = async (id: string) => (await launcher.launch({ id, revision: REVISION })).origin;
  return { launcher, launch, first };
}

/** A test with a docker command and ports. */
function placeTest(name: string, fn: (docker: FakeDocker) => Promise<void>): void {
  dockerTest(name, fn, { ignore: noFakeDocker || noNet });
}

/** A line of `docker ps`. */
function line(id: string, state: string, address: string, origin: string): string {
  const { imageId, name } = REVISION;
  const labels = {
    "cless.owner": "a1",
    "cless.service": "golang",
    "cless.revision": name,
    "cless.image": imageId,
    "cless.address": address,
    "cless.origin": origin,
  };
  return JSON.stringify({ id, engineId: ID, state, status: "Up 2 hours", labels }) + "\n";
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

placeTest("a port in use is skipped, whether cless or the engine notices", async (docker) => {
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
  await assertRejects(() => launcher.prepare(), EngineError, "busy");
  await assertRejects(() => launch("one"), EngineError, "busy");
  assertEquals(await launch("one"), "http://127.0.0.2:8080");
});

Deno.test({
  name: "whether the host reaches containers is looked up again after a network that could not be made",
  ignore: noNet,
  fn: async () => {
    let tries = 0;
    const ensure = () => ++tries === 1 ? Promise.reject(new Error("busy")) : Promise.resolve(parseSubnet(REACHED)!);
    const network = { owner: "a1", name: "cless-a1", ensure } as unknown as OwnNetwork;
    const addresses = new Addresses(network, { portRange: { first: 20_000, last: 20_009 }, upstream: "auto" });
    await assertRejects(() => addresses.reachesDirectly(), Error, "busy");
    assertEquals([await addresses.reachesDirectly(), await addresses.reachesDirectly()], [true, true]);
    assertEquals(tries, 2); // once known, it is not looked up again
  },
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

placeTest(
  "addresses and ports of containers that were found are not given out until they are freed",
  async (docker) => {
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
  },
);

placeTest("a container that has ended holds no address or port", async (docker) => {
  const { first, launch, launcher } = await newLauncher(docker, { ports: 1 });
  await docker.on("ps", line("old", "exited", "203.0.113.2", `http://127.0.0.1:${first}`));
  await launcher.list();
  await launcher.remove("old");
  assertEquals(await launch("one"), `http://127.0.0.1:${first}`);
});

placeTest("an address that is given up while the engine lists containers is not noted again", async (docker) => {
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

placeTest("a list that the engine refuses is an error, not an empty list", async (docker) => {
  const { launcher } = await newLauncher(docker);
  await docker.on("ps", { stderr: "Error response from daemon: busy", code: 1 });
  await assertRejects(() => launcher.list(), EngineError, "busy");
});

/** Addresses on a network that may be another one each time that it is looked for. */
function newAddresses(subnets: string[], upstream: "direct" | "published" = "direct", ports = 3) {
  const range = { first: freePorts(ports), last: 0 };
  range.last = range.first + ports - 1;
  const left = [...subnets];
  const api = {
    networks: () => {
      const subnet = left.length > 1 ? left.shift()! : left[0]!;
      return Promise.resolve([{ name: "cless-a1", labels: {}, subnets: [{ subnet, gateway: undefined }] }]);
    },
    createNetwork: () => Promise.reject(new Error("it is there")),
    removeNetwork: () => Promise.resolve(),
  };
  const network = new OwnNetwork(api, { owner: "a1", path: "/data" });
  const addresses = new Addresses(network, { portRange: range, upstream });
  const take = async (id: string) => (await addresses.take(id, 8080)).address;
  return { addresses, network, range, take };
}

const netTest = (name: string, fn: () => Promise<void>) => Deno.test({ name, ignore: noNet, fn });

netTest("an address that is taken again for one container gives the one before back, also at once", async () => {
  for (const upstream of ["direct", "published"] as const) {
    const { addresses } = newAddresses(["10.9.0.0/29"], upstream);
    // The network has five addresses, and there are three ports.
    for (let n = 0; n < 12; n++) await addresses.take("one", 8080);
    for (let n = 0; n < 6; n++) await Promise.all([addresses.take("one", 8080), addresses.take("one", 8080)]);
    const others = ["two", "three", ...(upstream === "direct" ? ["four", "five"] : [])];
    for (const id of others) await addresses.take(id, 8080);
    assertEquals(addresses.ids(), new Set(["one", ...others]));
    await assertRejects(() => addresses.take("more", 8080), RangeError);
  }
});

netTest("the last address is left for broadcasts, and one comes again after all others", async () => {
  const { addresses, take } = newAddresses(["10.9.0.0/29"]);
  const taken = [await take("a"), await take("b"), await take("c"), await take("d"), await take("e")];
  assertEquals(taken, ["10.9.0.2", "10.9.0.3", "10.9.0.4", "10.9.0.5", "10.9.0.6"]);
  addresses.free("c");
  addresses.free("b");
  addresses.free("nobody");
  assertEquals([await take("f"), await take("g")], ["10.9.0.3", "10.9.0.4"]);
});

netTest("addresses that containers have already are not handed out, whenever that is noted", async () => {
  const { addresses, take } = newAddresses(["10.9.0.0/29"]);
  const found = (id: string, address: string) => addresses.found(id, address, `http://${address}:8080`);
  assertEquals([found("old", "10.9.0.2"), found("old", "10.9.0.2"), found("far", "192.168.7.7")], [true, false, true]);
  found("gone", "10.9.0.5");
  addresses.free("gone"); // before the network was known
  assertEquals(await take("a"), "10.9.0.3");
  found("late", "10.9.0.5");
  assertEquals([await take("b"), await take("c")], ["10.9.0.6", "10.9.0.4"]);
  await assertRejects(() => take("d"), RangeError);
});

netTest("a network that was made again elsewhere has addresses of its own, and where it was they go on", async () => {
  const { addresses, network, take } = newAddresses(["10.9.0.0/24", "10.9.0.0/24", "10.7.0.0/24"]);
  assertEquals(await take("a"), "10.9.0.2");
  network.lost();
  assertEquals(await take("b"), "10.9.0.3");
  network.lost();
  assertEquals(await take("c"), "10.7.0.2");
  addresses.free("a");
  assertEquals(await take("d"), "10.7.0.3");
});

/** A range of free ports. */
function freeRange(size: number): { first: number; last: number } {
  const first = freePorts(size);
  return { first, last: first + size - 1 };
}

/** A test that listens on ports of this machine. */
function portTest(name: string, fn: () => void): void {
  Deno.test({ name, ignore: noNet, fn });
}

portTest("ports are handed out in sequence", () => {
  const { first, last } = freeRange(3);
  const ports = new HostPorts(first, last);
  assertEquals([ports.take(), ports.take()], [first, first + 1]);
  ports.free(first);
  assertEquals([ports.take(), ports.take()], [last, first]);
});

portTest("a port that another program uses is skipped until it is free", () => {
  const { first, last } = freeRange(2);
  const ports = new HostPorts(first, last);
  {
    using _other = Deno.listen({ hostname: "127.0.0.1", port: first });
    assertEquals(ports.take(), last);
  }
  assertEquals(ports.take(), first);
});

portTest("a port that a container has already is not handed out", () => {
  const { first, last } = freeRange(3);
  const ports = new HostPorts(first, last);
  ports.occupy(first + 1);
  ports.occupy(last + 1);
  assertEquals([ports.take(), ports.take()], [last, first]);
});

portTest("if every port is in use, by containers or other programs, the error says what to do", () => {
  const { first, last } = freeRange(3);
  const ports = new HostPorts(first, last);
  ports.occupy(first);
  const message = "every port of the range is in use; give cless another one with --port-range";
  const others = [first + 1, last].map((port) => Deno.listen({ hostname: "127.0.0.1", port }));
  try {
    for (let n = 0; n < 3; n++) assertThrows(() => ports.take(), RangeError, message);
  } finally {
    for (const other of others) other.close();
  }
  assertEquals([ports.take(), ports.take()].sort(), [first + 1, last]);
  assertThrows(() => ports.take(), RangeError, message);
});

Deno.test("numbers are handed out in sequence, and one that was given back only when its turn comes", () => {
  const sequence = new Sequence(5, 8);
  assertEquals([sequence.take(), sequence.take()], [5, 6]);
  sequence.free(5);
  assertEquals([sequence.take(), sequence.take(), sequence.take()], [7, 8, 5]);
});

Deno.test("where every number is taken, none is handed out until one is given back", () => {
  const sequence = new Sequence(1, 2);
  assertEquals([sequence.take(), sequence.take()], [1, 2]);
  assertThrows(() => sequence.take(), RangeError);
  assertThrows(() => sequence.take(), RangeError);
  sequence.free(2);
  assertEquals(sequence.take(), 2);
});

Deno.test("a number in use is skipped, and the sequence goes on after it", () => {
  const sequence = new Sequence(1, 5);
  sequence.occupy(3);
  assertEquals([sequence.take(), sequence.take(), sequence.take()], [4, 5, 1]);
  sequence.occupy(5);
  sequence.free(3);
  assertEquals([sequence.take(), sequence.take()], [2, 3]);
});

Deno.test("numbers outside of the range do not matter", () => {
  const sequence = new Sequence(1, 2);
  for (const number of [0, 3, -1, NaN]) {
    sequence.occupy(number);
    sequence.free(number);
  }
  assertEquals([sequence.take(), sequence.take()], [1, 2]);
});

/** What a test does to a sequence: takes a number, or frees one of those that it has. */
const steps = fc.array(fc.oneof(fc.constant("take" as const), fc.nat(20)), { maxLength: 100 });

Deno.test("a number that is taken is never handed out, however numbers come and go", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 8 }),
      fc.array(fc.integer({ min: -1, max: 9 })),
      steps,
      (size, used, todo) => {
        const sequence = new Sequence(0, size - 1);
        const taken = new Set(used.filter((number) => number >= 0 && number < size));
        for (const number of used) sequence.occupy(number);
        for (const step of todo) {
          if (step === "take" && taken.size === size) {
            assertThrows(() => sequence.take(), RangeError);
          } else if (step === "take") {
            const number = sequence.take();
            assert(number >= 0 && number < size && !taken.has(number), `${number}`);
            taken.add(number);
          } else {
            const number = [...taken][step % Math.max(1, taken.size)];
            if (number === undefined) continue;
            taken.delete(number);
            sequence.free(number);
          }
        }
      },
    ),
  );
});

Deno.test("a number is given out again only after every other free number", () => {
  fc.assert(fc.property(fc.integer({ min: 2, max: 8 }), steps, (size, todo) => {
    const sequence = new Sequence(0, size - 1);
    const taken = new Set<number>();
    /** For each number: those that have been handed out or were taken since it was handed out itself. */
    const since = new Map<number, Set<number>>();
    for (const step of todo) {
      if (step === "take" && taken.size < size) {
        const number = sequence.take();
        const others = since.get(number);
        if (others !== undefined) assertEquals(others.size, size - 1, `${number} came too early`);
        for (const seen of since.values()) seen.add(number);
        taken.add(number);
        since.set(number, new Set([...taken].filter((other) => other !== number)));
      } else if (step !== "take") {
        const number = [...taken][step % Math.max(1, taken.size)];
        if (number === undefined) continue;
        taken.delete(number);
        sequence.free(number);
      }
    }
  }));
});

Deno.test("a sequence continues where another process was, unless that is outside of its range", () => {
  const sequence = new Sequence(1, 5);
  sequence.take();
  assertEquals(sequence.next, 2);
  sequence.skipTo(4);
  assertEquals([sequence.take(), sequence.take(), sequence.take()], [4, 5, 2]);
  sequence.skipTo(9);
  assertEquals(sequence.next, 3);
});

/** Addresses on a network that has the subnet `10.1.0.0/24`, without an engine. */
function addressesOn(upstream: "direct" | "published", first = 20_000) {
  const subnets = ["10.1.0.0/24"];
  const network = { owner: "a1", name: "cless-a1", ensure: () => Promise.resolve(parseSubnet(subnets[0]!)!) };
  const portRange = { first, last: first + 9 };
  return { subnets, addresses: new Addresses(network as unknown as OwnNetwork, { portRange, upstream }) };
}

Deno.test("a process that takes over gives out addresses from where the one before had got to", async () => {
  const { addresses: before } = addressesOn("direct");
  assertEquals(before.position, { address: undefined, port: 20_000 });
  const origins = [(await before.take("one", 80)).origin, (await before.take("two", 80)).origin];
  assertEquals(origins, ["http://10.1.0.2:80", "http://10.1.0.3:80"]);
  for (const isKnown of [false, true]) {
    const { addresses, subnets } = addressesOn("direct");
    if (isKnown) await addresses.take("zero", 80); // it knows the network already
    addresses.continueFrom(before.position);
    assertEquals(addresses.position, before.position);
    assertEquals((await addresses.take("three", 80)).address, "10.1.0.4");
    subnets[0] = "10.2.0.0/24"; // the network was made anew, and the position is of another one
    assertEquals((await addresses.take("four", 80)).address, "10.2.0.2");
  }
});

Deno.test(
  { name: "a process that takes over gives out ports from where the one before had got to", ignore: noNet },
  async () => {
    const first = freePorts(10);
    const { addresses: before } = addressesOn("published", first);
    for (const id of ["one", "two"]) await before.take(id, 80);
    before.free("one");
    assertEquals(before.position.port, first + 2);
    const { addresses } = addressesOn("published", first);
    addresses.continueFrom(before.position);
    assertEquals((await addresses.take("three", 80)).origin, `http://127.0.0.1:${first + 2}`);
    addresses.continueFrom({ address: undefined, port: 1 }); // it had another range
    assertEquals((await addresses.take("four", 80)).origin, `http://127.0.0.1:${first + 3}`);
  },
);
