import { assertEquals } from "@std/assert";
import { OperatorError } from "../../../src/base/errors.ts";
import { ImageUnavailable } from "../../../src/control/deploy_error.ts";
import type { Cluster, ClusterNode } from "../../../src/control/cluster.ts";
import { good, newAdmin } from "../kit.ts";

const NODE: ClusterNode = {
  id: "4qm0sa1hnk3xkcg4kj9s9xyzq",
  name: "one",
  address: "10.0.0.1",
  role: "manager",
  isLeader: true,
  isReady: true,
  availability: "active",
  labels: {},
  engineVersion: "26.1.5",
  memoryBytes: 8 * 2 ** 30,
  cpus: 2,
  cless: { version: "0.1.0", address: "10.0.0.1:1324", instances: 3, memoryBytes: 4096 },
};

function clusterOf(nodes: readonly ClusterNode[], spreadToken = () => Promise.resolve()): Cluster {
  const sendImage: Cluster["sendImage"] = (image, to) => {
    if (image === "none") return Promise.reject(new ImageUnavailable("the image none is not on this machine"));
    return Promise.resolve([{ node: to ?? "all", sent: true, failure: undefined }]);
  };
  return {
    sendImage,
    nodes: () => Promise.resolve(nodes),
    joinToken: () => Promise.resolve("cless-join-x"),
    spreadToken,
  };
}

Deno.test("the nodes are shown with the cless on them, and without one where there is none", async () => {
  const { ask } = await newAdmin({
    cluster: clusterOf([NODE, { ...NODE, name: "two", isLeader: false, isReady: false, cless: undefined }]),
  });
  const shown = {
    ...{ name: "one", id: NODE.id, address: "10.0.0.1", role: "manager", leader: true, state: "ready" },
    ...{ availability: "active", labels: {}, engine: "26.1.5", cpus: 2, memoryBytes: 8589934592 },
  };
  assertEquals(await good(ask("GET", "/v1/nodes")), [
    { ...shown, cless: { version: "0.1.0", address: "10.0.0.1:1324", instances: 3, memoryBytes: 4096 } },
    { ...shown, name: "two", leader: false, state: "down" },
  ]);
});

Deno.test("the token to join is for those only who may do everything", async () => {
  const { ask, tokens } = await newAdmin({ cluster: clusterOf([]) });
  assertEquals(await good(ask("GET", "/v1/nodes/join-token")), { token: "cless-join-x" });
  for (const token of [tokens.read, tokens.deploy]) {
    assertEquals((await ask("GET", "/v1/nodes/join-token", { token })).status, 403);
    assertEquals((await ask("GET", "/v1/nodes", { token })).status, 200);
  }
});

Deno.test("a cless on one machine has no nodes, and says what to do for some", async () => {
  const { ask } = await newAdmin();
  for (const path of ["/v1/nodes", "/v1/nodes/join-token"]) {
    const answer = await ask("GET", path);
    const { code, detail } = await answer.json();
    assertEquals([answer.status, code], [409, "conflict"]);
    assertEquals(detail, "this cless runs services on one machine; start it with --engine swarm for several");
  }
});

Deno.test("while the managers do not answer, the nodes cannot be told", async () => {
  const away = () => Promise.reject(new OperatorError("the managers of the Swarm do not answer"));
  const { ask } = await newAdmin({ cluster: { ...clusterOf([]), nodes: away, joinToken: away } });
  for (const path of ["/v1/nodes", "/v1/nodes/join-token"]) {
    const answer = await ask("GET", path);
    assertEquals([answer.status, (await answer.json()).code], [503, "store_unavailable"]);
  }
});

Deno.test("a new token of the owner is for all machines", async () => {
  let spread = 0;
  const { ask } = await newAdmin({ cluster: clusterOf([], () => Promise.resolve(void spread++)) });
  assertEquals((await ask("POST", "/v1/tokens/rotate")).status, 200);
  assertEquals(spread, 1);
});

Deno.test("an image is sent by its name, to all nodes or to one", async () => {
  const { ask, tokens } = await newAdmin({ cluster: clusterOf([]) });
  const send = (body: unknown, token?: string) =>
    ask("POST", "/v1/nodes/images", { body, ...(token ? { token } : {}) });
  assertEquals(await good(send({ image: "golang-docker" }, tokens.deploy)), [{ node: "all", sent: true }]);
  assertEquals(await good(send({ image: "golang-docker", node: "two" })), [{ node: "two", sent: true }]);
  const refused = async (answer: Promise<Response>) => [(await answer).status, (await (await answer).json()).code];
  assertEquals(await refused(send({ image: "none" })), [422, "image_unavailable"]);
  assertEquals(await refused(send({ node: "two" })), [400, "invalid"]);
  assertEquals(await refused(send({ image: "golang-docker" }, tokens.read)), [403, "forbidden"]);
  const alone = await newAdmin();
  assertEquals(await refused(alone.ask("POST", "/v1/nodes/images", { body: { image: "x" } })), [409, "conflict"]);
});
