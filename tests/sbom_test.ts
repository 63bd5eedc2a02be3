import { assert, assertEquals, assertMatch } from "@std/assert";
import { noRead, noRun } from "./support/permissions.ts";

interface Component {
  readonly "bom-ref": string;
  readonly name: string;
  readonly version: string;
  readonly scope?: string;
  readonly purl?: string;
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
}

const root = new URL("../", import.meta.url);
const lock = async () => JSON.parse(await Deno.readTextFile(new URL("deno.lock", root)));

Deno.test(
  { name: "deno.lock has a checksum of every package, and of nothing that has none", ignore: noRead },
  async () => {
    const { npm, specifiers, ...others } = await lock();
    assertEquals(Object.keys(others).sort(), ["version", "workspace"]);
    for (const [name, { integrity }] of Object.entries<{ integrity?: string }>(npm)) {
      assertMatch(integrity ?? "none", /^sha512-[A-Za-z0-9+/]{86}==$/, name);
    }
    for (const specifier of Object.keys(specifiers)) assertMatch(specifier, /^npm:.+@\d/);
  },
);

Deno.test({
  name: "the bill of materials has every package with its checksum, and who needs which",
  ignore: noRead || noRun,
}, async () => {
  const args = ["run", "--quiet", "--allow-read=.", ".ci/sbom.ts"];
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: root }).output();
  assert(success, new TextDecoder().decode(stderr));
  const document = JSON.parse(new TextDecoder().decode(stdout));
  assertEquals([document.bomFormat, document.specVersion, document.version], ["CycloneDX", "1.6", 1]);
  assertMatch(document.serialNumber, /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
  assertEquals(document.metadata.component.name, "cless");
  const [runtime, ...libraries] = document.components as Component[];
  assertEquals([runtime!.name, runtime!.version], ["deno", Deno.version.deno]);
  const { npm } = await lock();
  assertEquals(libraries.map((one) => one["bom-ref"]).sort(), Object.keys(npm).sort());
  for (const { hashes, name, purl, version } of libraries) {
    assertMatch(version, /^\d+\.\d+\.\d+$/, name);
    assertEquals(purl, `pkg:npm/${name.replace("@", "%40")}@${version}`);
    assertEquals(hashes!.map(({ alg, content }) => [alg, content.length]), [["SHA-512", 128]]);
  }
  const scopeOf = (name: string) => libraries.find((one) => one.name === name)!.scope;
  assertEquals(["hono", "zod", "yaml", "openapi3-ts", "deno-std"].map(scopeOf), Array(5).fill("required"));
  assertEquals(["fast-check", "playwright-core", "ajv", "pure-rand"].map(scopeOf), Array(4).fill("excluded"));
  const known = new Set(["cless", "deno", ...Object.keys(npm)]);
  const dependencies = document.dependencies as { ref: string; dependsOn: string[] }[];
  assertEquals(new Set(dependencies.map(({ ref }) => ref)), known);
  for (const { dependsOn } of dependencies) for (const ref of dependsOn) assert(known.has(ref), ref);
});

Deno.test({ name: "every test that SECURITY.md names is there", ignore: noRead }, async () => {
  const named = (await Deno.readTextFile(new URL("SECURITY.md", root))).match(/tests\/[\w/]+\.ts/g)!;
  assert(named.length > 20);
  for (const path of named) assert((await Deno.stat(new URL(path, root))).isFile, path);
});
