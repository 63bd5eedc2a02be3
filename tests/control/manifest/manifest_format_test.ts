import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { formatManifest, type Manifest, parseManifest } from "../../../src/control/manifest/manifest.ts";
import { type ParsedService, parseService } from "../../../src/control/schema/schema.ts";
import { canonicalTemplate } from "../../../src/model/template.ts";
import { GOOD, yamlTest } from "./manifests.ts";
import { template } from "../schema/templates.ts";

const domain = fc.stringMatching(/^[a-z]{1,5}\.example$/);
const tag = fc.constantFrom("v1", "canary", "on", "y");
const traffic: fc.Arbitrary<Partial<ParsedService>> = fc.oneof(
  fc.record({ traffic: fc.nat({ max: 100 }), tag }, { requiredKeys: [] }),
  fc.nat({ max: 100 }).map((percent) => ({
    targets: [{ revision: "latest", percent }, { revision: "a-00001", percent: 100 - percent, tag: "old" }],
  })),
);

/** The templates in canonical form, since defaults may be missing. */
function canonical(manifest: Manifest): Map<string, ParsedService> {
  return new Map(
    [...manifest].map(([name, service]) => [name, { ...service, template: canonicalTemplate(service.template) }]),
  );
}

yamlTest("services that are formatted read the same", () => {
  assertEquals(canonical(parseManifest(formatManifest(new Map()), "x")), new Map());
  const declared = parseManifest(GOOD, "x");
  assertEquals(canonical(parseManifest(formatManifest(declared), "x")), canonical(declared));
  const name = fc.stringMatching(/^[a-z][a-z0-9]{0,5}$/).filter((name) => name !== "admin");
  const entry = fc.tuple(
    name,
    template,
    fc.record({
      domains: fc.uniqueArray(domain),
      revisionHistory: fc.nat({ max: 1000 }),
      wake: fc.record({
        except: fc.record({
          userAgents: fc.uniqueArray(fc.stringMatching(/^[ -~]{1,9}$/)),
          paths: fc.uniqueArray(fc.stringMatching(/^\/[a-z%:'*!-]{0,9}$/)),
        }),
      }),
      loading: fc.constantFrom("hold", "page"),
    }, { requiredKeys: [] }),
    traffic,
  );
  const manifest = fc.uniqueArray(entry, { selector: ([name]) => name, maxLength: 4 }).map((entries) => {
    const free = new Set<string>();
    return new Map<string, ParsedService>(entries.map(([name, template, service, traffic]) => {
      const domains = service.domains?.filter((domain) => !free.has(domain) && free.add(domain));
      return [name, { template, service: { ...service, ...(domains && { domains }) }, ...traffic }];
    }));
  });
  fc.assert(
    fc.property(manifest, (manifest) => {
      const text = formatManifest(manifest);
      assertEquals(canonical(parseManifest(text, "x")), canonical(manifest), text);
    }),
    { numRuns: 300 },
  );
});

yamlTest("the formatted file is short and readable", () => {
  const [, ...lines] = formatManifest(parseManifest(GOOD, "x")).trimEnd().split("\n");
  assertEquals(lines.slice(0, 4), [
    "  golang:",
    "    image: golang-docker",
    "  more:",
    "    image: ghcr.io/acme/more:v1",
  ]);
  assert(lines.includes('    stopAfter: "0"') && lines.includes("      KEY: |"));
  assert(!lines.some((line) => line.includes("maxInstances")), "a default is left out");
});

yamlTest("text of several lines becomes a block only if it survives that", () => {
  const written = (text: string) =>
    formatManifest(new Map([["a", parseService("a", { image: "b", env: { A: text } })]])).includes("A: |");
  assertEquals(["a\nb", "a\n\n  b\n"].map(written), [true, true]);
  const others = ["a", " a\nb", "\na", "a \nb", "a\nb ", "a\n\n", "a\r\nb", " \n", "\n"];
  assertEquals(others.map(written), others.map(() => false));
});
