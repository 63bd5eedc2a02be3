import { assertEquals } from "@std/assert";
import { changedFields } from "../../../src/cli/output/changed_fields.ts";
import { previewLine, previewText } from "../../../src/cli/output/preview.ts";

Deno.test("fields that differ are named, the image once", () => {
  assertEquals(changedFields(["env", "image", "imageId"]), "env, image");
  assertEquals(changedFields(["imageId", "secretVersions"]), "content of the image, values of secrets");
  assertEquals(changedFields([]), "");
});

const NOTHING = { changed: [], pull: false, traffic: { before: [], after: [] }, domains: { before: [], after: [] } };

Deno.test("what would become of a service is one line, with what differs alone", () => {
  assertEquals(previewLine("web", { ...NOTHING, change: "create" }, 5), "+ web    create");
  assertEquals(previewLine("web", { ...NOTHING, change: "none" }, 5), "= web");
  assertEquals(previewText({ ...NOTHING, change: "none", pull: true }), "the image is pulled to see if it has changed");
  const traffic = { before: [{ revision: "latest", percent: 100 }], after: [{ revision: "web-00001", percent: 100 }] };
  assertEquals(
    previewText({ ...NOTHING, change: "update", changed: ["env"], traffic }),
    "env; traffic latest 100% → web-00001 100%",
  );
  assertEquals(previewText({ ...NOTHING, change: "update" }), "what declares it, what it keeps, or how it wakes");
});
