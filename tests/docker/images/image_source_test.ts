import { assert, assertEquals, assertRejects } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { ImageUnavailable } from "../../../src/control/deploy_error.ts";
import { CommandApi } from "../../../src/docker/command_api.ts";
import type { EngineApi } from "../../../src/docker/engine_api.ts";
import { EngineError } from "../../../src/docker/engine_error.ts";
import { ImageSource } from "../../../src/docker/images/image_source.ts";
import type { PullProgress } from "../../../src/deploy/pulled_images.ts";
import { type Answer, dockerTest, type FakeDocker } from "../../support/fake_docker.ts";

const HEX = "0123456789abcdef".repeat(4);
const ID = `sha256:${HEX}`;
const NEWER = `sha256:${HEX.replace("0", "f")}`;
const OTHER = `sha256:${HEX.replace("0", "e")}`;

function newSource(docker: FakeDocker): ImageSource {
  return new ImageSource(new CommandApi(docker.command), docker.command);
}

/** The answer of `docker image inspect`. */
function inspected(id: string, ...digests: string[]): string {
  return `${JSON.stringify({ Id: id, RepoDigests: digests })}\n`;
}

const MISSING: Answer = { stdout: "\n", stderr: "Error response from daemon: No such image: app:1\n", code: 1 };

/** What `docker pull` of 26.1 writes into a pipe. */
function pulled(digest: string): string {
  return [
    "1: Pulling from me/app",
    "31e352740f53: Pulling fs layer",
    "c3a1f6fcb5a1: Pulling fs layer",
    "c3a1f6fcb5a1: Waiting",
    "31e352740f53: Verifying Checksum",
    "31e352740f53: Download complete",
    "31e352740f53: Pull complete",
    "c3a1f6fcb5a1: Already exists",
    `Digest: ${digest}`,
    "Status: Downloaded newer image for app:1",
    "docker.io/library/app:1",
    "",
  ].join("\n");
}

dockerTest("an image that is here is found without a registry", async (docker) => {
  await docker.on("image inspect", "WARNING: x\n" + inspected(ID));
  const source = newSource(docker);
  for (const policy of ["never", "missing"] as const) {
    assertEquals(await source.resolve("app:1", policy), { imageId: ID, pulled: false });
  }
  assertEquals(await docker.calls("image pull"), []);
  assertEquals((await docker.calls()).map((args) => args.at(-1)), ["app:1", "app:1"]);
});

dockerTest("the engine is asked for local images, and the command pulls", async (docker) => {
  const asked: string[] = [];
  let found = false;
  const api: Pick<EngineApi, "image" | "removeImage"> = {
    image(reference) {
      asked.push(reference);
      if (!found) return Promise.reject(new EngineError("no_such_image", `No such image: ${reference}`));
      return Promise.resolve({ id: ID, digests: [`app@${NEWER}`], exposedPorts: [], hasHealthCheck: false, user: "" });
    },
    removeImage: () => Promise.reject(new EngineError("refused", "no")),
  };
  await docker.on("image pull", pulled(NEWER));
  const source = new ImageSource(api, docker.command);
  await assertRejects(() => source.resolve("app:1", "never"), ImageUnavailable, "is not on this machine");
  const resolving = source.resolve("app:1", "always");
  found = true;
  assertEquals(await resolving, { imageId: ID, digest: `app@${NEWER}`, pulled: true });
  assertEquals([asked, await docker.calls()], [["app:1", "app:1"], [["image", "pull", "app:1"]]]);
});

dockerTest("a deploy that is broken off does not wait for the engine", async (docker) => {
  const gate = await docker.gate();
  await docker.on("image inspect", { gate });
  const ending = new AbortController();
  const resolving = newSource(docker).resolve("app:1", "missing", { signal: ending.signal });
  await gate.reached();
  ending.abort(new Error("broken off"));
  await assertRejects(() => resolving, Error, "broken off");
});

