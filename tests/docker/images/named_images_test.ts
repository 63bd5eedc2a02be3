import { assertEquals } from "@std/assert";
import { NamedImages } from "../../../src/docker/images/named_images.ts";
import { FakeClock } from "../../support/fake_clock.ts";

/** The names of images on an engine that counts how often it is asked. */
function newNames() {
  const scene = { asked: 0, answers: true, events: { live: true }, clock: new FakeClock() };
  const names = new Map([["web:1", "sha256:1"]]);
  const imageNames = () => {
    scene.asked++;
    return scene.answers ? Promise.resolve(new Map(names)) : Promise.reject(new Error("busy"));
  };
  return { scene, names, images: new NamedImages({ imageNames }, scene.clock, scene.events) };
}

Deno.test("a name means the image of that name and tag, however it is written", async () => {
  const { images, names } = newNames();
  names.set("web:latest", "sha256:2").set("docker.io/library/nginx:1", "sha256:3").set("localhost/own:2", "sha256:4")
    .set("ghcr.io/acme/shop:1", "sha256:5").set("<none>:<none>", "sha256:6");
  const wanted = ["web:1", "web", "nginx:1", "docker.io/nginx:1", "own:2", "ghcr.io/acme/shop:1", "none:1"];
  const found = ["sha256:1", "sha256:2", "sha256:3", "sha256:3", "sha256:4", "sha256:5", undefined];
  assertEquals(await Promise.all(wanted.map((name) => images.idOf(name))), found);
});

Deno.test("a name that always means the same, or nothing, is not looked up", async () => {
  const { images, scene } = newNames();
  const fixed = [`web@sha256:${"0".repeat(64)}`, `sha256:${"0".repeat(64)}`, "Not a name"];
  assertEquals(await Promise.all(fixed.map((name) => images.idOf(name))), [undefined, undefined, undefined]);
  assertEquals(scene.asked, 0);
});

Deno.test("the engine is asked once for all who look, and again only after a change", async () => {
  const { images, names, scene } = newNames();
  await Promise.all(Array.from({ length: 200 }, () => images.idOf("web:1")));
  await scene.clock.advance(3_600_000);
  assertEquals([await images.idOf("web:1"), scene.asked], ["sha256:1", 1]);
  names.set("web:1", "sha256:2");
  images.changed();
  images.changed();
  assertEquals(scene.asked, 1);
  assertEquals([await images.idOf("web:1"), scene.asked], ["sha256:2", 2]);
});

Deno.test("without events, or after a failure, a list serves for some seconds", async () => {
  const { images, names, scene } = newNames();
  scene.answers = false;
  assertEquals([await images.idOf("web:1"), await images.idOf("web:1"), scene.asked], [undefined, undefined, 1]);
  scene.answers = true;
  await scene.clock.advance(5000);
  assertEquals([await images.idOf("web:1"), scene.asked], ["sha256:1", 2]);
  scene.events.live = false;
  names.set("web:1", "sha256:2");
  await scene.clock.advance(4999);
  assertEquals([await images.idOf("web:1"), scene.asked], ["sha256:1", 2]);
  await scene.clock.advance(1);
  assertEquals([await images.idOf("web:1"), scene.asked], ["sha256:2", 3]);
});

Deno.test("who looks while the engine hangs waits a second, and the engine is asked once", async () => {
  const clock = new FakeClock();
  let asked = 0;
  const imageNames = () => (asked++, new Promise<never>(() => {}));
  const images = new NamedImages({ imageNames }, clock, { live: true });
  const looking = Promise.all([images.idOf("web:1"), images.idOf("web:2")]);
  await clock.advance(1000);
  assertEquals([await looking, asked], [[undefined, undefined], 1]);
});
