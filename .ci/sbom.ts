// Prints a software bill of materials of cless in the format CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/), made
// of deno.json and deno.lock: every package with its checksum, and who needs which. Packages that only tests need have
// the scope "excluded".
import config from "../deno.json" with { type: "json" };

interface Package {
  readonly integrity: string;
  readonly dependencies?: readonly string[];
}

interface Lock {
  readonly npm: Readonly<Record<string, Package>>;
  readonly specifiers: Readonly<Record<string, string>>;
}

const text = await Deno.readTextFile(new URL("../deno.lock", import.meta.url));
const { npm: packages, specifiers }: Lock = JSON.parse(text);

/** The name and version of a key of the lock file such as `@a/b@1.2.3_peer@4.5.6`. */
function nameOf(key: string): { name: string; version: string } {
  const [, name, version] = /^((?:@[^/]+\/)?[^@]+)@([^_]+)/.exec(key)!;
  return { name: name!, version: version! };
}

/** The key of a dependency, which the lock file names without its version where there is only one. */
function keyOf(dependency: string): string {
  return dependency in packages ? dependency : Object.keys(packages).find((key) => nameOf(key).name === dependency)!;
}

/** The package's address: https://github.com/package-url/purl-spec */
function purlOf(key: string): string {
  const { name, version } = nameOf(key);
  return `pkg:npm/${name.replace("@", "%40")}@${version}`;
}

/** The keys of the packages that an import of deno.json leads to. */
function keysFrom(target: string): string[] {
  const [, specifier] = /^(npm:(?:@[^/]+\/)?[^/]+)/.exec(target)!;
  const { name } = nameOf(specifier!.slice(4));
  return [keyOf(`${name}@${specifiers[specifier!]}`)];
}

/** What the program imports, by the names of deno.json; of its sources only, and not of its tests. */
async function importedByProgram(folder: URL): Promise<Set<string>> {
  const names = new Set<string>();
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const file = new URL(isDirectory ? `${name}/` : name, folder);
    if (isDirectory) { for (const found of await importedByProgram(file)) names.add(found); }
    else if (name.endsWith(".ts")) {
      for (const [, found] of (await Deno.readTextFile(file)).matchAll(/(?:from|import\()\s*"([^"]+)"/g)) {
        names.add(found!);
      }
    }
  }
  return names;
}

function withDependencies(keys: readonly string[], seen = new Set<string>()): Set<string> {
  for (const key of keys) {
    if (seen.has(key)) continue;
    seen.add(key);
    withDependencies((packages[key]!.dependencies ?? []).map(keyOf), seen);
  }
  return seen;
}

/** `sha512-…` of the lock file as the document has it. */
function hashOf(integrity: string): { alg: string; content: string } {
  const [kind, base64] = integrity.split("-", 2);
  return { alg: kind!.replace("sha", "SHA-"), content: Uint8Array.fromBase64(base64!).toHex() };
}

const imported = await importedByProgram(new URL("../src/", import.meta.url));
const direct = Object.entries(config.imports).map(([name, target]) => ({ name, keys: keysFrom(target) }));
const needed = withDependencies(direct.flatMap(({ name, keys }) => imported.has(name) ? keys : []));
const digest = new Uint8Array(
  await crypto.subtle.digest("SHA-256", new TextEncoder().encode(`${config.version}\n${text}`)),
);
// The same packages have the same number: RFC 9562, version 8.
const id = digest.toHex().replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, "$1-$2-8$3-8$4-$5");
const runtime = { "bom-ref": "deno", type: "platform", name: "deno", version: Deno.version.deno };
const own = { "bom-ref": "cless", type: "application", name: "cless", version: config.version };

console.log(JSON.stringify(
  {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    serialNumber: `urn:uuid:${id}`,
    version: 1,
    metadata: { component: { ...own, licenses: [{ license: { id: config.license } }] } },
    components: [
      { ...runtime, purl: `pkg:github/denoland/deno@v${runtime.version}` },
      ...Object.entries(packages).map(([key, { integrity }]) => ({
        "bom-ref": key,
        type: "library",
        ...nameOf(key),
        scope: needed.has(key) ? "required" : "excluded",
        hashes: [hashOf(integrity)],
        purl: purlOf(key),
      })),
    ],
    dependencies: [
      { ref: own["bom-ref"], dependsOn: [...new Set(["deno", ...direct.flatMap(({ keys }) => keys)])] },
      { ref: runtime["bom-ref"], dependsOn: [] },
      ...Object.entries(packages).map(([ref, { dependencies = [] }]) => ({ ref, dependsOn: dependencies.map(keyOf) })),
    ],
  },
  null,
  2,
));