dockerTest("an image that is not here is pulled with missing, and not found with never", async (docker) => {
  await docker.on("image inspect", MISSING, MISSING, inspected(ID, `app@${NEWER}`));
  await docker.on("image pull", pulled(NEWER));
  const source = newSource(docker);
  const error = await assertRejects(() => source.resolve("app:1", "never"), ImageUnavailable);
  assertEquals([error.reason, error.message], ["not_found", "the image app:1 is not on this machine"]);
  assertEquals(await source.resolve("app:1", "missing"), { imageId: ID, digest: `app@${NEWER}`, pulled: true });
  assertEquals(await docker.calls("image pull"), [["image", "pull", "app:1"]]);
});

dockerTest("an image that no registry has is taken from another machine, but only with missing", async (docker) => {
  await docker.on("image inspect", MISSING);
  await docker.on("image pull", { stderr: "Error response from daemon: manifest for app:1 not found\n", code: 1 });
  const asked: string[] = [];
  const others = {
    find(reference: string) {
      asked.push(reference);
      return Promise.resolve(reference === "app:1" ? { imageId: OTHER } : undefined);
    },
  };
  const source = new ImageSource(new CommandApi(docker.command), docker.command, systemClock, others);
  assertEquals(await source.resolve("app:1", "missing"), { imageId: OTHER, pulled: false });
  const error = await assertRejects(() => source.resolve("app:2", "missing"), ImageUnavailable);
  assertEquals(error.reason, "not_found");
  for (const policy of ["always", "never"] as const) {
    await assertRejects(() => source.resolve("app:1", policy), ImageUnavailable);
  }
  await assertRejects(() => source.resolve(ID, "missing"), ImageUnavailable, "is not on this machine");
  assertEquals(asked, ["app:1", "app:2", ID]);
});

dockerTest("with always the registry is asked though the image is here", async (docker) => {
  await docker.on("image inspect", inspected(NEWER, `app@${NEWER}`));
  const same = { stdout: `Digest: ${NEWER}\nStatus: Image is up to date for app:1\n` };
  await docker.on("image pull", pulled(NEWER), same, { stderr: "Error response from daemon: no luck\n", code: 1 });
  const source = newSource(docker);
  assertEquals(await source.resolve("app:1", "always"), { imageId: NEWER, digest: `app@${NEWER}`, pulled: true });
  assertEquals(await source.resolve("app:1", "always"), { imageId: NEWER, digest: `app@${NEWER}`, pulled: false });
  const error = await assertRejects(() => source.resolve("app:1", "always"), ImageUnavailable);
  assertEquals([error.reason, error.message], ["engine", "cannot pull app:1: no luck"]);
});

dockerTest("an id is looked for on this machine only, whatever the policy", async (docker) => {
  await docker.on("image inspect", inspected(ID, `app@${NEWER}`), MISSING);
  const source = newSource(docker);
  assertEquals(await source.resolve(ID, "always"), { imageId: ID, digest: `app@${NEWER}`, pulled: false });
  for (const policy of ["always", "missing", "never"] as const) {
    assertEquals((await assertRejects(() => source.resolve(HEX, policy), ImageUnavailable)).reason, "not_found");
  }
  assertEquals(await docker.calls("image pull"), []);
});

dockerTest("an invalid name of an image reaches no command", async (docker) => {
  const source = newSource(docker);
  for (const text of ["--privileged", "", "a b", "App", "a:b:c"]) {
    const error = await assertRejects(() => source.resolve(text, "missing"), ImageUnavailable);
    assertEquals([error.reason, error.message], [
      "invalid_reference",
      `${JSON.stringify(text)} is not a valid name of an image`,
    ]);
  }
  assertEquals(await docker.calls(), []);
});

dockerTest("the digest is the one of the name's own registry, and of the pull", async (docker) => {
  const source = newSource(docker);
  const digests = [`ghcr.io/me/app@${OTHER}`, `me/app@${OTHER}`, `me/app@${NEWER}`];
  await docker.on("image inspect", inspected(ID, ...digests));
  await docker.on("image pull", pulled(NEWER));
  const digestOf = async (...args: Parameters<ImageSource["resolve"]>) => (await source.resolve(...args)).digest;
  assertEquals(await digestOf("docker.io/me/app:1", "always"), `me/app@${NEWER}`);
  assertEquals(await digestOf("me/app:1", "missing"), `me/app@${OTHER}`);
  assertEquals(await digestOf(`me/app@${NEWER}`, "missing"), `me/app@${NEWER}`);
  assertEquals(await digestOf("ghcr.io/me/app", "always"), `ghcr.io/me/app@${OTHER}`);
  assertEquals(await digestOf("quay.io/me/app", "never"), undefined);
});

