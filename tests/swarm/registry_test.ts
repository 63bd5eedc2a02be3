import { assert, assertEquals, assertMatch } from "@std/assert";
import { hasRegistry, Registry } from "../support/registry.ts";
import { until } from "../support/until.ts";
import { Cluster } from "./cluster.ts";
import { noNodes } from "./no_nodes.ts";
import type { Node } from "./nodes.ts";

/** The user `ann` with the password `password`. */
const PASSWORDS = "ann:$2b$05$abcdefghijklmnopqrstuuWG29KuyeAicPCJODk1zjyGvyQUU2awu\n";

async function logIn(node: Node, host: string): Promise<void> {
  await node.exec("docker", "login", "--username", "ann", "--password", "password", host);
}

/** Makes an image that no other node has, and pushes it. Its node has it by its digest then. */
async function push(node: Node, image: string): Promise<void> {
  const script =
    'printf "FROM golang-docker\\nLABEL image=$1" | DOCKER_BUILDKIT=0 docker build -q -t "$1" - && docker push -q "$1"';
  await node.exec("sh", "-c", script, "sh", image);
}

Deno.test({ name: "images of registries run on several machines", ignore: noNodes || !hasRegistry }, async (t) => {
  await using cluster = await Cluster.start({ count: 2, images: [] });
  const [one, two] = cluster.nodes.all as [Node, Node];
  const hostname = one.machine;
  await using open = await Registry.start({ hostname });
  await using closed = await Registry.start({ hostname, closed: PASSWORDS });
  await one.load("golang-docker");

  const deploy = async (service: string, image: string, template: object, number = 1) => {
    const { status, text } = await cluster.cless(number).send("PUT", `/v1/services/${service}`, { image, ...template });
    assertEquals(status, 201, text);
    const [{ address }] = await instancesOf(service, number);
    return new URL(`http://${address}`).hostname;
  };
  const instancesOf = async (service: string, number = 1) =>
    (await cluster.cless(number).api("/v1/instances")).filter((instance: { service: string }) =>
      instance.service === service
    );
  const untilKnown = (service: string) =>
    until(async () => (await cluster.cless(2).send("GET", `/v1/services/${service}`)).status === 200);
  /** Ends all instances of a service, and removes its image from a node. */
  const forget = async (service: string, node: Node) => {
    assertEquals((await cluster.cless(1).send("POST", `/v1/services/${service}/sleep`)).status, 204);
    const listed = ["ps", "--all", "--quiet", "--filter", `label=cless.service=${service}`];
    await until(async () => (await node.docker(...listed)) === "");
    const [{ imageId }] = await cluster.cless(1).api(`/v1/services/${service}/revisions`);
    await node.docker("image", "rm", "--force", imageId);
  };

  await t.step("a machine that has never had an image pulls it by its digest", async () => {
    const image = `${open.host}/shop`;
    await push(one, image);
    assertEquals(await deploy("shop", image, { placement: { node: "node-2" } }), two.address);
    const [{ imageDigest }] = await cluster.cless(1).api("/v1/services/shop/revisions");
    assertMatch(imageDigest, new RegExp(`^${image}@sha256:[0-9a-f]{64}$`));
    await untilKnown("shop");
    for (const number of [1, 2]) assertEquals((await cluster.cless(number).get("shop")).status, 200);
  });

  const image = `${closed.host}/locked`;
  await logIn(one, closed.host);
  await push(one, image);
  await one.exec("docker", "logout", closed.host);

  await t.step("without a login, an instance runs where its image is", async () => {
    // Swarm takes the machine with the fewest instances, and shop has one on the other.
    await deploy("first", `${open.host}/shop`, { placement: { node: "node-1" }, minInstances: 1 });
    await deploy("second", `${open.host}/shop`, { placement: { node: "node-1" }, minInstances: 1 });
    assertEquals(await deploy("bound", image, {}), one.address);
    const { instance } = await cluster.cless(1).logged("a node cannot pull an image; starting where it is");
    assertMatch(String(instance), /-bound-/);
    const refused = await cluster.cless(1).send("PUT", "/v1/services/refused", {
      ...{ image, placement: { node: "node-2" } },
    });
    assertMatch(refused.text, /no machine that may run it has the image .*docker login/);
  });

  await t.step("with a login on the machine whose cless starts an instance, another one pulls it", async () => {
    await logIn(one, closed.host);
    assertEquals(await deploy("locked", image, { placement: { node: "node-2" } }), two.address);
    await untilKnown("locked");
    assertEquals((await cluster.cless(2).get("locked")).status, 200);
    await forget("locked", two);
    assert((await cluster.cless(2).get("locked")).status >= 500); // it has no login
    assertEquals((await cluster.cless(1).get("locked")).status, 200);
  });

  await t.step("a worker hands its login on by a manager", async () => {
    await one.exec("docker", "logout", closed.host);
    await logIn(two, closed.host);
    const other = `${closed.host}/other`;
    await two.load("golang-docker");
    await push(two, other);
    assertEquals(await deploy("other", other, { placement: { node: "node-1" } }, 2), one.address);
  });
});
