import { assertEquals } from "@std/assert";
import { differences } from "../../../src/admin/dashboard/ui/model/template_diff.js";

const revision = (template: Record<string, unknown>, imageId = "sha256:aaaaaaaaaaaaaaaa") => ({ imageId, template });

Deno.test("what differs between two revisions is told field by field, variables one by one", () => {
  const before = revision({
    ...{ image: "shop:1", memory: "128m", env: { MODE: "safe", OLD: "1" }, command: ["serve", "-v"] },
    ...{ readiness: { path: "/" }, volumes: [{ source: "data", path: "/data", readOnly: false }] },
  });
  const after = revision({
    ...{ image: "shop:2", memory: "128m", env: { MODE: "fast" }, secretEnv: { TOKEN: "shop.token" }, command: [] },
    ...{ readiness: { path: "/healthz" }, volumes: [{ source: "data", path: "/data", readOnly: true }] },
  }, "sha256:bbbbbbbbbbbbbbbb");
  assertEquals(differences(before, after), [
    { field: "command", before: "serve -v", after: "-" },
    { field: "env MODE", before: "safe", after: "fast" },
    { field: "env OLD", before: "1", after: "-" },
    { field: "env TOKEN", before: "-", after: "the secret shop.token" },
    { field: "image", before: "shop:1", after: "shop:2" },
    { field: "readiness.path", before: "/", after: "/healthz" },
    { field: "volumes", before: "data:/data", after: "data:/data:ro" },
  ]);
});

Deno.test("an image that was built again under its name is a difference", () => {
  assertEquals(differences(revision({ image: "shop" }), revision({ image: "shop" }, "sha256:bbbbbbbbbbbbbbbb")), [
    { field: "content of the image", before: "aaaaaaaaaaaa", after: "bbbbbbbbbbbb" },
  ]);
  assertEquals(differences(revision({ image: "shop" }), revision({ image: "shop" })), []);
});
