import { assert, assertEquals, assertRejects } from "@std/assert";
import { CommandApi } from "../../../src/docker/command_api.ts";
import { EngineError } from "../../../src/docker/engine_error.ts";
import { OwnNetwork } from "../../../src/docker/network/network.ts";
import { overlap, parseSubnet, type Subnet } from "../../../src/docker/network/subnet.ts";
import { OperatorError } from "../../../src/base/errors.ts";
import { type Answer, dockerTest, type FakeDocker } from "../../support/fake_docker.ts";

const ID = "0123456789abcdef".repeat(4);
const OVERLAPS: Answer = {
  stderr: "Error response from daemon: Pool overlaps with other one on this address space\n",
  code: 1,
};

function own(docker: FakeDocker): OwnNetwork {
  return new OwnNetwork(new CommandApi(docker.command), { owner: "a1b2c3d4", path: "/var/lib/my cless" });
}

/** Has the engine list networks: names, each with its subnets. */
async function networks(docker: FakeDocker, ...lists: Record<string, string[]>[]): Promise<void> {
  await docker.on("network ls", `WARNING: x\n${ID}\n${ID.replaceAll("0", "f")}\n`);
  const lines = lists.map((list) =>
    Object.entries(list).map(([Name, subnets]) =>
      JSON.stringify({ Name, IPAM: { Config: subnets.map((Subnet) => ({ Subnet })) } }) + "\n"
    ).join("")
  );
  await docker.on("network inspect", ...lines.map((text) => `WARNING: x\n${text}`));
}

/** The subnets that the engine was asked to make, one for each call. */
async function asked(docker: FakeDocker): Promise<Subnet[]> {
  const calls = await docker.calls("network create");
  return calls.map((args) => parseSubnet(args.find((arg) => arg.startsWith("--subnet="))!.slice(9))!);
}

dockerTest("a missing network is made, closed to other containers and marked as this cless's", async (docker) => {
  await docker.on("network ls", "");
  await docker.on("network create", ID);
  const { base, bits } = await own(docker).ensure();
  const [args] = await docker.calls("network create");
  const [subnet, gateway] = args!.splice(3, 2).map((arg) => arg.split("=")[1]!);
  assertEquals(args, [
    "network",
    "create",
    "--driver=bridge",
    "--opt=com.docker.network.bridge.enable_icc=false",
    "--label=cless.owner=a1b2c3d4",
    "--label=cless.data-dir=/var/lib/my cless",
    "cless-a1b2c3d4",
  ]);
  assertEquals([parseSubnet(subnet!)!.base, bits], [base, 20]);
  assertEquals(parseSubnet(`${gateway}/32`)!.base, base + 1);
});

dockerTest("a network that is there already is used", async (docker) => {
  await networks(docker, { bridge: ["172.17.0.0/16"], "cless-a1b2c3d4": ["fd00::/64", "10.9.0.0/24"] });
  assertEquals(await own(docker).ensure(), parseSubnet("10.9.0.0/24")!);
  assertEquals(await docker.calls("network create"), []);
});

dockerTest("subnets of other networks are left alone", async (docker) => {
  const used = ["172.16.0.0/12", "10.255.255.0/24", "fd00::/8", "10.128.0.0/9", "10.127.240.0/20", "garbage"];
  await networks(docker, { a: used.slice(0, 3), b: used.slice(3), none: [] });
  await docker.on("network create", ID);
  const subnet = await own(docker).ensure();
  for (const text of used) assert(!overlap(parseSubnet(text) ?? { base: 0, bits: 32 }, subnet), text);
});

dockerTest("a network without settings does not get in the way", async (docker) => {
  await docker.on("network ls", `${ID}\n`);
  await docker.on("network inspect", '{"Name":"host","IPAM":{"Config":null}}\n{"Name":"none"}\n');
  await docker.on("network create", ID);
  await own(docker).ensure();
});

dockerTest("a subnet that the engine refuses since it overlaps is followed by the next one", async (docker) => {
  await docker.on("network ls", "");
  await docker.on("network create", OVERLAPS, OVERLAPS, ID);
  const made = await own(docker).ensure();
  const subnets = await asked(docker);
  assertEquals(subnets.length, 3);
  assertEquals(new Set(subnets.map(({ base }) => base)).size, 3);
  assertEquals(subnets.at(-1), made);
});

