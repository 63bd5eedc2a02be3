import { assert, assertEquals } from "@std/assert";
import { noRead } from "./support/permissions.ts";
import { codeOf, readSources, resolve, type Sources } from "./support/sources.ts";

/** What only some requests or other verbs need: together they took 45 ms of a start, and 21 MB. */
const LATE = [
  ...["zod", "@hono/zod-openapi", "yaml", "oauth4webapi"],
  ...["htm", "preact", "preact/hooks", "uplot/dist/uPlot.iife.min.js"],
];
/** Comes along with one of them; no file imports it by its own name, and those of the start must not begin to. */
const WITH_THEM = ["hono"];

/** What is loaded with a file: what it imports, but no types, and nothing that it imports later on. */
function importsAtOnce(source: string): string[] {
  const statements = /^\s*(?:import|export)\b([^;"'`]*?)from\s*"([^"]+)"|^\s*import\s*"([^"]+)"/gm;
  return [...codeOf(source).matchAll(statements)].flatMap(([, clause = "", from, alone]) => {
    if (alone !== undefined) return [alone];
    const [, names] = /^\s*\{([^}]*)\}\s*$/.exec(clause) ?? [];
    const onlyTypes = /^\s*type\b/.test(clause) ||
      (names !== undefined && names.split(",").every((name) => /^\s*(type\b.*)?$/s.test(name)));
    return onlyTypes ? [] : [from!];
  });
}

/** The packages that are loaded with a file of the program, each with the way to it. */
function packagesOf(entry: string, sources: Sources): Map<string, string> {
  const packages = new Map<string, string>();
  const ways = new Map([[entry, entry]]);
  for (const [file, way] of ways) {
    for (const specifier of importsAtOnce(sources[file] ?? "")) {
      const target = specifier.startsWith(".") ? resolve(file, specifier) : specifier;
      if (!specifier.startsWith(".")) packages.set(target, way);
      else if (!ways.has(target)) ways.set(target, `${way} -> ${target}`);
    }
  }
  return packages;
}

Deno.test({
  name: "serving loads nothing that only the admin API, a file of services or another verb needs",
  ignore: noRead,
  fn: async () => {
    const sources = await readSources();
    for (const entry of ["main.ts", "src/cless.ts"]) {
      const packages = packagesOf(entry, sources);
      assertEquals(
        [...LATE, ...WITH_THEM].flatMap((name) => packages.has(name) ? [`${packages.get(name)} -> ${name}`] : []),
        [],
      );
    }
    assert(!importsAtOnce(sources["src/cli/serve.ts"]!).includes("../cless.ts"), "other verbs load what serves");
    const later = [
      "src/admin/routes.ts",
      "src/admin/dashboard/files.ts",
      "src/deploy/config_file.ts",
      "src/access/oidc/provider.ts",
    ];
    const packages = later.flatMap((entry) => [...packagesOf(entry, sources).keys()]);
    for (const name of LATE) assert(packages.includes(name), name);
  },
});

Deno.test("what is loaded with a file are its imports, but no types, and not what it imports later", () => {
  assertEquals(
    importsAtOnce(
      `import a, { type B } from "./1.ts";\nimport * as c from "./2.ts";\nimport type { D } from "./3.ts";\n` +
        `import { type E, type F } from "./4.ts";\nimport "./5.ts";\nexport { g } from "./6.ts";\n` +
        `export type { H } from "./7.ts";\nconst i = await import("./8.ts");\nimport {\n  type J,\n  k,\n} from "./9.ts";\n`,
    ),
    ["./1.ts", "./2.ts", "./5.ts", "./6.ts", "./9.ts"],
  );
});
