import { assertEquals, assertStringIncludes } from "@std/assert";
import { apiTest } from "./fake_api.ts";

const NODE = {
  ...{ name: "one", id: "4qm0sa1hnk3xkcg4kj9s9xyzq", address: "10.0.0.1", role: "manager", leader: true },
  ...{ state: "ready", availability: "active", engine: "26.1.5", cpus: 2, memoryBytes: 8 * 2 ** 30 },
};
const NODES = [
  { ...NODE, cless: { version: "0.1.0", address: "10.0.0.1:1324", instances: 3, memoryBytes: 50 * 2 ** 20 } },
  {
    ...{ ...NODE, name: "two", address: "10.0.0.2", role: "worker", leader: false, availability: "drain" },
    cless: { version: "0.2.0", address: "10.0.0.2:1324" },
  },
  { ...NODE, name: "three", address: "10.0.0.3", leader: false, state: "down" },
];

apiTest("nodes are a table, JSON, or names", { "GET /v1/nodes": NODES }, async (api) => {
  assertEquals((await api.run("nodes")).out.split("\n"), [
    "NAME   ADDRESS   ROLE     STATE    CLESS  INSTANCES  MEMORY",
    "one    10.0.0.1  leader   ready    0.1.0  3          50.0 MiB of 8.0 GiB",
    "two    10.0.0.2  worker   drained  0.2.0  -          - of 8.0 GiB",
    "three  10.0.0.3  manager  down     -      -          - of 8.0 GiB",
  ]);
  assertEquals(JSON.parse((await api.run("nodes", "--json")).out), NODES);
  assertEquals((await api.run("nodes", "-q")).out, "one\ntwo\nthree");
});

apiTest("the token to join is the only line, so that it can be sent on", {
  "GET /v1/nodes/join-token": { token: "cless-join-x" },
}, async (api) => {
  assertEquals(await api.run("nodes", "--join-token"), { code: 0, out: "cless-join-x", err: "" });
  assertEquals(JSON.parse((await api.run("nodes", "--join-token", "--json")).out), { token: "cless-join-x" });
});

apiTest("without a Swarm nodes says what to do", {
  "GET /v1/nodes": Response.json(
    { status: 409, code: "conflict", detail: "this cless runs services on one machine" },
    { status: 409 },
  ),
}, async (api) => {
  const { code, err } = await api.run("nodes");
  assertEquals(code, 1);
  assertStringIncludes(err, "cless: this cless runs services on one machine");
});

apiTest("an image is sent to all nodes, and each that does not have it then is an error", {
  "POST /v1/nodes/images": [
    { node: "two", sent: true },
    { node: "three", sent: false },
    { node: "four", sent: false, failure: "no space left on device" },
  ],
}, async (api) => {
  const { code, err, out } = await api.run("image", "send", "golang-docker");
  assertEquals(out.split("\n"), ["two has it now", "three had it already"]);
  assertEquals([code, err], [1, "cless: four: no space left on device"]);
  assertEquals(api.sent("POST /v1/nodes/images"), { image: "golang-docker" });
  await api.run("image", "send", "golang-docker", "--node", "two", "--json");
  assertEquals(api.sent("POST /v1/nodes/images"), { image: "golang-docker", node: "two" });
  assertStringIncludes((await api.run("image", "get", "x")).err, 'cless: image cannot "get"; it can send');
});

apiTest("where no other machine has a cless, sending an image says so", {
  "POST /v1/nodes/images": [],
}, async (api) => {
  assertEquals((await api.run("image", "send", "x")).err, "cless runs on no other machine now");
});
