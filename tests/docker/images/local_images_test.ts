import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { CommandApi } from "../../../src/docker/command_api.ts";
import { LocalImages } from "../../../src/docker/images/local_images.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { type Answer, dockerTest, type FakeDocker } from "../../support/fake_docker.ts";

/** The list of images as the engine writes it; a name may have a tag. */
function list(images: Record<string, string>): string {
  return Object.entries(images).map(([reference, id]) => {
    const [name, tag = "latest"] = reference.split(":");
    return JSON.stringify({ id: `sha256:${id}`, name, tag }) + "\n";
  }).join("");
}

const REFUSED: Answer = { stderr: "Error response from daemon: busy\n", code: 1 };

/** Images of a fake engine, that knows how often it was asked and how often a change was told. */
class Images {
  readonly clock = new FakeClock();
  readonly #docker: FakeDocker;
  readonly local: LocalImages;
  /** Whether events come. */
  readonly events = { live: true };
  changes = 0;

  constructor(docker: FakeDocker) {
    this.#docker = docker;
    this.local = new LocalImages(new CommandApi(docker.command), this.clock, this.events);
    this.local.onChange(() => this.changes++);
  }

  async asked(): Promise<number> {
    return (await this.#docker.calls("image ls")).length;
  }
}

dockerTest("images are found by name once the engine has been asked", async (docker) => {
  await docker.on("image ls", "WARNING: x\n" + list({ "golang-docker": "1", "rust-docker": "2" }));
  const { local } = new Images(docker);
  assertEquals(local.find("golang-docker"), undefined);
  await local.settled();
  assertEquals(local.find("golang-docker"), "sha256:1");
  assertEquals(local.names(), ["golang-docker", "rust-docker"]);
  const [args] = await docker.calls();
  assertEquals(args!.slice(0, -1), ["image", "ls", "--no-trunc", "--filter=reference=*-docker:latest"]);
});

dockerTest("only the tag latest counts", async (docker) => {
  await docker.on("image ls", list({ "golang-docker:v1": "1", "golang-docker": "2", "old-docker:v1": "3" }));
  const { local } = new Images(docker);
  await local.settled();
  assertEquals([local.find("golang-docker"), local.find("old-docker")], ["sha256:2", undefined]);
});

dockerTest("looking up names, known or unknown, does not ask the engine", async (docker) => {
  await docker.on("image ls", list({ "golang-docker": "1" }));
  const images = new Images(docker);
  await images.local.settled();
  for (let n = 0; n < 1000; n++) {
    await images.local.settled();
    assertEquals(images.local.find(`random-${n}-docker`), undefined);
    await images.clock.advance(60_000);
  }
  assertEquals(await images.asked(), 1);
});

dockerTest("lookups at the same time share one answer", async (docker) => {
  await docker.on("image ls", list({ "golang-docker": "1" }));
  const images = new Images(docker);
  const { local } = images;
  await Promise.all([local.settled(), local.settled(), local.settled()]);
  assertEquals([await images.asked(), images.changes], [1, 1]);
});

dockerTest("an event makes the list be read again, and lookups wait for it", async (docker) => {
  const gate = await docker.gate();
  await docker.on("image ls", list({ "a-docker": "1" }), { gate, stdout: list({ "a-docker": "2" }) });
  const images = new Images(docker);
  const { local } = images;
  await local.settled();
  const changed = local.changed();
  let settled = false;
  const waiting = local.settled().then(() => settled = true);
  await gate.reached();
  assertEquals([settled, local.find("a-docker")], [false, "sha256:1"]);
  await gate.open();
  await Promise.all([changed, waiting]);
  assertEquals([local.find("a-docker"), images.changes], ["sha256:2", 2]);
});

dockerTest("events that come while the list is being read make it be read once more", async (docker) => {
  const gate = await docker.gate();
  await docker.on("image ls", { gate, stdout: list({ "a-docker": "1" }) }, list({ "a-docker": "2" }));
  const images = new Images(docker);
  const first = images.local.changed();
  await gate.reached();
  const others = [images.local.changed(), images.local.changed(), images.local.changed()];
  await gate.open();
  await Promise.all([first, ...others]);
  assertEquals([images.local.find("a-docker"), await images.asked()], ["sha256:2", 2]);
});

dockerTest("an image that is gone is not found any more", async (docker) => {
  await docker.on("image ls", list({ "a-docker": "1" }), "");
  const { local } = new Images(docker);
  await local.settled();
  await local.changed();
  assertEquals([local.find("a-docker"), local.names()], [undefined, []]);
});

dockerTest("while the engine fails, the old list stays, and lookups do not ask it again", async (docker) => {
  await docker.on("image ls", list({ "a-docker": "1" }), REFUSED);
  const images = new Images(docker);
  await images.local.settled();
  await images.local.changed();
  for (let n = 0; n < 10; n++) await images.local.settled();
  assertEquals([images.local.find("a-docker"), images.changes, await images.asked()], ["sha256:1", 1, 2]);
});

dockerTest("an engine that has failed is asked again a second later", async (docker) => {
  await docker.on("image ls", REFUSED, list({ "a-docker": "1" }));
  const images = new Images(docker);
  await images.local.settled();
  await images.clock.advance(999);
  await images.local.settled();
  assertEquals(await images.asked(), 1);
  await images.clock.advance(1);
  await images.local.settled();
  assertEquals([images.local.find("a-docker"), await images.asked()], ["sha256:1", 2]);
});

dockerTest("a rebuilt image is noticed though the engine failed once, and nobody looks anything up", async (docker) => {
  await docker.on("image ls", list({ "a-docker": "1" }), REFUSED, REFUSED, list({ "a-docker": "2" }));
  const images = new Images(docker);
  await images.local.settled();
  const seen = new Promise<string | undefined>((resolve) => {
    images.local.onChange(() => resolve(images.local.find("a-docker")));
  });
  await images.local.changed();
  await images.clock.advance(1000);
  await images.local.settled();
  await images.clock.advance(1000);
  assertEquals(await seen, "sha256:2");
  await images.clock.advance(60_000);
  assertEquals([await images.asked(), images.clock.timers], [4, 0]);
});

dockerTest("while no events come, the list is read at most once a second", async (docker) => {
  await docker.on("image ls", list({ "a-docker": "1" }), list({ "a-docker": "2" }));
  const images = new Images(docker);
  images.events.live = false;
  for (let n = 0; n < 10; n++) await images.local.settled();
  assertEquals([images.local.find("a-docker"), await images.asked()], ["sha256:1", 1]);
  await images.clock.advance(1000);
  for (let n = 0; n < 10; n++) await images.local.settled();
  assertEquals([images.local.find("a-docker"), await images.asked()], ["sha256:2", 2]);
});

dockerTest("after random failures of the engine the list is right in the end", async (docker) => {
  const outcomes = fc.array(fc.boolean(), { minLength: 6, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(outcomes, async (good) => {
      const answers = good.map((works, n) => works ? list({ "a-docker": `${n}` }) : REFUSED);
      await docker.on("image ls", ...answers, list({ "a-docker": "last" }));
      const images = new Images(docker);
      for (let n = 0; n < 7; n++) {
        await images.local.changed();
        await images.clock.advance(100);
      }
      assertEquals(images.local.find("a-docker"), "sha256:last");
    }),
    { numRuns: 5 },
  );
});
