import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { ImageUnavailable } from "../../../src/control/deploy_error.ts";
import { deployImages } from "../../../src/docker/images/deploy_images.ts";
import { ImageError } from "../../../src/docker/images/image_error.ts";

const NEVER = { signal: new AbortController().signal };

function failing(error: Error) {
  return deployImages({ resolve: () => Promise.reject(error), remove: () => Promise.reject(error) });
}

Deno.test("an image that is not to be had is told in the words of deploys, with the reason", async () => {
  const error = new ImageError("not_found", "there is no image ghost");
  const told = await assertRejects(() => failing(error).resolve("ghost", "missing", NEVER), ImageUnavailable);
  assertEquals([told.message, told.reason], ["there is no image ghost", "not_found"]);
});

Deno.test("other errors of the engine stay as they are", async () => {
  const error = new Error("off");
  for (const action of [() => failing(error).resolve("a", "never", NEVER), () => failing(error).remove("a", [])]) {
    assertStrictEquals(await assertRejects(() => Promise.resolve(action())), error);
  }
});