dockerTest("the content of a digest is pulled only if it is not on this machine", async (docker) => {
  const source = newSource(docker);
  await docker.on("image inspect", inspected(ID, `app@${NEWER}`), MISSING, inspected(ID, `app@${NEWER}`));
  await docker.on("image pull", pulled(NEWER));
  const digest = `app@${NEWER}`;
  assertEquals(await source.resolve(digest, "missing"), { imageId: ID, digest, pulled: false });
  assertEquals(await source.resolve(digest, "missing"), { imageId: ID, digest, pulled: true });
  assertEquals(await docker.calls("image pull"), [["image", "pull", digest]]);
});

dockerTest("a pull reports its progress, layer by layer", async (docker) => {
  const gate = await docker.gate();
  await docker.on("image inspect", MISSING, inspected(ID));
  await docker.on("image pull", { script: "echo '1: Pulling from me/app'", gate, stdout: pulled(NEWER).slice(23) });
  const told: PullProgress[] = [];
  const first = Promise.withResolvers<void>();
  const resolved = newSource(docker).resolve("me/app:1", "missing", {
    onProgress: (progress) => {
      told.push(progress);
      if (told.length === 2) first.resolve();
    },
  });
  await first.promise;
  assertEquals(told, [
    { status: "Asking the registry", done: 0, total: 0 },
    { status: "1: Pulling from me/app", done: 0, total: 0 },
  ]);
  await gate.open();
  await resolved;
  assertEquals(told.slice(2), [
    { layer: "31e352740f53", status: "Pulling fs layer", done: 0, total: 1 },
    { layer: "c3a1f6fcb5a1", status: "Pulling fs layer", done: 0, total: 2 },
    { layer: "c3a1f6fcb5a1", status: "Waiting", done: 0, total: 2 },
    { layer: "31e352740f53", status: "Verifying Checksum", done: 0, total: 2 },
    { layer: "31e352740f53", status: "Download complete", done: 0, total: 2 },
    { layer: "31e352740f53", status: "Pull complete", done: 1, total: 2 },
    { layer: "c3a1f6fcb5a1", status: "Already exists", done: 2, total: 2 },
    { status: `Digest: ${NEWER}`, done: 2, total: 2 },
    { status: "Status: Downloaded newer image for app:1", done: 2, total: 2 },
    { status: "docker.io/library/app:1", done: 2, total: 2 },
  ]);
});

dockerTest("a pull that takes too long is ended, and says so", async (docker) => {
  await docker.on("image pull", { script: "exec sleep 600" });
  const pulling = newSource(docker).resolve("app:1", "always", { timeoutMs: 100 });
  const error = await assertRejects(() => pulling, ImageUnavailable);
  assertEquals([error.reason, error.message], ["timeout", "the pull of app:1 took more than 0.1 s"]);
});

dockerTest("a signal ends a pull with its own reason", async (docker) => {
  const gate = await docker.gate();
  await docker.on("image pull", { gate });
  const controller = new AbortController();
  const source = newSource(docker);
  const pulling = source.resolve("app:1", "always", { signal: controller.signal });
  await gate.reached();
  controller.abort(new RangeError("enough"));
  await assertRejects(() => pulling, RangeError, "enough");
  await assertRejects(() => source.resolve("app:1", "always", { signal: controller.signal }), RangeError, "enough");
  assertEquals((await docker.calls()).length, 1);
});

