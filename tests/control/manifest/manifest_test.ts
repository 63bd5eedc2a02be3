import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { parseManifest } from "../../../src/control/manifest/manifest.ts";
import { ManifestError } from "../../../src/control/schema/invalid.ts";
import { parseService } from "../../../src/control/schema/schema.ts";
import { GOOD, yamlTest } from "./manifests.ts";

/** The beginning of every message: the file, the line and the column, which count from 1. */
const PLACE = /^cless\.yaml:[1-9]\d*:[1-9]\d*: /;

/** The message for an invalid file. */
function refusal(text: string): string {
  const error = assertThrows(() => parseManifest(text, "cless.yaml"), ManifestError);
  assert(!/[\r\n]/.test(error.message), error.message);
  assertMatch(error.message, PLACE);
  return error.message;
}

/** Checks that a text is refused with this message, at the place that is marked with §. */
function refused(message: string, marked: string): void {
  const before = marked.slice(0, marked.indexOf("§")).split("\n");
  const place = `${before.length}:${before.at(-1)!.length + 1}`;
  assertStringIncludes(refusal(marked.replace("§", "")), `cless.yaml:${place}: ${message}`);
}

yamlTest("services are read as the API reads them, in the order of the file", () => {
  const manifest = parseManifest(GOOD, "cless.yaml");
  assertEquals([...manifest.keys()], ["golang", "more"]);
  assertEquals(manifest.get("golang"), parseService("golang", { image: "golang-docker" }));
  assertEquals(
    manifest.get("more"),
    parseService("more", {
      image: "ghcr.io/acme/more:v1",
      port: 80,
      env: { MODE: "fast", KEY: "-----BEGIN\nEND-----\n" },
      secretEnv: { TOKEN: "more.token" },
      command: ["serve", "-v"],
      volumes: [{ source: "data", path: "/data" }],
      stopAfter: "0",
      pauseAfter: "30s",
      readiness: { path: "/ready" },
      memory: "256m",
      cpus: 0.5,
      domains: ["more.example.org", "example.com"],
      revisionHistory: 3,
      traffic: 10,
      tag: "v1",
    }),
  );
});

yamlTest("line ends of Windows, a byte order mark, JSON and a marked document are read too", () => {
  const expected = parseManifest(GOOD, "x");
  assertEquals(parseManifest(GOOD.replaceAll("\n", "\r\n"), "x"), expected);
  assertEquals(parseManifest("\ufeff" + GOOD, "x"), expected);
  assertEquals(parseManifest(`---\n${GOOD}...\n`, "x"), expected);
  assertEquals(parseManifest(`{"services": {"a": {"image": "b"}}}`, "x").get("a")!.template.image, "b");
});

yamlTest("an empty file has no services", () => {
  for (
    const text of [
      "",
      "\n\n",
      "# nothing\n",
      "---\n",
      "{}",
      "services:",
      "services: {}\n",
      "services: # none\n",
      "\ufeff",
    ]
  ) {
    assertEquals(parseManifest(text, "x").size, 0, text);
  }
});

yamlTest("traffic may be a whole split", () => {
  const text = `services:
  a:
    image: b
    traffic:
      - { revision: latest, percent: 90 }
      - { revision: a-00001, percent: 10, tag: old }
`;
  const { traffic, targets } = parseManifest(text, "x").get("a")!;
  assertEquals(traffic, undefined);
  assertEquals(targets, [{ revision: "latest", percent: 90 }, { revision: "a-00001", percent: 10, tag: "old" }]);
});

yamlTest("an invalid split is refused at its place", () => {
  /** Checks the message for a list. Without a mark in the list, the fault is at `traffic`. */
  const wrong = (message: string, list: string, name = "a") => {
    const key = list.includes("§") ? "traffic" : "§traffic";
    refused(`services.${name}.traffic${message}`, `services:\n  ${name}:\n    image: b\n    ${key}: ${list}\n`);
  };
  wrong(": the percents must sum to 100, and not to 0", "[]");
  wrong(": the percents must sum to 100, and not to 99", "[{ revision: latest, percent: 99 }]");
  wrong(": a-1 is given twice", "[{ revision: a-1, percent: 50 }, { revision: a-1, percent: 50 }]");
  wrong(".0.percent: must be a whole number from 0 to 100", "[{ revision: latest, percent: §0.5 }]");
  wrong(".1: must be an object of names and values", "[{ revision: latest, percent: 1 }, §latest]");
  wrong(".0.revison: unknown field; did you mean `revision`?", "[{ §revison: latest, percent: 100 }]");
  wrong(".0.revision: must be the name of a revision", "[{ revision: §A, percent: 100 }]");
  const tag = "t".repeat(32);
  wrong(".0.tag: must be at most 31", `[{ revision: latest, percent: 100, tag: §${tag} }]`, "a".repeat(30));
  const list = "traffic: [{ revision: latest, percent: 100 }]";
  refused("services.a.tag: must be inside the list of traffic", `services: { a: { image: b, §tag: v1, ${list} } }`);
});

