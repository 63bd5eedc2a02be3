import { assertEquals } from "@std/assert";
import type { EngineImage } from "../../../src/docker/engine_api.ts";
import { EngineError } from "../../../src/docker/engine_error.ts";
import { ImageNodes } from "../../../src/docker/swarm/image_nodes.ts";
import type { PeerMessage } from "../../../src/docker/swarm/instance_messages.ts";

const IMAGE: EngineImage = { id: "sha256:1", digests: [], exposedPorts: [], hasHealthCheck: true, user: "" };

/** The images of three nodes, of which the third one does not answer; a cless lives on each. */
function imagesOf({ own = [], second = [] }: { own?: readonly string[]; second?: readonly string[] }): ImageNodes {
  const image = (name: string) =>
    own.includes(name) ? Promise.resolve(IMAGE) : Promise.reject(new EngineError("no_such_image", "there is none"));
  return new ImageNodes("one", { image }, {
    live: ["one", "three", "two"],
    ask(node: string, message: PeerMessage) {
      if (node === "three") return Promise.reject(new Error("it does not answer"));
      const { hasImage } = message as { hasImage: string };
      return Promise.resolve(
        second.includes(hasImage) ? { ok: true, image: { imageId: "sha256:2" } } : { ok: false },
      );
    },
  });
}

Deno.test("an image of this node is told with what is to be known of it", async () => {
  const images = imagesOf({ own: ["shop:1"] });
  assertEquals(await images.here("shop:1"), { imageId: "sha256:1", hasHealthCheck: true });
  assertEquals(await images.here("shop:2"), undefined);
});

Deno.test("a name means what another node has, even if a third one does not answer", async () => {
  assertEquals(await imagesOf({ second: ["shop:1"] }).find("shop:1"), { imageId: "sha256:2" });
  assertEquals(await imagesOf({ second: ["shop:1"] }).find("shop:2"), undefined);
});

Deno.test("of some nodes those have an image that say so, or, if none does, those that say nothing", async () => {
  const all = ["one", "two", "three", "four"];
  assertEquals(await imagesOf({ own: ["1"], second: ["1"] }).having("1", all), ["one", "two"]);
  assertEquals(await imagesOf({ second: ["1"] }).having("1", ["one", "three"]), ["three"]);
  assertEquals(await imagesOf({}).having("1", all), ["three", "four"]);
});