/** What engines and registries have been seen to say, each with what it means. */
const SAID: Record<string, string[]> = {
  not_found: [
    "manifest for app:1 not found: manifest unknown: manifest unknown",
    "manifest unknown",
    'failed to resolve reference "docker.io/library/app:1": docker.io/library/app:1: not found',
    "no matching manifest for linux/amd64 in the manifest list entries",
  ],
  denied: [
    "pull access denied for app, repository does not exist or may require 'docker login': denied: requested access " +
    "to the resource is denied",
    'Head "https://ghcr.io/v2/me/app/manifests/1": unauthorized',
    'Head "https://ghcr.io/v2/me/app/manifests/1": denied: requested access to the resource is denied',
    'Get "https://r.example/v2/app/manifests/1": no basic auth credentials',
    "unexpected status from HEAD request to https://r.example/v2/app/manifests/1: 403 Forbidden",
    'error getting credentials - err: exec: "docker-credential-x": executable file not found in $PATH, out: ``',
  ],
  limited: ["toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating"],
  unreachable: [
    'Get "https://no.such.host.invalid/v2/": dial tcp: lookup no.such.host.invalid on 1.1.1.1:53: no such host',
    'Get "https://r.example/v2/": dial tcp 10.0.0.1:443: connect: connection refused',
    'Get "https://r.example/v2/": net/http: request canceled while waiting for connection (Client.Timeout exceeded ' +
    "while awaiting headers)",
    'Get "https://r.example/v2/": net/http: TLS handshake timeout',
    'Get "https://r.example/v2/": context deadline exceeded',
    'Get "https://r.example/v2/": x509: certificate signed by unknown authority',
    'Get "https://r.example/v2/": http: server gave HTTP response to HTTPS client',
    'Get "https://r.example/v2/": EOF',
    "received unexpected HTTP status: 503 Service Unavailable",
  ],
  invalid_reference: ["invalid reference format"],
  engine: [
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
    "write /var/lib/docker/tmp/GetImageBlob1: no space left on device",
    "something new",
  ],
};

for (const [reason, texts] of Object.entries(SAID)) {
  dockerTest(`a pull that fails says in one line why: ${reason}`, async (docker) => {
    for (const text of texts) {
      await docker.on("image pull", { stderr: `Error response from daemon: ${text}\n`, code: 1 });
      const error = await assertRejects(() => newSource(docker).resolve("app:1", "always"), ImageUnavailable);
      assertEquals(error.reason, reason, text);
      assert(!error.message.includes("\n") && error.message.includes(text.slice(0, 40).trimEnd()), error.message);
      if (reason === "denied") assert(error.message.includes("docker login"), error.message);
    }
  });
}

dockerTest("the words in an image's name are not taken for the reason of a failure", async (docker) => {
  await docker.on("image pull", {
    stderr: "Error response from daemon: cannot pull unauthorized/timeout:x509\n",
    code: 1,
  });
  const pulling = newSource(docker).resolve("unauthorized/timeout:x509", "always");
  assertEquals((await assertRejects(() => pulling, ImageUnavailable)).reason, "engine");
});

dockerTest("an engine that cannot look for an image does not count as one that lacks it", async (docker) => {
  const busy = { stderr: "Error response from daemon: busy\n", code: 1 };
  await docker.on("image inspect", busy, "nothing of use\n");
  const source = newSource(docker);
  for (const why of ["busy", "the engine does not say what app:1 is"]) {
    const error = await assertRejects(() => source.resolve("app:1", "missing"), ImageUnavailable);
    assertEquals([error.reason, error.message], ["engine", `cannot look for the image app:1: ${why}`]);
  }
  assertEquals(await docker.calls("image pull"), []);
});

dockerTest("an image is removed, unless somebody needs it", async (docker) => {
  const conflict = (why: string): Answer => ({ stderr: `Error response from daemon: conflict: ${why}\n`, code: 1 });
  await docker.on(
    "image rm",
    "Untagged: app:1\n",
    MISSING,
    conflict("unable to delete 0123456789ab (cannot be forced) - image is being used by running container 1a2b"),
    conflict("unable to delete 0123456789ab (must be forced) - image is referenced in multiple repositories"),
    conflict("unable to delete 0123456789ab (cannot be forced) - image has dependent child images"),
    { stderr: "Error response from daemon: busy\n", code: 1 },
  );
  const source = newSource(docker);
  for (const gone of [true, true, false, false, false]) assertEquals(await source.remove(ID), gone);
  const error = await assertRejects(() => source.remove(ID), ImageUnavailable);
  assertEquals([error.reason, error.message], ["engine", `cannot remove the image ${ID}: busy`]);
  assertEquals((await docker.calls())[0], ["image", "rm", ID]);
});

