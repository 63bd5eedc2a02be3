import { assert, assertEquals } from "@std/assert";
import { noRead } from "./support/permissions.ts";

/** A source without its comments. */
function codeOf(source: string): string {
  return source.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
}

/** What a file imports, as it is written there. */
function importsOf(source: string): string[] {
  const statements = /^\s*(?:import|export)\b[^;"'`]*?from\s*"([^"]+)"|^\s*import\s*"([^"]+)"|\bimport\(\s*"([^"]+)"/gm;
  return [...codeOf(source).matchAll(statements)].map((match) => (match[1] ?? match[2] ?? match[3])!);
}

/** The path that a relative specifier in a file means. */
function resolve(file: string, specifier: string): string {
  return new URL(specifier, `file:///${file}`).pathname.slice(1);
}

/** The files by path, with the text of each. */
type Sources = Record<string, string>;

/** Each file's imports: paths of files, and names of packages. */
type Graph = Map<string, string[]>;

function graphOf(sources: Sources): Graph {
  return new Map(
    Object.entries(sources).map(([file, source]) => [
      file,
      importsOf(source).map((specifier) => specifier.startsWith(".") ? resolve(file, specifier) : specifier),
    ]),
  );
}

/** From the top to the ground; imports go down, to any of the levels below. */
const LEVELS = [["main"], ["cli"], ["cless"], ["admin", "sqlite", "docker"], ["control"], ["serving"], ["domain"]];
/** On the ground beside the domain: everybody may import these, and they one another and the domain. */
const GROUND = ["config", "errors", "log", "version"];

/** The part of the program that a file belongs to: its folder in src/, or its own name. */
function partOf(file: string): string {
  return file.replace(/^src\//, "").replace(/\.ts$/, "").replace(/\/.*$/, "");
}

function levelOf(part: string): number {
  return LEVELS.findIndex((level) => level.includes(part));
}

/** What is wrong with one import; nothing where it is right. */
function wrongArrow(from: string, to: string): string | undefined {
  const arrow = `${from} imports ${to}`;
  const inside = to === "main.ts" || to.startsWith("src/");
  const [source, target] = [partOf(from), partOf(to)];
  if (source === "domain") {
    return inside && target === "domain" ? undefined : `${arrow}: the domain imports nothing else`;
  }
  if (!inside || !to.endsWith(".ts")) return undefined;
  if (![...LEVELS.flat(), ...GROUND].includes(source)) return `${from} is no part of the program that is known`;
  if (source === target || GROUND.includes(target)) return undefined;
  if (GROUND.includes(source)) return target === "domain" ? undefined : `${arrow}: it stands on the ground`;
  if (levelOf(target) <= levelOf(source)) return `${arrow}: imports go down`;
  if (source === "cli" && target === "cless" && from !== "src/cli/serve.ts") return `${arrow}: only serve may`;
  if (source === "cli" && target === "docker" && from !== "src/cli/doctor.ts") return `${arrow}: only doctor may`;
  return undefined;
}

/** The first cycle that is found, as the files on it. */
function findCycle(graph: Graph): string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, path: string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const next of graph.get(file) ?? []) {
      const cycle = visit(next, [...path, file]);
      if (cycle !== undefined) return cycle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of graph.keys()) {
    const cycle = visit(file, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

/** Everything that is wrong with the program's structure. */
function faults(sources: Sources): string[] {
  const graph = graphOf(sources);
  const arrows = [...graph].flatMap(([from, targets]) => targets.flatMap((to) => wrongArrow(from, to) ?? []));
  const cycle = findCycle(graph);
  const imported = new Set([...graph].flatMap(([from, targets]) => targets.filter((to) => to !== from)));
  const orphans = Object.keys(sources).filter((file) =>
    file !== "main.ts" && !file.endsWith(".d.ts") && !imported.has(file)
  );
  const impure = Object.entries(sources).flatMap(([file, source]) => {
    const code = codeOf(source);
    if (partOf(file) === "domain" && /\bDeno\b/.test(code)) return `${file} uses Deno`;
    if (file !== "src/config.ts" && /\b(Deno|process)\s*\.\s*env\b/.test(code)) return `${file} reads the environment`;
    return [];
  });
  return [
    ...arrows,
    ...cycle === undefined ? [] : [`a cycle: ${cycle.join(" -> ")}`],
    ...orphans.map((file) => `${file} is imported by nobody`),
    ...impure,
  ];
}

/** What a file imports by name, as `PATH NAME`; a namespace counts for what is taken out of it. */
function namesImportedBy(file: string, source: string): string[] {
  const code = codeOf(source);
  const named = /\{([^{}]*)\}\s*from\s*"(\.[^"]+)"|import\("(\.[^"]+)"\)\.then\(\(\{([^{}]*)\}\)/g;
  const names = [...code.matchAll(named)].flatMap(([, names, from, later, taken]) =>
    (names ?? taken)!.split(",").map((name) =>
      `${resolve(file, (from ?? later)!)} ${name.trim().replace(/^type | as .*$/g, "")}`
    )
  );
  const namespaces = [...code.matchAll(/import \* as (\w+) from "(\.[^"]+)"/g)].flatMap(([, space, from]) =>
    [...code.matchAll(new RegExp(`\\b${space}\\.(\\w+)`, "g"))].map(([, name]) => `${resolve(file, from!)} ${name}`)
  );
  return [...names, ...namespaces];
}

/**
 * The exports that no other file of the program imports, as `PATH NAME`. A type counts as imported where its own file
 * speaks of it: whoever uses what speaks of it may have to name it.
 */
function needlessExports(sources: Sources): string[] {
  const imported = new Set(Object.entries(sources).flatMap(([file, source]) => namesImportedBy(file, source)));
  return Object.entries(sources).flatMap(([file, source]) => {
    const code = codeOf(source);
    const exported = /^export\s+(?:abstract\s+)?(?:async\s+)?(function\*?|class|const|let|interface|type)\s+(\w+)/gm;
    return [...code.matchAll(exported)].flatMap(([, kind, name]) => {
      const isSpokenOf = [...code.matchAll(new RegExp(`\\b${name}\\b`, "g"))].length > 1;
      const isType = kind === "interface" || kind === "type";
      return imported.has(`${file} ${name}`) || (isType && isSpokenOf) ? [] : [`${file} ${name}`];
    });
  });
}

/** Exports that the program needs in their own file alone, each with why it is one. */
const EXPORTED_FOR_TESTS: Record<string, string> = {
  "src/cli/deploy/env_file.ts parseEnv": "what makes up its text is tested without a file",
  "src/cli/help.ts flagHelp": "no verb has flags without a group",
  "src/control/access/tokens.ts OWNER_NAME": "what no other token may be called",
  "src/control/manifest/apply.ts ApplyError": "what an error is known by",
  "src/control/secrets/secret_key.ts SecretKeyError": "what an error is known by",
  "src/control/secrets/secret_key.ts UnreadableSecretError": "what an error is known by",
  "src/domain/revision.ts NO_EXTRAS": "a revision of a test has them too",
  "src/log.ts jsonLine": "a line is tested without a terminal",
  "src/log.ts textLine": "a line is tested without a terminal",
  "src/sqlite/migrations.ts MIGRATIONS": "each step is tested",
};

const ROOT = new URL("../", import.meta.url);

/** main.ts and everything in src/. */
async function readSources(): Promise<Sources> {
  const sources: Sources = { "main.ts": await Deno.readTextFile(new URL("main.ts", ROOT)) };
  const read = async (folder: string): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
      if (isDirectory) await read(`${folder}${name}/`);
      else if (name.endsWith(".ts")) {
        sources[`${folder}${name}`] = await Deno.readTextFile(new URL(`${folder}${name}`, ROOT));
      }
    }
  };
  await read("src/");
  return sources;
}

Deno.test({
  name: "imports go down, make no cycle, and reach every file",
  ignore: noRead,
  fn: async () => {
    const sources = await readSources();
    assert(Object.keys(sources).length > 30);
    assertEquals(faults(sources), []);
  },
});

Deno.test({
  name: "every import names a file that is there, or a package of deno.json",
  ignore: noRead,
  fn: async () => {
    const { imports } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
    const sources = await readSources();
    for (const [file, targets] of graphOf(sources)) {
      for (const target of targets) {
        const known = target.endsWith(".ts")
          ? target in sources
          : Object.hasOwn(imports, target) || target.startsWith("node:") ||
            (await Deno.stat(new URL(target, ROOT))).isFile;
        assert(known, `${file} imports ${target}`);
      }
    }
  },
});

Deno.test({
  name: "what is exported is imported by another file of the program, or is there for a test that is known",
  ignore: noRead,
  fn: async () => {
    assertEquals(needlessExports(await readSources()).sort(), Object.keys(EXPORTED_FOR_TESTS).sort());
  },
});

/** A program in which everything is as it should be. */
const GOOD: Sources = {
  "main.ts": `import { main } from "./src/cli/main.ts";`,
  "src/cli/main.ts": `import { serve } from "./serve.ts";\nimport { doctor } from "./doctor.ts";`,
  "src/cli/serve.ts": `import { Cless } from "../cless.ts";\nimport { port } from "../domain/port.ts";`,
  "src/cli/doctor.ts": `import { check } from "../docker/check.ts";\nimport { open } from "../control/data_dir.ts";`,
  "src/cless.ts": `import { api } from "./admin/api.ts";\nimport "./config.ts";\nimport "./log.ts";`,
  "src/admin/api.ts": `import page from "./page.html" with { type: "text" };\nimport x from "../serving/proxy.ts";`,
  "src/docker/check.ts": `import type { Service } from "../serving/proxy.ts";\nimport fs from "node:fs";`,
  "src/control/data_dir.ts": `import { messageOf } from "../errors.ts";`,
  "src/serving/proxy.ts": `import { port } from "../domain/port.ts";\nimport { log } from "../log.ts";`,
  "src/config.ts": `import { port } from "./domain/port.ts";\nimport "./errors.ts";\nDeno.env.get("X");`,
  "src/log.ts": `import type { Level } from "./config.ts";`,
  "src/errors.ts": `export {};`,
  "src/domain/port.ts": `import { x } from "./x.ts";`,
  "src/domain/x.ts": `// import { no } from "../log.ts";\n/* Deno: import "../log.ts" */`,
  "src/std.d.ts": ``,
};

/** What is found when a line is added to one of the good files. */
function withLine(file: string, line: string): string[] {
  return faults({ ...GOOD, [file]: `${GOOD[file]}\n${line}` });
}

Deno.test("a good structure has no faults", () => {
  assertEquals(faults(GOOD), []);
});

Deno.test("an arrow that goes up or to the side is found", () => {
  const arrows: [from: string, specifier: string, why: string][] = [
    ["src/serving/proxy.ts", "../control/data_dir.ts", "imports go down"],
    ["src/serving/proxy.ts", "../docker/check.ts", "imports go down"],
    ["src/control/data_dir.ts", "../docker/check.ts", "imports go down"],
    ["src/docker/check.ts", "../admin/api.ts", "imports go down"],
    ["src/admin/api.ts", "../docker/check.ts", "imports go down"],
    ["src/admin/api.ts", "../cless.ts", "imports go down"],
    ["src/cless.ts", "./cli/serve.ts", "imports go down"],
    ["src/cli/serve.ts", "../../main.ts", "imports go down"],
    ["src/cli/serve.ts", "../docker/check.ts", "only doctor may"],
    ["src/cli/doctor.ts", "../cless.ts", "only serve may"],
    ["src/errors.ts", "./serving/proxy.ts", "it stands on the ground"],
    ["src/domain/x.ts", "../errors.ts", "the domain imports nothing else"],
    ["src/domain/x.ts", "../../main.ts", "the domain imports nothing else"],
  ];
  for (const [from, specifier, why] of arrows) {
    const to = resolve(from, specifier);
    const found = withLine(from, `import type {\n  A,\n} from "${specifier}";`);
    assert(found.includes(`${from} imports ${to}: ${why}`), `${from} imports ${to}: ${found}`);
  }
  for (const line of [`import "node:fs";`, `import x from "@std/assert";`, `export * from "npm:yaml";`]) {
    assertEquals(withLine("src/domain/x.ts", line).length, 1, line);
  }
});

Deno.test("an adapter that is new or a part that is unknown is held to the rule", () => {
  const found = faults({
    ...GOOD,
    "src/sqlite/store.ts": `import "../docker/check.ts";`,
    "src/extra.ts": `import "./log.ts";`,
  });
  assertEquals(found, [
    "src/sqlite/store.ts imports src/docker/check.ts: imports go down",
    "src/extra.ts is no part of the program that is known",
    "src/sqlite/store.ts is imported by nobody",
    "src/extra.ts is imported by nobody",
  ]);
});

Deno.test("a cycle is found, also one within a folder", () => {
  assertEquals(withLine("src/domain/x.ts", `export { port } from "./port.ts";`), [
    "a cycle: src/domain/port.ts -> src/domain/x.ts -> src/domain/port.ts",
  ]);
  assertEquals(withLine("src/errors.ts", `import "./log.ts";`), [
    "a cycle: src/log.ts -> src/config.ts -> src/errors.ts -> src/log.ts",
  ]);
  assertEquals(withLine("src/errors.ts", `import "./errors.ts";`), ["a cycle: src/errors.ts -> src/errors.ts"]);
});

Deno.test("a file that nobody imports is found, also one that imports itself", () => {
  const orphan = (source: string) => faults({ ...GOOD, "src/cli/help.ts": source })[0];
  assertEquals(orphan(""), "src/cli/help.ts is imported by nobody");
  assert(
    faults({ ...GOOD, "src/cli/help.ts": `import "./help.ts";` }).includes("src/cli/help.ts is imported by nobody"),
  );
});

Deno.test("the platform in the domain and the environment outside of config.ts are found", () => {
  assertEquals(withLine("src/domain/x.ts", `const now = Deno.hostname();`), ["src/domain/x.ts uses Deno"]);
  assertEquals(withLine("src/cless.ts", `Deno.env.get("HOME");`), ["src/cless.ts reads the environment"]);
});

Deno.test("an export that nobody imports is found, and a type that its file does not speak of", () => {
  assertEquals(
    needlessExports({
      "src/a.ts": `import { used, type Used as Other } from "./b.ts";\nimport * as c from "./c.ts";\nc.taken();\n` +
        `import("./d.ts").then(({ late }) => late());`,
      "src/b.ts": `export const used = 1;\nexport type Used = 1;\nexport async function unused(): Promise<Said> {}\n` +
        `export interface Said {}\nexport interface Unsaid {}\nexport class Own {}\nnew Own();`,
      "src/c.ts": `export const taken = () => {};\nexport let left = 1;`,
      "src/d.ts": `export function late() {}\n// export const comment = 1;`,
    }),
    ["src/b.ts unused", "src/b.ts Unsaid", "src/b.ts Own", "src/c.ts left"],
  );
});

Deno.test("every way to import is seen", () => {
  assertEquals(
    importsOf(
      `import a, { b } from "./1.ts";\nimport * as c from "./2.ts";\nimport type { D } from "./3.ts";\n` +
        `import {\n  e,\n  type F,\n} from "./4.ts";\nimport "./5.ts";\nexport * from "./6.ts";\nexport { g } from "./7.ts";\n` +
        `const h = await import("./8.ts");\nimport i from "./9.json" with { type: "json" };\n` +
        `type J = import("./10.ts").J;\nexport const from = "no.ts";\n// import "no.ts";\n/** import("no.ts") */\n`,
    ),
    ["./1.ts", "./2.ts", "./3.ts", "./4.ts", "./5.ts", "./6.ts", "./7.ts", "./8.ts", "./9.json", "./10.ts"],
  );
});
