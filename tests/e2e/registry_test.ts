import { assert, assertEquals, assertRejects } from "@std/assert";
import { DockerCommand } from "../../src/docker/command.ts";
import { CommandApi } from "../../src/docker/command_api.ts";
import { ImageUnavailable } from "../../src/control/deploy_error.ts";
import { ImageSource } from "../../src/docker/images/image_source.ts";
import { Rig, shellImage } from "../support/container_rig.ts";
import { docker } from "../support/docker.ts";
import { hasRegistry, Registry } from "../support/registry.ts";

const command = new DockerCommand("docker");
const source = new ImageSource(new CommandApi(command), command);

/** A test with a registry of its own, where the machine has the program for that. */
function registryTest(name: string, fn: (registry: Registry) => Promise<void>): void {
  if (!hasRegistry) return;
  Deno.test(name, async () => {
    await using registry = await Registry.start();
    await fn(registry);
  });
}

/** Puts an image into the registry, and takes the name away from it on this machine. */
async function push(imageId: string, name: string): Promise<void> {
  await docker("tag", imageId, name);
  await docker("push", "--quiet", name);
  await docker("rmi", name);
}

registryTest("an image is pulled where it is missing, and how that goes on is told", async (registry) => {
  await using image = await shellImage("cless-e2e-pull");
  const name = `${registry.host}/me/app:1`;
  await push(image.id, name);
  await docker("rmi", "--force", image.id);
  await assertRejects(() => source.resolve(name, "never"), ImageUnavailable, "is not on this machine");
  const told: string[] = [];
  const pulled = await source.resolve(name, "missing", { onProgress: ({ status }) => told.push(status) });
  assertEquals([pulled.imageId, pulled.pulled], [image.id, true]);
  assert(pulled.digest?.startsWith(`${registry.host}/me/app@sha256:`), pulled.digest);
  assert(told.includes("Pull complete"), `${told}`);
  const { imageId } = pulled;
  const digest = pulled.digest!;
  assertEquals(await source.resolve(name, "missing"), { imageId, digest, pulled: false });
  assertEquals(await source.resolve(name, "never"), { imageId, digest, pulled: false });
  assertEquals(await source.remove(imageId), true);
  assertEquals(await source.resolve(digest, "missing"), { imageId, digest, pulled: true });
  assertEquals(await source.remove(imageId), true);
});

registryTest("a tag that has moved means other content only where the registry is asked", async (registry) => {
  await using one = await shellImage("cless-e2e-one");
  await using two = await shellImage("cless-e2e-two");
  const name = `${registry.host}/app`;
  await push(one.id, name);
  const first = await source.resolve(name, "always");
  assertEquals(first.imageId, one.id);
  await push(two.id, name);
  await docker("tag", one.id, name);
  for (const policy of ["missing", "never"] as const) {
    assertEquals((await source.resolve(name, policy)).imageId, one.id, policy);
  }
  const second = await source.resolve(name, "always");
  assertEquals([second.imageId, second.pulled], [two.id, true]);
  assert(second.digest !== undefined && second.digest !== first.digest);
  assertEquals((await source.resolve(first.digest!, "missing")).imageId, one.id);
  await docker("rmi", "--force", one.id, two.id);
});

registryTest("what a registry does not have, or not for everybody, is an error that says so", async (registry) => {
  await using closed = await Registry.start({ folder: registry.folder, closed: true });
  await using image = await shellImage("cless-e2e-closed");
  await push(image.id, `${registry.host}/app:1`);
  const failure = async (name: string) => {
    const { reason, message } = await assertRejects(() => source.resolve(name, "missing"), ImageUnavailable);
    return [reason, message.split(" (")[0]];
  };
  assertEquals(await failure(`${registry.host}/app:2`), ["not_found", `there is no image ${registry.host}/app:2`]);
  const [reason, message] = await failure(`${closed.host}/app:1`);
  assertEquals([reason, message?.includes("docker login")], ["denied", true], message);
});

registryTest("an image that somebody has removed is there again at the next start", async (registry) => {
  await using rig = await Rig.start();
  const { id: imageId } = rig.image;
  const name = `${registry.host}/app:1`;
  await push(imageId, name);
  const { digest: imageDigest } = await source.resolve(name, "always");
  await docker("rmi", "--force", imageId);
  const error = await assertRejects(() => rig.run({ command: ["sleep", "600"] }), ImageUnavailable, "build it again");
  assertEquals(error.reason, "not_found");
  const [one, two] = await Promise.all([
    rig.run({ imageDigest: imageDigest!, command: ["sleep", "600"] }),
    rig.run({ imageDigest: imageDigest!, command: ["sleep", "600"] }),
  ]);
  assertEquals((await rig.launcher.list()).map(({ id, imageId }) => [id, imageId]).sort(), [
    [one, imageId],
    [two, imageId],
  ]);
  await Promise.all([rig.launcher.remove(one), rig.launcher.remove(two)]);
  assertEquals(await source.remove(imageId), true);
});
