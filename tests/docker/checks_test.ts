import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { checkDisk, checkLeftovers, checkReach } from "../../src/docker/checks.ts";
import { DockerError } from "../../src/docker/command.ts";
import { dockerTest } from "../support/fake_docker.ts";

const REACHED = "this machine reaches the containers' own addresses";
const NOT_REACHED = "this machine does not reach the containers' own addresses";

dockerTest("containers are reached where the engine's gateway is an address of this machine", async (docker) => {
  await docker.on("network inspect bridge", 'WARNING: x\n[{"Subnet":"127.0.0.0/8","Gateway":"127.0.0.1"}]\n');
  for (const upstream of ["auto", "direct", "published"] as const) {
    assertEquals(await checkReach(docker.command, upstream), { check: "containers", state: "ok", fact: REACHED });
  }
});

dockerTest("a gateway that is not named is the subnet's first address", async (docker) => {
  await docker.on("network inspect bridge", '[{"Subnet":"127.0.0.0/8"}]\n');
  assertEquals((await checkReach(docker.command, "auto")).fact, REACHED);
});

dockerTest("where containers are not reached, only --upstream direct does not work", async (docker) => {
  const elsewhere = ['[{"Subnet":"203.0.113.0/24","Gateway":"203.0.113.1"}]\n', "null\n", "[]\n", ""];
  await docker.on("network inspect bridge", ...elsewhere.flatMap((output) => [output, output]));
  for (const _ of elsewhere) {
    const fact = `${NOT_REACHED}; ports of 127.0.0.1 are used instead, at about half the speed`;
    assertEquals(await checkReach(docker.command, "auto"), { check: "containers", state: "ok", fact });
    const remedy = "leave out --upstream direct";
    const direct = { check: "containers", state: "failed", fact: NOT_REACHED, remedy } as const;
    assertEquals(await checkReach(docker.command, "direct"), direct);
  }
});

dockerTest("the room on the engine's disk is told", async (docker) => {
  await docker.on("info", "WARNING: x\n/\n");
  const { check, fact, state } = await checkDisk(docker.command);
  assertEquals(check, "disk");
  assertMatch(fact, /^\d+\.\d GiB are free in \/$/);
  assert(["ok", "warning", "failed"].includes(state));
});

dockerTest("a disk that cannot be seen from here is no trouble", async (docker) => {
  await docker.on("info", "/nowhere/docker\n");
  const fact = "/nowhere/docker cannot be seen from here";
  assertEquals(await checkDisk(docker.command), { check: "disk", state: "ok", fact });
});

dockerTest("an engine that does not say where its data is gets a warning", async (docker) => {
  await docker.on("info", "\n");
  assertEquals((await checkDisk(docker.command)).state, "warning");
});

dockerTest("a check whose command fails has not been made", async (docker) => {
  for (const check of [() => checkReach(docker.command, "auto"), () => checkDisk(docker.command)]) {
    await assertRejects(check, DockerError, "the fake has no answer");
  }
});

/** A line of the list of networks. */
function network(owner: string, dataDir: string): string {
  return JSON.stringify({ name: `cless-${owner}`, owner, dataDir }) + "\n";
}

dockerTest("a network is left behind when its data-dir is gone, and only then", async (docker) => {
  await docker.on(
    "network ls",
    "WARNING: x\n" + network("a1", "/gone") + network("b2", "/idle") + network("c3", "/busy"),
  );
  const states: Record<string, boolean | undefined> = { "/gone": undefined, "/idle": false, "/busy": true };
  assertEquals(await checkLeftovers(docker.command, (dataDir) => Promise.resolve(states[dataDir])), [{
    check: "networks",
    state: "warning",
    fact: "cless-a1 was left behind by a cless whose data-dir /gone is gone",
    remedy: "docker ps -aq --filter label=cless.owner=a1 | xargs -r docker rm -f; docker network rm cless-a1",
  }]);
  assertEquals((await docker.calls())[0]!.slice(0, 3), ["network", "ls", "--filter=label=cless.owner"]);
});

dockerTest("a data-dir that cannot be looked at is taken for one in use", async (docker) => {
  await docker.on("network ls", network("a1", "/root"));
  const denied = () => Promise.reject(new Deno.errors.PermissionDenied("no"));
  assertEquals((await checkLeftovers(docker.command, denied)).map(({ state }) => state), ["ok"]);
});

dockerTest("where nothing was left behind, that is said", async (docker) => {
  await docker.on("network ls", "");
  assertEquals(await checkLeftovers(docker.command, () => Promise.resolve(undefined)), [
    { check: "networks", state: "ok", fact: "none was left behind by a dead data-dir" },
  ]);
});
