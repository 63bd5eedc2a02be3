import { assert, assertEquals } from "@std/assert";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/2020";
import fc from "fast-check";
import { parse } from "yaml";
import { operationsOf } from "../../src/admin/routes.ts";
import { fileSchema } from "../../src/admin/service_schema.ts";
import { formatManifest, parseManifest } from "../../src/control/manifest/manifest.ts";
import { ManifestError } from "../../src/control/schema/invalid.ts";
import { yamlTest } from "../control/manifest/manifests.ts";
import { template } from "../control/schema/templates.ts";
import { noRead } from "../support/permissions.ts";
import { good, newAdmin } from "./kit.ts";

const SCHEMA_FILE = new URL("../../docs/schema.json", import.meta.url);

Deno.test({
  name: "the document is valid OpenAPI 3.1",
  ignore: noRead,
  fn: async () => {
    const document = await good((await newAdmin()).ask("GET", "/openapi.json"));
    assertEquals(document.openapi, "3.1.0");
    assertEquals(await new Validator().validate(document), { valid: true });
  },
});

Deno.test("the document has every operation, each with a unique id, its scope and all its errors", async () => {
  const { ask, parts } = await newAdmin();
  const { paths } = await good(ask("GET", "/openapi.json"));
  const names = new Set<string>();
  for (const { method, path, scope, errors = [] } of operationsOf(parts)) {
    const { operationId, security, responses, tags } = paths[path][method.toLowerCase()];
    assert(!names.has(operationId), operationId);
    names.add(operationId);
    assertEquals(security, scope === undefined ? [] : [{ token: [scope] }]);
    assertEquals(tags.length, 1);
    const described = Object.values<{ description: string }>(responses).map(({ description }) => description).join();
    for (const code of [...errors, "internal"]) assert(described.includes(`\`${code}\``), `${path} ${code}`);
    for (const code of scope === undefined ? [] : ["unauthorized", "forbidden", "too_many_attempts"]) {
      assert(described.includes(`\`${code}\``), `${path} ${code}`);
    }
  }
});

Deno.test("every example in the document is valid for its schema", async () => {
  const document = await good((await newAdmin()).ask("GET", "/openapi.json"));
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(document, "api");
  let checked = 0;
  const visit = (node: unknown, path: string) => {
    if (typeof node !== "object" || node === null) return;
    const { examples, example, schema } = node as Record<string, unknown>;
    if (Array.isArray(examples)) {
      for (const one of examples) {
        checked++;
        assert(ajv.validate({ $ref: `api#${path}` }, one), `${path}: ${ajv.errorsText()}`);
      }
    }
    if (example !== undefined && schema !== undefined) {
      checked++;
      assert(ajv.validate({ $ref: `api#${path}/schema` }, example), `${path}: ${ajv.errorsText()}`);
    }
    for (const [key, value] of Object.entries(node)) {
      if (key === "examples" || key === "example") continue;
      visit(value, `${path}/${encodeURIComponent(key.replaceAll("~", "~0").replaceAll("/", "~1"))}`);
    }
  };
  visit(document, "");
  assert(checked > 30, String(checked));
});

Deno.test({
  name: "docs/schema.json is the schema that is served",
  ignore: noRead,
  fn: async () => {
    const served = await good((await newAdmin()).ask("GET", "/schema.json"));
    const kept = JSON.parse(await Deno.readTextFile(SCHEMA_FILE).catch(() => "null"));
    assertEquals(kept, served, "write it anew: deno run --allow-write=docs tests/admin/write_schema.ts");
  },
});

yamlTest("the schema of the file takes whatever a file may say", () => {
  const validate = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(fileSchema());
  fc.assert(
    fc.property(template, (made) => {
      const text = formatManifest(new Map([["web", { template: made, service: { domains: ["shop.example.org"] } }]]));
      assert(validate(parse(text)), JSON.stringify(validate.errors));
    }),
    { numRuns: 200 },
  );
});

yamlTest("the schema of the file and the program take and refuse the same files", () => {
  const validate = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(fileSchema());
  const right = [
    "services:",
    "services: {}",
    "services: {web: {image: web}}",
    "services: {web: {image: web, traffic: 10, tag: next}}",
    "services: {web: {image: web, traffic: [{revision: latest, percent: 100, tag: next}]}}",
    "services: {web: {image: web, env: {A: '1'}, domains: [www.example.com], volumes: [{source: data, path: /a}]}}",
  ];
  const wrong = [
    "services: []",
    "service: {}",
    "services: {web: {}}",
    "services: {web: {image: web, prot: 1}}",
    "services: {admin: {image: web}}",
    "services: {a--b: {image: web}}",
    "services: {web: {image: web, env: {A: 1}}}",
    "services: {web: {image: web, env: {A-B: x}}}",
    "services: {web: {image: web, domains: ['*.example.com']}}",
    "services: {web: {image: web, tag: A}}",
    "services: {web: {image: web, traffic: 101}}",
    "services: {web: {image: web, traffic: [{revision: latest, percent: 100, tag: A}]}}",
    "services: {web: {image: web, stopAfter: soon}}",
  ];
  const taken = (text: string) => {
    try {
      parseManifest(text, "file");
      return true;
    } catch (error) {
      if (error instanceof ManifestError) return false;
      throw error;
    }
  };
  for (const text of right) assertEquals([validate(parse(text)), taken(text)], [true, true], text);
  for (const text of wrong) assertEquals([validate(parse(text)), taken(text)], [false, false], text);
});