dockerTest("an engine that refuses one subnet after the other is not asked for ever", async (docker) => {
  await docker.on("network ls", "");
  await docker.on("network create", OVERLAPS);
  await assertRejects(() => own(docker).ensure(), EngineError, "Pool overlaps");
  assertEquals((await asked(docker)).length, 16);
});

dockerTest("if every private subnet is taken, the error says so", async (docker) => {
  await networks(docker, { all: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"] });
  await assertRejects(() => own(docker).ensure(), EngineError, "there is no free private subnet");
  assertEquals(await asked(docker), []);
});

dockerTest("an engine that refuses for another reason is not asked for another subnet", async (docker) => {
  await docker.on("network ls", "");
  await docker.on("network create", { stderr: "Error response from daemon: read-only file system\n", code: 1 }, ID);
  const network = own(docker);
  await assertRejects(() => network.ensure(), EngineError, "read-only file system");
  assertEquals((await asked(docker)).length, 1);
  await network.ensure(); // whoever comes next tries again
});

dockerTest("a network of cless's name without an IPv4 subnet is an error that says to remove it", async (docker) => {
  await networks(docker, { "cless-a1b2c3d4": ["fd00::/64"] });
  const message = "the network cless-a1b2c3d4 has no IPv4 subnet; remove it";
  await assertRejects(() => own(docker).ensure(), EngineError, message);
});

dockerTest("calls at the same time make the network once", async (docker) => {
  await docker.on("network ls", "");
  await docker.on("network create", ID);
  const network = own(docker);
  await Promise.all([network.ensure(), network.ensure(), network.ensure()]);
  await network.ensure();
  assertEquals((await docker.calls()).length, 2);
});

dockerTest("a network that somebody has removed is made again where it was", async (docker) => {
  await docker.on("network ls", "");
  await docker.on("network create", ID);
  const network = own(docker);
  const { base } = await network.ensure();
  network.lost();
  assertEquals((await network.ensure()).base, base);
  assertEquals((await asked(docker)).length, 2);
});

dockerTest("a network that is being made again is not made twice when its loss is reported late", async (docker) => {
  const gate = await docker.gate();
  await docker.on("network ls", "");
  await docker.on("network create", ID, { gate, stdout: ID });
  const network = own(docker);
  await network.ensure();
  network.lost();
  const again = network.ensure();
  await gate.reached();
  network.lost();
  const third = network.ensure();
  await gate.open();
  assertEquals(await again, await third);
  assertEquals((await asked(docker)).length, 2);
});

dockerTest("a network is removed by its name, and it does not matter if that fails", async (docker) => {
  const refusals = ["network cless-a1b2c3d4 not found", "error while removing network: it has active endpoints"];
  await docker.on("network rm", "", ...refusals.map((stderr) => ({ stderr, code: 1 })));
  for (let n = 0; n < 3; n++) await own(docker).remove();
  assertEquals(await docker.calls(), Array(3).fill(["network", "rm", "cless-a1b2c3d4"]));
});

dockerTest("a network that is still being made is removed once it is there", async (docker) => {
  const gate = await docker.gate();
  await docker.on("network ls", "");
  await docker.on("network create", { gate, stdout: ID });
  await docker.on("network rm", "");
  const network = own(docker);
  const made = network.ensure();
  const removed = network.remove();
  await gate.open();
  await Promise.all([made, removed]);
  assertEquals((await docker.calls()).map((args) => args[1]), ["ls", "create", "rm"]);
});

dockerTest("a network that a running cless has with a copy of the data-dir is refused", async (docker) => {
  const network = (dataDir: string) =>
    JSON.stringify({
      Name: "cless-a1b2c3d4",
      Labels: { "cless.data-dir": dataDir },
      IPAM: { Config: [{ Subnet: "172.20.0.0/20" }] },
    }) + "\n";
  const paths = ["/var/lib/my cless", "/moved/away", "/running"];
  await docker.on("network ls", `${ID}\n`);
  await docker.on("network inspect", ...paths.map(network));
  const isInUse = (path: string) => Promise.resolve(path === "/moved/away" ? undefined : true);
  const own = new OwnNetwork(new CommandApi(docker.command), { owner: "a1b2c3d4", path: paths[0]! }, isInUse);
  for (const _ of ["its own", "of one that has ended"]) {
    await own.ensure();
    own.lost();
  }
  const { message } = await assertRejects(() => own.ensure(), OperatorError);
  assertEquals(
    message,
    "/var/lib/my cless is a copy of the data-dir /running, which another cless uses; stop that one, or remove " +
      "/var/lib/my cless/owner, so that the two are told apart",
  );
});
