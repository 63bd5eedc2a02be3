import { assertEquals, assertRejects } from "@std/assert";
import { DockerError } from "../../../src/docker/command.ts";
import { ImageError } from "../../../src/docker/images/image_error.ts";
import { ImageRecovery, isImageGone } from "../../../src/docker/images/image_recovery.ts";
import { ImageSource } from "../../../src/docker/images/image_source.ts";
import { dockerTest, type FakeDocker } from "../../support/fake_docker.ts";

const HEX = "0123456789abcdef".repeat(4);
const ID = `sha256:${HEX}`;
const DIGEST = `me/app@sha256:${HEX.replace("0", "f")}`;
const WANTED = { name: "app-00003", image: "me/app:1", imageId: ID, imageDigest: DIGEST, startTimeout: 30_000 };
const GONE = "the image me/app:1 of app-00003 (sha256:0123456789ab) is not on this machine any more";

/** An engine that has not the image, and after that has one. */
async function newRecovery(docker: FakeDocker, imageId = ID): Promise<ImageRecovery> {
  const missing = { stdout: "\n", stderr: `Error response from daemon: No such image: ${DIGEST}\n`, code: 1 };
  await docker.on("image inspect", missing, `${JSON.stringify({ id: imageId, digests: [DIGEST] })}\n`);
  await docker.on("image pull", `Digest: ${DIGEST.split("@")[1]}\n`);
  return new ImageRecovery(new ImageSource(docker.command));
}

/** What is said of an image that cannot be had again. */
async function failure(recovery: ImageRecovery, wanted: Parameters<ImageRecovery["restore"]>[0] = WANTED) {
  const { reason, message } = await assertRejects(() => recovery.restore(wanted), ImageError);
  return [reason, message];
}

Deno.test("an engine that misses an image is told from one that refuses for another reason", () => {
  assertEquals(isImageGone(new DockerError(`No such image: ${ID}`)), true);
  assertEquals(isImageGone(new DockerError(`Error: ${ID}: image not known`)), true);
  assertEquals(isImageGone(new DockerError(`exec: "no such image": executable file not found in $PATH`)), false);
  assertEquals(isImageGone(new DockerError("network cless-a1 not found")), false);
});

dockerTest("an image is pulled again by its digest", async (docker) => {
  const recovery = await newRecovery(docker);
  await recovery.restore(WANTED);
  assertEquals(await docker.calls("image pull"), [["image", "pull", DIGEST]]);
});

dockerTest("an image that no registry has is to be built again", async (docker) => {
  const recovery = await newRecovery(docker);
  const { imageDigest: _, ...local } = WANTED;
  assertEquals(await failure(recovery, local), [
    "not_found",
    `${GONE}, and no registry has it: build it again, and deploy it`,
  ]);
  assertEquals(await docker.calls(), []);
});

dockerTest("a registry that has other content by now is no help", async (docker) => {
  const recovery = await newRecovery(docker, `sha256:${HEX.replace("0", "e")}`);
  assertEquals(await failure(recovery), [
    "not_found",
    `${GONE}: the registry has something else for ${DIGEST}: deploy it again`,
  ]);
});

dockerTest("a pull that fails says why, and the next start tries again", async (docker) => {
  const recovery = await newRecovery(docker);
  const missing = { stderr: `Error response from daemon: No such image: ${DIGEST}\n`, code: 1 };
  await docker.on("image inspect", missing, missing, `${JSON.stringify({ id: ID, digests: [DIGEST] })}\n`);
  await docker.on("image pull", { stderr: "Error response from daemon: manifest unknown\n", code: 1 }, "");
  assertEquals(await failure(recovery), ["not_found", `${GONE}: there is no image ${DIGEST} (manifest unknown)`]);
  await recovery.restore(WANTED);
  assertEquals((await docker.calls("image pull")).length, 2);
});

dockerTest("all who need an image share one pull, which goes on when a start is given up", async (docker) => {
  const recovery = await newRecovery(docker);
  const gate = await docker.gate();
  await docker.on("image pull", { gate });
  const patient = recovery.restore({ ...WANTED, startTimeout: Infinity });
  await gate.reached();
  assertEquals(await failure(recovery, { ...WANTED, startTimeout: 1 }), [
    "timeout",
    `${GONE}: it is still being pulled; try again`,
  ]);
  const late = recovery.restore({ ...WANTED, name: "app-00004" });
  await gate.open();
  await Promise.all([patient, late]);
  assertEquals((await docker.calls("image pull")).length, 1);
});
