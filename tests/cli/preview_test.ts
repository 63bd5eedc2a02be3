import { assertEquals } from "@std/assert";
import { fieldsText, previewLine } from "../../src/cli/preview.ts";

Deno.test("changed fields are listed, the image once", () => {
  assertEquals(fieldsText(["env", "image", "imageId"]), "env, image");
  assertEquals(fieldsText(["imageId", "secretVersions"]), "content of the image, values of secrets");
  assertEquals(fieldsText([]), "");
});

const NOTHING = {
  changed: [],
  settings: [],
  pull: false,
  traffic: { before: [], after: [] },
  domains: { before: [], after: [] },
  revisionHistory: {},
  declaredBy: {},
};

Deno.test("a preview is one line with only the differences", () => {
  assertEquals(previewLine("web", { ...NOTHING, change: "create" }, 5), "+ web    create");
  const remote = { ...NOTHING, change: "create" as const, pull: true };
  assertEquals(previewLine("web", remote), "+ web  create; the image is pulled first");
  assertEquals(previewLine("web", { ...NOTHING, change: "none" }, 5), "= web");
  const pulled = { ...NOTHING, change: "none" as const, pull: true };
  assertEquals(previewLine("web", pulled), "= web  the image is pulled to see if it has changed");
  const update = { ...NOTHING, change: "update" as const };
  const traffic = { before: [{ revision: "latest", percent: 100 }], after: [{ revision: "web-00001", percent: 100 }] };
  assertEquals(
    previewLine("web", { ...update, changed: ["env"], traffic }),
    "~ web  env; traffic latest 100% → web-00001 100%",
  );
  assertEquals(previewLine("web", update), "~ web  update", "a newer cless may change a field that is not known here");
  const declaredBy = { after: "/srv/a.yaml" };
  assertEquals(
    previewLine("web", { ...update, revisionHistory: { before: 20, after: 5 }, declaredBy }),
    "~ web  keeps 20 → 5 old revisions; declared by no file → /srv/a.yaml",
  );
});
