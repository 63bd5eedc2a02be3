import { assertEquals } from "@std/assert";
import { fieldChangeText } from "../../src/cli/field_change.ts";

const LATEST = {
  template: { image: "web:v1", env: { A: "secret", B: "b", C: "c" }, memory: "64m", volumes: [] },
  limits: { stopAfter: { value: "10m" } },
};

Deno.test("a changed field is shown with its values, if these are words", () => {
  assertEquals(fieldChangeText("image", LATEST, { image: "web:v2" }), "image web:v1 → web:v2");
  assertEquals(fieldChangeText("memory", LATEST, {}), "memory 64m → default");
  assertEquals(fieldChangeText("cpus", LATEST, { cpus: 0 }), "cpus default → no limit");
  assertEquals(fieldChangeText("stopAfter", LATEST, { stopAfter: "0" }), "stopAfter 10m → never");
  assertEquals(fieldChangeText("volumes", LATEST, { volumes: [{}] }), "volumes");
  assertEquals(fieldChangeText("imageId", LATEST, {}), "imageId");
  assertEquals(fieldChangeText("image", LATEST, { image: "a\x1b[31mb" }), "image web:v1 → ab");
  assertEquals(fieldChangeText("image", undefined, { image: "b" }), "image default → b");
});

Deno.test("of variables the names are shown, and never the values", () => {
  assertEquals(fieldChangeText("env", LATEST, { env: { A: "other", B: "b", D: "d" } }), "env ~A +D -C");
  assertEquals(fieldChangeText("env", LATEST, {}), "env -A -B -C");
  assertEquals(fieldChangeText("secretEnv", LATEST, { secretEnv: { KEY: "name" } }), "secretEnv +KEY");
});