dockerTest(
  "an image goes with the names that it was pulled as, unless they mean another one by now",
  async (docker) => {
    const several = "Error response from daemon: conflict: unable to delete 0123456789ab (must be forced)\n";
    await docker.on("image rm", { stderr: several, code: 1 }, "Untagged: app:1\n", MISSING);
    await docker.on("image inspect", inspected(ID), MISSING, inspected(`sha256:${"f".repeat(64)}`));
    const source = newSource(docker);
    assertEquals(await source.remove(ID, ["app:1", "app:2", "app:3"]), true);
    assertEquals((await docker.calls("image rm")).map((args) => args.at(-1)), [ID, "app:1", ID]);
  },
);

const LOST_DIGEST = `me/app@sha256:${HEX.replace("0", "f")}`;
const WANTED = { name: "app-00003", image: "me/app:1", imageId: ID, imageDigest: LOST_DIGEST, startTimeoutMs: 30_000 };
const GONE = "the image me/app:1 of app-00003 (sha256:0123456789ab) is not on this machine any more";

/** An engine that has not the image, and after that has one. */
async function withoutImage(docker: FakeDocker, imageId = ID): Promise<ImageSource> {
  const missing = { stdout: "\n", stderr: `Error response from daemon: No such image: ${LOST_DIGEST}\n`, code: 1 };
  await docker.on("image inspect", missing, `${JSON.stringify({ Id: imageId, RepoDigests: [LOST_DIGEST] })}\n`);
  await docker.on("image pull", `Digest: ${LOST_DIGEST.split("@")[1]}\n`);
  return newSource(docker);
}

/** What is said of an image that cannot be had again. */
async function failure(source: ImageSource, wanted: Parameters<ImageSource["restore"]>[0] = WANTED) {
  const { reason, message } = await assertRejects(() => source.restore(wanted), ImageUnavailable);
  return [reason, message];
}

dockerTest("an image is pulled again by its digest", async (docker) => {
  const source = await withoutImage(docker);
  await source.restore(WANTED);
  assertEquals(await docker.calls("image pull"), [["image", "pull", LOST_DIGEST]]);
});

dockerTest("an image that no registry has is to be built again", async (docker) => {
  const source = await withoutImage(docker);
  const { imageDigest: _, ...local } = WANTED;
  assertEquals(await failure(source, local), [
    "not_found",
    `${GONE}, and no registry has it: build it again, and deploy it`,
  ]);
  assertEquals(await docker.calls(), []);
});

dockerTest("a registry that has other content by now is no help", async (docker) => {
  const source = await withoutImage(docker, `sha256:${HEX.replace("0", "e")}`);
  assertEquals(await failure(source), [
    "not_found",
    `${GONE}: the registry has something else for ${LOST_DIGEST}: deploy it again`,
  ]);
});

dockerTest("a pull that fails says why, and the next start tries again", async (docker) => {
  const source = await withoutImage(docker);
  const missing = { stderr: `Error response from daemon: No such image: ${LOST_DIGEST}\n`, code: 1 };
  await docker.on("image inspect", missing, missing, `${JSON.stringify({ Id: ID, RepoDigests: [LOST_DIGEST] })}\n`);
  await docker.on("image pull", { stderr: "Error response from daemon: manifest unknown\n", code: 1 }, "");
  assertEquals(await failure(source), ["not_found", `${GONE}: there is no image ${LOST_DIGEST} (manifest unknown)`]);
  await source.restore(WANTED);
  assertEquals((await docker.calls("image pull")).length, 2);
});

dockerTest("all who need an image share one pull, which goes on when a start is given up", async (docker) => {
  const source = await withoutImage(docker);
  const gate = await docker.gate();
  await docker.on("image pull", { gate });
  const patient = source.restore({ ...WANTED, startTimeoutMs: Infinity });
  await gate.reached();
  assertEquals(await failure(source, { ...WANTED, startTimeoutMs: 1 }), [
    "timeout",
    `${GONE}: it is still being pulled; try again`,
  ]);
  const late = source.restore({ ...WANTED, name: "app-00004" });
  await gate.open();
  await Promise.all([patient, late]);
  assertEquals((await docker.calls("image pull")).length, 1);
});