yamlTest("faults are reported with line and column", () => {
  refused(
    "services.more.prot: unknown field; did you mean `port`?",
    "services:\n  more:\n    image: a\n    §prot: 80\n",
  );
  refused("services.a.port: must be a whole number from 1 to 65535", "services:\n  a:\n    image: a\n    port: §0\n");
  refused("services.a.domains.1: must be a whole", "services:\n  a: { image: b, domains: [a.b,\n      §'*.c'] }\n");
  refused("services.a.env.A=B: is not a valid name of a variable", "services:\n  a: { image: b, env: { §A=B: x } }\n");
  refused(
    "services.a.env.PORT: must be a text, and is a number; put it in quotes",
    "services:\n  a:\n    env:\n      PORT: §80\n    image: b\n",
  );
  refused("services.a.image: is missing", "services:\n  §a:\n    port: 80\n");
  refused("services.a: must have fields, at least image", "services:\n  a: §golang\n");
  refused("services.Shop: must be 1 to 40 lower-case letters", "services:\n  §Shop: { image: a }\n");
  refused("services.1: must be 1 to 40 lower-case letters", "services:\n  §1: { image: a }\n");
  refused("services.__proto__: must be 1 to 40 lower-case", "services:\n  §__proto__: { image: a }\n");
  refused(
    "services.a.env.__proto__: cannot be used as a name",
    "services:\n  a: { env: { §__proto__: x }, image: a }\n",
  );
  refused("services.a.readiness.paht: unknown field", "services:\r\n  a:\r\n    readiness:\r\n      §paht: /\r\n");
  assertStringIncludes(refusal("services:\n  a:\n  b: { image: b }\n"), "services.a: must have fields, at least image");
});

yamlTest("a domain belongs to one service of a file", () => {
  const [a, b] = ["a: { image: a, domains: [x.example] }", "b: { image: b, domains: [y.example, §X.example] }"];
  refused("services.b.domains.1: belongs to the service a", `services:\n  ${a}\n  ${b}\n`);
});

yamlTest("all faults of a file are told, each at its place, and unknown fields of a service first", () => {
  const text = `version: 2
services:
  a:
    image: b
    port: 0
    prot: 80
    env: { A=B: x, C: 1 }
  B: { image: b }
  c: { imgae: c, memory: lots }
  d: { image: d, domains: [x.example] }
  e: { image: e, domains: [x.example], readiness: { paht: / } }
  f: { image: f, domains: [x.example] }
`;
  const { lines, message } = assertThrows(() => parseManifest(text, "cless.yaml"), ManifestError);
  const told = [
    "1:1: version: unknown field; did you mean `services`?",
    "6:5: services.a.prot: unknown field; did you mean `port`?",
    "5:11: services.a.port: must be a whole number from 1 to 65535",
    "7:12: services.a.env.A=B: is not a valid name of a variable",
    "7:23: services.a.env.C: must be a text, and is a number",
    "8:3: services.B: must be 1 to 40 lower-case letters",
    "9:8: services.c.imgae: unknown field; did you mean `image`?",
    "9:26: services.c.memory: ",
    "11:53: services.e.readiness.paht: unknown field; did you mean `path`?",
    "12:28: services.f.domains.0: belongs to the service d",
  ];
  assertEquals(lines.length, told.length, message);
  told.forEach((line, at) => assertStringIncludes(lines[at]!, `cless.yaml:${line}`));
  assertEquals(message, lines.join("; "));
});

yamlTest("of very many faults, the first are told, and how many more there are", () => {
  const names = Array.from({ length: 50 }, (_, at) => `    unknown${at}: x\n`).join("");
  const text = `services:\n  a:\n    image: b\n    port: 0\n${names}`;
  const { lines } = assertThrows(() => parseManifest(text, "cless.yaml"), ManifestError);
  assertEquals(lines.length, 21);
  assertStringIncludes(lines[19]!, "cless.yaml:24:5: services.a.unknown19: unknown field; did you mean");
  assertEquals(lines[20], "cless.yaml: and 31 more");
  const many = Array.from({ length: 20_000 }, (_, at) => `    unknown${at}: x\n`).join("");
  const refused = assertThrows(() => parseManifest(`services:\n  a:\n    image: b\n${many}`, "x"), ManifestError);
  assertEquals(refused.lines.at(-1), "x: and 19980 more");
});

yamlTest("anything but services is refused at the top level", () => {
  refused("service: unknown field; did you mean `services`?", "§service:\n  a: { image: b }\n");
  refused("version: unknown field; did you mean `services`?", "services: {}\n§version: 2\n");
  refused("the file must have services:", "§- a\n");
  refused("the file must have services:", "# x\n§hello\n");
  refused("services: must have the services below it", "services: §[a]\n");
});

