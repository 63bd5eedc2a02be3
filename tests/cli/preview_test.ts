import { assertEquals } from "@std/assert";
import { fieldsText, previewLine, previewText } from "../../src/cli/preview.ts";

Deno.test("changed fields are listed, the image once", () => {
  assertEquals(fieldsText(["env", "image", "imageId"]), "env, image");
  assertEquals(fieldsText(["imageId", "secretVersions"]), "content of the image, values of secrets");
  assertEquals(fieldsText([]), "");
});

const NOTHING = {
  changed: [],
  pull: false,
  traffic: { before: [], after: [] },
  domains: { before: [], after: [] },
  revisionHistory: {},
  declaredBy: {},
};

Deno.test("a preview is one line with only the differences", () => {
  assertEquals(previewLine("web", { ...NOTHING, change: "create" }, 5), "+ web    create");
  assertEquals(previewLine("web", { ...NOTHING, change: "none" }, 5), "= web");
  assertEquals(previewText({ ...NOTHING, change: "none", pull: true }), "the image is pulled to see if it has changed");
  const traffic = { before: [{ revision: "latest", percent: 100 }], after: [{ revision: "web-00001", percent: 100 }] };
  assertEquals(
    previewText({ ...NOTHING, change: "update", changed: ["env"], traffic }),
    "env; traffic latest 100% → web-00001 100%",
  );
  assertEquals(previewText({ ...NOTHING, change: "update" }), "update"); // a newer cless may change a field that this one does not know
  const declaredBy = { after: "/srv/a.yaml" };
  assertEquals(
    previewText({ ...NOTHING, change: "update", revisionHistory: { before: 20, after: 5 }, declaredBy }),
    "keeps 20 → 5 old revisions; declared by no file → /srv/a.yaml",
  );
});
