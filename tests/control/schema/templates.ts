import fc from "fast-check";
import { canonicalTemplate, type RevisionTemplate, type TemplateInput } from "../../../src/model/template.ts";
import { CODE_POINT } from "../../support/code_point.ts";

const variable = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,10}$/).filter((name) => name !== "__proto__");
/** Any value of a variable, often one that YAML would read as something else. */
export const text: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: CODE_POINT }),
  fc.string({ unit: fc.constantFrom(...Array.from("ab \n\r\t:#-'\"\\|>&*!%@`[]{},?=\u0085\u2028\ufeff\x01\x7f")) }),
  fc.constantFrom(
    "",
    "0",
    "1e3",
    "0x1F",
    "null",
    "~",
    "true",
    "no",
    ".inf",
    "2001-01-01",
    "<<",
    "=",
    "---",
    "...\n",
    "\n",
  ),
  fc.lorem({ mode: "sentences", maxCount: 10 }),
).map((text) => text.replaceAll("\0", ""));
const time = fc.oneof(fc.integer({ min: 1, max: 2 ** 31 - 1 }), fc.constant(Infinity));
const path = fc.stringMatching(/^(\/[a-z][a-z. ]{0,5}){1,3}$/);
const input: fc.Arbitrary<TemplateInput> = fc.record({
  image: fc.constantFrom("shop", "ghcr.io/acme/shop:1.0", "1", "localhost:5000/a__b"),
  pullPolicy: fc.constantFrom("missing", "always", "never"),
  port: fc.integer({ min: 1, max: 65535 }),
  env: fc.dictionary(variable, text, { noNullPrototype: true }),
  command: fc.oneof(
    fc.constant([]),
    fc.tuple(fc.constantFrom("serve", "/bin/a-b", "1", "~", "é", "--bind"), fc.array(text)).map(([program, words]) => [
      program,
      ...words,
    ]),
  ),
  volumes: fc.uniqueArray(
    fc.record({
      source: fc.oneof(path, fc.stringMatching(/^[a-z0-9][a-z0-9_.-]{1,5}$/)),
      path,
      readOnly: fc.boolean(),
    }),
    { selector: (volume) => volume.path, maxLength: 3 },
  ),
  concurrency: fc.nat({ max: 100_000 }),
  minInstances: fc.constantFrom(0, 1),
  startTimeout: time,
  requestTimeout: time,
  clientTimeout: time,
  pauseAfter: time,
  stopAfter: time,
  hangAfter: time,
  liveness: fc.record({
    path: fc.stringMatching(/^\/[!-"$-~]{0,20}$/),
    every: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  }),
  readiness: fc.record({ path: fc.stringMatching(/^\/[!-"$-~]{0,20}$/) }),
  memory: fc.tuple(fc.constantFrom(1, 1024, 1024 ** 3), fc.integer({ min: 1, max: 5000 })).map(([a, b]) =>
    a * b + 6 * 1024 ** 2
  ),
  cpus: fc.double({ min: 0.01, max: 1024, noNaN: true }),
  capabilities: fc.record({
    add: fc.uniqueArray(fc.constantFrom("CHOWN", "NET_RAW", "SYS_ADMIN")),
    drop: fc.uniqueArray(fc.constantFrom("ALL", "KILL", "SETUID")),
  }),
  readOnly: fc.boolean(),
  user: fc.constantFrom("1000", "app:staff"),
  runtime: fc.constantFrom("runc", "runsc"),
  placement: fc.record({
    node: fc.constantFrom("alpha", "zlysolm3z4svauf3pwe0wmauq"),
    labels: fc.dictionary(fc.constantFrom("disk", "room", "a.b"), fc.constantFrom("fast", "2"), {
      noNullPrototype: true,
    }),
    spread: fc.constantFrom("disk", "room"),
  }, { requiredKeys: [] }),
}, { requiredKeys: ["image"] });

/** Any valid template. */
export const template: fc.Arbitrary<RevisionTemplate> = fc.tuple(
  input,
  fc.dictionary(variable, fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,8}$/), { noNullPrototype: true }),
  fc.integer({ min: 1, max: 1000 }),
).map(([said, secrets, maxInstances]) =>
  canonicalTemplate({
    ...said,
    secretEnv: Object.fromEntries(Object.entries(secrets).filter(([name]) => !Object.hasOwn(said.env ?? {}, name))),
    maxInstances: said.volumes?.length ? 1 : maxInstances,
  })
);