yamlTest("invalid YAML is refused where it breaks", () => {
  refused("", "services:\n  a:\n§\timage: b\n");
  refused("", "services: {§");
  refused("", "services:\n  a: 'b\n§");
  refused("", "services:\n  a: §@b\n");
  refused("", "services:\n  a: §*b\n");
  refused("", "services:\n  a: §!!js/function x\n");
  refused("", "services:\n  a: §!secret { image: b }\n");
  refused("a name must be text", "services:\n  ? §[a]\n  : { image: b }\n");
});

yamlTest("a duplicate key is refused at its second place", () => {
  refused("services.a.image: is given twice", "services:\n  a:\n    image: b\n    §image: c\n");
  refused("services.a: is given twice", "services:\n  a: { image: b }\n  §a: { image: b }\n");
  refused("services: is given twice", "services: {}\n§services: {}\n");
  refused("services.a.env.A: is given twice", 'services:\n  a: { image: b, env: { A: "1", §"A": "2" } }\n');
});

yamlTest("several documents are refused at the second", () => {
  refused("only one document is read", "services: {}\n\n§---\nservices: {}\n");
});

yamlTest("words mean what YAML 1.2 says, whatever the file asks for", () => {
  for (const head of ["", "%YAML 1.1\n---\n"]) {
    const text = `${head}services: { a: { image: b, env: { A: no, B: yes, C: on, D: 2001-01-01, E: 1_000, F: "0" } } }`;
    const { env } = parseManifest(text, "x").get("a")!.template;
    assertEquals(env, { A: "no", B: "yes", C: "on", D: "2001-01-01", E: "1_000", F: "0" });
  }
});

yamlTest("an alias stands for its anchor, and a fault in it is reported where the anchor stands", () => {
  const text = 'services:\n  a: &a\n    image: b\n    env: &env { A: "1" }\n  c: { image: d, env: *env }\n  e: *a\n';
  const manifest = parseManifest(text, "x");
  assertEquals(manifest.get("c")!.template.env, { A: "1" });
  assertEquals(manifest.get("e"), manifest.get("a"));
  refused("services.a.env.A: must be a text", "services:\n  a: &a\n    image: b\n    env: { A: §1 }\n  e: *a\n");
  const shared = "services:\n  a: &a { image: b, domains: [§x.example] }\n  c: *a\n";
  refused("services.c.domains.0: belongs to the service a", shared);
  refused("services.b.<<: merging is not supported", "services:\n  a: &a { image: a }\n  b:\n    §<<: *a\n");
});

yamlTest("hundreds of services may have one anchor", () => {
  const names = Array.from({ length: 500 }, (_, at) => `  a${at}: { image: b, env: *env }\n`);
  const text = `services:\n  a: { image: b, env: &env { A: "1", B: "2" } }\n${names.join("")}`;
  assertEquals(parseManifest(text, "x").size, 501);
});

yamlTest("aliases that stand for billions of values or for themselves are refused", () => {
  const bomb = ["  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"];
  for (let at = 1; at < 10; at++) bomb.push(`  a${at}: &a${at} [${Array(10).fill(`*a${at - 1}`).join(", ")}]\n`);
  const begun = performance.now();
  assertStringIncludes(refusal(`services:\n${bomb.join("")}`), "there are more than 200000 values");
  assert(performance.now() - begun < 5000);
  refused("a would contain itself", "services:\n  a: &a { b: §*a }\n");
});

yamlTest("a file that is too long or too deeply nested is refused", () => {
  refused("the file is longer than 1 MiB", "§" + "#".repeat(1024 * 1024 + 1));
  assertStringIncludes(refusal(`services: ${"[".repeat(200)}${"]".repeat(200)}`), "is nested too deeply");
  assertStringIncludes(refusal(`services: ${"[".repeat(10_000)}${"]".repeat(10_000)}`), "is nested too deeply");
  refusal(`services: ${"[".repeat(100_000)}`);
  refusal(`services: ${"{a: ".repeat(100_000)}`);
  refusal("- ".repeat(100_000));
});

yamlTest("every body is either read or refused in one line", () => {
  const words = [
    "services",
    "a",
    "image",
    "env",
    "---",
    "<<",
    "&a",
    "*a",
    "- ",
    "? ",
    ": ",
    "\n  ",
    "\n    ",
    "80",
    "\ud800",
  ];
  const piece = fc.constantFrom(...words, ...Array.from(":\n[]{},!|\"'#\t%~\r\0é"));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const text = pieces.join("");
      try {
        parseManifest(text, "cless.yaml");
      } catch (error) {
        assert(error instanceof ManifestError, String(error));
        assert(!/[\r\n]/.test(error.message) && PLACE.test(error.message), error.message);
      }
    }),
    { numRuns: 2000 },
  );
});
