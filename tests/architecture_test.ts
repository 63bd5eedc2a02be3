import { assert, assertEquals } from "@std/assert";
import { noRead } from "./support/permissions.ts";
import { codeOf, readSources, resolve, ROOT, type Sources } from "./support/sources.ts";

/** What a file imports, as it is written there. */
function importsOf(source: string): string[] {
  const statements = /^\s*(?:import|export)\b[^;"'`]*?from\s*"([^"]+)"|^\s*import\s*"([^"]+)"|\bimport\(\s*"([^"]+)"/gm;
  return [...codeOf(source).matchAll(statements)].map((match) => (match[1] ?? match[2] ?? match[3])!);
}

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

/** From the top to the ground: the way of a request. Imports go down, to any of the levels below. */
const LEVELS = [
  ["main"],
  ["cli"],
  ["cless"],
  ["compose"],
  ["swarm"],
  ["admin", "docker", "edge", "peers", "sqlite"],
  ["deploy", "logs"],
  ["control", "proxy"],
  ["fleet", "routing"],
  ["access", "pool"],
  ["http"],
  ["base"],
  ["model"],
];
/** May deal with the environment: what reads the settings, once, and what the platform can be told in no other way. */
const ENVIRONMENT = ["src/base/config.ts", "src/http/fetch_forwarder.ts"];

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
  if (source === "model") {
    return inside && target === "model" ? undefined : `${arrow}: the model imports nothing else`;
  }
  if (!inside || !to.endsWith(".ts")) return undefined;
  if (levelOf(source) < 0) return `${from} is no part of the program that is known`;
  if (source === target) return undefined;
  if (levelOf(target) <= levelOf(source)) return `${arrow}: imports go down`;
  if (source === "cli" && target === "cless" && from !== "src/cli/serve.ts") return `${arrow}: only serve may`;
  if (target === "compose" && source !== "cless") return `${arrow}: only cless.ts may`;
  if (source === "cli" && target === "docker" && !/^src\/cli\/(doctor(_swarm)?|join)\.ts$/.test(from)) {
    return `${arrow}: only doctor and join may`;
  }
  if (source === "cli" && target === "peers" && !/^src\/cli\/(doctor_swarm|join)\.ts$/.test(from)) {
    return `${arrow}: only doctor and join may`;
  }
  if (target === "edge" && !/^src\/cli\/(https(_\w+)?|doctor)\.ts$/.test(from)) {
    return `${arrow}: only https and doctor may`;
  }
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
    if (partOf(file) === "model" && /\bDeno\b/.test(code)) return `${file} uses Deno`;
    if (!ENVIRONMENT.includes(file) && /\b(Deno|process)\s*\.\s*env\b/.test(code)) {
      return `${file} reads the environment`;
    }
    return [];
  });
  return [
    ...arrows,
    ...cycle === undefined ? [] : [`a cycle: ${cycle.join(" -> ")}`],
    ...orphans.map((file) => `${file} is imported by nobody`),
    ...impure,
  ];
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
  name: "the documentation names every folder of the source once, from the bottom up",
  ignore: noRead,
  fn: async () => {
    const text = await Deno.readTextFile(new URL("docs/how_it_works.md", ROOT));
    const [, section] = text.split("## The folders of the source\n");
    const [table] = section!.split("\n## ");
    const named = [...table!.matchAll(/^\| (`\w+`[^|]*)\|/gm)].flatMap(([, names]) => names!.match(/\w+/g)!);
    const folders = Object.keys(await readSources()).flatMap((file) => /^src\/(\w+)\//.exec(file)?.[1] ?? []);
    assertEquals([...named].sort(), [...new Set(folders)].sort());
    const levels = named.map(levelOf);
    assertEquals(levels, levels.toSorted((a, b) => b - a));
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

/** A program in which everything is as it should be. */
const GOOD: Sources = {
  "main.ts": `import { main } from "./src/cli/main.ts";`,
  "src/cli/main.ts":
    `import { serve } from "./serve.ts";\nimport { doctor } from "./doctor.ts";\nimport "./https_run.ts";`,
  "src/cli/serve.ts": `import { Cless } from "../cless.ts";\nimport { port } from "../model/port.ts";`,
  "src/cli/doctor.ts": `import { check } from "../docker/check.ts";\nimport { open } from "../control/data_dir.ts";`,
  "src/cli/https_run.ts": `import { find } from "../edge/caddy.ts";`,
  "src/edge/caddy.ts": `import { log } from "../base/log.ts";`,
  "src/cless.ts": `import { makeParts } from "./compose.ts";`,
  "src/compose.ts": `import { api } from "./admin/api.ts";\nimport "./base/config.ts";\nimport "./base/log.ts";`,
  "src/admin/api.ts": `import page from "./page.html" with { type: "text" };\nimport x from "../proxy/proxy.ts";`,
  "src/docker/check.ts": `import type { Service } from "../proxy/proxy.ts";\nimport fs from "node:fs";`,
  "src/control/data_dir.ts": `import { messageOf } from "../base/errors.ts";`,
  "src/proxy/proxy.ts": `import { port } from "../model/port.ts";\nimport { log } from "../base/log.ts";`,
  "src/base/config.ts": `import { port } from "../model/port.ts";\nimport "./errors.ts";\nDeno.env.get("X");`,
  "src/base/log.ts": `import type { Level } from "./config.ts";`,
  "src/base/errors.ts": `export {};`,
  "src/model/port.ts": `import { x } from "./x.ts";`,
  "src/model/x.ts": `// import { no } from "../base/log.ts";\n/* Deno: import "../base/log.ts" */`,
  "src/base/std.d.ts": ``,
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
    ["src/proxy/proxy.ts", "../control/data_dir.ts", "imports go down"],
    ["src/proxy/proxy.ts", "../docker/check.ts", "imports go down"],
    ["src/control/data_dir.ts", "../docker/check.ts", "imports go down"],
    ["src/docker/check.ts", "../admin/api.ts", "imports go down"],
    ["src/admin/api.ts", "../docker/check.ts", "imports go down"],
    ["src/admin/api.ts", "../compose.ts", "imports go down"],
    ["src/compose.ts", "./cli/serve.ts", "imports go down"],
    ["src/cli/serve.ts", "../../main.ts", "imports go down"],
    ["src/cli/serve.ts", "../docker/check.ts", "only doctor and join may"],
    ["src/cli/serve.ts", "../peers/client.ts", "only doctor and join may"],
    ["src/compose.ts", "./cless.ts", "imports go down"],
    ["src/cli/doctor.ts", "../cless.ts", "only serve may"],
    ["src/cli/serve.ts", "../compose.ts", "only cless.ts may"],
    ["src/cli/serve.ts", "../edge/caddy.ts", "only https and doctor may"],
    ["src/compose.ts", "./edge/caddy.ts", "only https and doctor may"],
    ["src/docker/check.ts", "../edge/caddy.ts", "imports go down"],
    ["src/edge/caddy.ts", "../docker/check.ts", "imports go down"],
    ["src/base/errors.ts", "../proxy/proxy.ts", "imports go down"],
    ["src/model/x.ts", "../base/errors.ts", "the model imports nothing else"],
    ["src/model/x.ts", "../../main.ts", "the model imports nothing else"],
  ];
  for (const [from, specifier, why] of arrows) {
    const to = resolve(from, specifier);
    const found = withLine(from, `import type {\n  A,\n} from "${specifier}";`);
    assert(found.includes(`${from} imports ${to}: ${why}`), `${from} imports ${to}: ${found}`);
  }
  for (const line of [`import "node:fs";`, `import x from "@std/assert";`, `export * from "npm:yaml";`]) {
    assertEquals(withLine("src/model/x.ts", line).length, 1, line);
  }
});

Deno.test("an adapter that is new or a part that is unknown is held to the rule", () => {
  const found = faults({
    ...GOOD,
    "src/sqlite/store.ts": `import "../docker/check.ts";`,
    "src/extra.ts": `import "./base/log.ts";`,
  });
  assertEquals(found, [
    "src/sqlite/store.ts imports src/docker/check.ts: imports go down",
    "src/extra.ts is no part of the program that is known",
    "src/sqlite/store.ts is imported by nobody",
    "src/extra.ts is imported by nobody",
  ]);
});

Deno.test("a cycle is found, also one within a folder", () => {
  assertEquals(withLine("src/model/x.ts", `export { port } from "./port.ts";`), [
    "a cycle: src/model/port.ts -> src/model/x.ts -> src/model/port.ts",
  ]);
  assertEquals(withLine("src/base/errors.ts", `import "./log.ts";`), [
    "a cycle: src/base/log.ts -> src/base/config.ts -> src/base/errors.ts -> src/base/log.ts",
  ]);
  assertEquals(withLine("src/base/errors.ts", `import "./errors.ts";`), [
    "a cycle: src/base/errors.ts -> src/base/errors.ts",
  ]);
});

Deno.test("a file that nobody imports is found, also one that imports itself", () => {
  const orphan = (source: string) => faults({ ...GOOD, "src/cli/help.ts": source })[0];
  assertEquals(orphan(""), "src/cli/help.ts is imported by nobody");
  assert(
    faults({ ...GOOD, "src/cli/help.ts": `import "./help.ts";` }).includes("src/cli/help.ts is imported by nobody"),
  );
});

Deno.test("the platform in the model and the environment where it has no place are found", () => {
  assertEquals(withLine("src/model/x.ts", `const now = Deno.hostname();`), ["src/model/x.ts uses Deno"]);
  assertEquals(withLine("src/compose.ts", `Deno.env.get("HOME");`), ["src/compose.ts reads the environment"]);
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
