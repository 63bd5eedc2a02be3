import { assertEquals, assertStringIncludes } from "@std/assert";
import { build, docker } from "../support/docker.ts";
import { Program } from "../support/program.ts";
import { hasRegistry, Registry } from "../support/registry.ts";
import { until } from "../support/until.ts";

/** Puts an image that greets so into a registry, and takes it away from this machine. */
async function publish(name: string, greeting: string): Promise<string> {
  await using image = await build(
    `cless-e2e-published-${greeting}`,
    `FROM golang-docker\nLABEL cless-e2e=${crypto.randomUUID()}\nENV GREETING=${greeting}`,
  );
  await docker("tag", image.id, name);
  await docker("push", "--quiet", name);
  await docker("rmi", name);
  return image.id;
}

/** Resolves when an image is not on this machine any more. */
function untilRemoved(id: string): Promise<void> {
  return until(() => docker("image", "inspect", "--format={{.Id}}", id).then(() => false, () => true));
}

Deno.test({
  name:
    "a revision keeps its content when the tag moves, gets it back when it was pruned, and takes it along at its end",
  ignore: !hasRegistry,
}, async () => {
  await using registry = await Registry.start();
  await using program = await Program.start({ logLevel: "info" });
  const name = `${registry.host}/me/app:1`;
  const ask = (method: string, path = "", body?: unknown) => program.send(method, `/v1/services/pulled${path}`, body);
  const deploy = async (more = {}) =>
    (await ask("PUT", "", { image: name, pullPolicy: "always", revisionHistory: 1, ...more })).json;
  const greeting = async () => (await program.get("pulled")).text.split(" ")[0];

  const one = await publish(name, "one");
  assertEquals((await deploy()).latestRevision, "pulled-00001");
  assertEquals((await deploy()).latestRevision, "pulled-00001");
  const two = await publish(name, "two");
  assertEquals(await greeting(), "one");
  assertEquals((await deploy()).latestRevision, "pulled-00002");
  assertEquals(await greeting(), "two");

  await ask("POST", "/sleep");
  await untilGone(program);
  await docker("rmi", "--force", two);
  assertEquals(await greeting(), "two");
  assertEquals((await ask("POST", "/rollback")).status, 200);
  assertEquals(await greeting(), "one");

  const three = await publish(name, "three");
  const failed = await deploy({ port: 9999, startTimeout: "1s" });
  assertEquals(failed.code, "revision_failed");
  assertEquals(await greeting(), "one");
  await ask("PUT", "/traffic", [{ revision: "latest", percent: 100 }]);
  assertEquals(await greeting(), "two");

  await ask("DELETE", "/revisions/pulled-00001");
  await untilRemoved(one);
  await untilRemoved(three); // it was pulled for a revision that did not work
  assertEquals((await ask("DELETE")).status, 204);
  await untilRemoved(two);
  await using local = await build(
    "cless-e2e-unpublished",
    `FROM golang-docker\nLABEL cless-e2e=${crypto.randomUUID()}`,
  );
  assertEquals((await ask("PUT", "", { image: "cless-e2e-unpublished" })).status, 201);
  await ask("POST", "/sleep");
  await untilGone(program);
  await docker("rmi", "--force", local.id);
  assertEquals((await program.get("pulled")).status, 502);
  assertStringIncludes((await ask("POST", "/wake")).json.detail, "no registry has it: build it again, and deploy it");
});

/** Resolves when no container of the service is there. */
function untilGone(program: Program): Promise<void> {
  return until(async () => (await program.containers("pulled")).length === 0);
}
