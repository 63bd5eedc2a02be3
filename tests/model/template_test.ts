import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  canonicalTemplate,
  parseTemplateText,
  type RevisionTemplate,
  type TemplateInput,
  templateText,
} from "../../src/model/template.ts";

/** The text of a template. */
function textOf(input: TemplateInput): string {
  return templateText(canonicalTemplate(input));
}

const VOLUME = { source: "data", path: "/data", readOnly: false };

/** A template in which every field differs from its default. */
const FULL: RevisionTemplate = canonicalTemplate({
  image: "shop",
  pullPolicy: "always",
  port: 80,
  env: { B: "2", A: "1" },
  secretEnv: { KEY: "key" },
  command: ["serve", "-v"],
  volumes: [VOLUME],
  concurrency: 5,
  minInstances: 1,
  maxInstances: 3,
  startTimeout: 1000,
  requestTimeout: 2000,
  clientTimeout: 2500,
  pauseAfter: 3000,
  stopAfter: Infinity,
  hangAfter: 4000,
  readiness: { path: "/ready" },
  liveness: { path: "/health", every: 5000 },
  memory: 1024,
  cpus: 0.5,
  capabilities: { add: ["CHOWN", "NET_RAW"], drop: ["ALL"] },
  readOnly: true,
  user: "1000",
  runtime: "runsc",
  placement: { node: "alpha", labels: { disk: "fast", room: "2" }, spread: "room" },
});

const record = fc.dictionary(fc.string(), fc.string(), { noNullPrototype: true });
const time = fc.oneof(fc.integer({ min: 1, max: 2 ** 31 - 1 }), fc.constant(Infinity));
const count = fc.nat({ max: 1000 });
const input: fc.Arbitrary<TemplateInput> = fc.record({
  image: fc.string(),
  pullPolicy: fc.constantFrom("missing", "always", "never"),
  port: count,
  env: record,
  secretEnv: record,
  command: fc.array(fc.string()),
  volumes: fc.array(fc.record({ source: fc.string(), path: fc.string(), readOnly: fc.boolean() })),
  concurrency: count,
  minInstances: count,
  maxInstances: count,
  startTimeout: time,
  requestTimeout: time,
  clientTimeout: time,
  pauseAfter: time,
  stopAfter: time,
  hangAfter: time,
  readiness: fc.record({ path: fc.string() }),
  memory: count,
  cpus: fc.double({ min: 0.01, max: 1024, noNaN: true }),
  capabilities: fc.record({ add: fc.array(fc.string()), drop: fc.array(fc.string()) }),
  readOnly: fc.boolean(),
  user: fc.string(),
  runtime: fc.string(),
  placement: fc.record({ node: fc.string(), labels: record, spread: fc.string() }, { requiredKeys: [] }),
}, { requiredKeys: ["image"] });

/** The same with the keys of every object, and the volumes, in reverse order. */
function reversed(template: TemplateInput): TemplateInput {
  const turn = <T extends object>(value: T) => Object.fromEntries(Object.entries(value).reverse()) as T;
  return turn({
    ...template,
    ...(template.env && { env: turn(template.env) }),
    ...(template.secretEnv && { secretEnv: turn(template.secretEnv) }),
    ...(template.capabilities && {
      capabilities: turn({
        add: template.capabilities.add.toReversed(),
        drop: template.capabilities.drop.toReversed(),
      }),
    }),
    ...(template.volumes && { volumes: template.volumes.toReversed().map(turn) }),
  });
}

/** Whether nothing in a value can be changed. */
function deeplyFrozen(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return true;
  return Object.isFrozen(value) && Object.values(value).every(deeplyFrozen);
}

Deno.test("an image alone gets the defaults", () => {
  assertEquals(canonicalTemplate({ image: "shop" }), {
    image: "shop",
    pullPolicy: "missing",
    port: 8080,
    env: {},
    secretEnv: {},
    command: [],
    volumes: [],
    concurrency: 0,
    minInstances: 0,
    maxInstances: 1,
    readiness: { path: "/" },
  });
});

Deno.test("given fields are kept", () => {
  assertEquals(FULL.stopAfter, Infinity);
  assertEquals(Object.keys(FULL).length, 25);
  assertEquals(canonicalTemplate(FULL), FULL);
});

Deno.test("a default that is given makes no difference", () => {
  assertEquals(textOf({ image: "shop" }), textOf(canonicalTemplate({ image: "shop" })));
  assertEquals(textOf({ image: "shop", port: 8080, env: {} }), textOf({ readiness: { path: "/" }, image: "shop" }));
});

Deno.test("the order of keys and volumes makes no difference", () => {
  assertEquals(textOf({ image: "a", env: { A: "1", B: "2" } }), textOf({ env: { B: "2", A: "1" }, image: "a" }));
  fc.assert(fc.property(input, (template) => assertEquals(textOf(reversed(template)), textOf(template))));
});

Deno.test("volumes at the same path have one order", () => {
  const volumes = ["b", "a", "c"].flatMap((source) =>
    [true, false].map((readOnly) => ({ ...VOLUME, source, readOnly }))
  );
  assertEquals(textOf({ image: "a", volumes }), textOf({ image: "a", volumes: volumes.toReversed() }));
});

Deno.test("an unknown field makes no difference", () => {
  const extra = { image: "a", volumes: [{ ...VOLUME, note: "x" }], note: "x" };
  assertEquals(textOf(extra), textOf({ image: "a", volumes: [VOLUME] }));
});

Deno.test("every other difference changes the text", () => {
  const others: Partial<RevisionTemplate>[] = [
    { image: "shop:latest" },
    { pullPolicy: "never" },
    { port: 81 },
    { env: { A: "2", B: "1" } },
    { env: { A: "1" } },
    { env: {}, secretEnv: { ...FULL.secretEnv, ...FULL.env } },
    { secretEnv: { KEY: "other" } },
    { command: ["-v", "serve"] },
    { command: ["serve -v"] },
    { volumes: [{ ...VOLUME, readOnly: true }] },
    { volumes: [{ ...VOLUME, path: "/data2" }] },
    { volumes: [] },
    { concurrency: 6 },
    { minInstances: 0 },
    { maxInstances: 4 },
    { startTimeout: Infinity },
    { requestTimeout: 2001 },
    { clientTimeout: 2001 },
    { pauseAfter: Infinity },
    { stopAfter: 1000 },
    { hangAfter: Infinity },
    { readiness: { path: "/ready/" } },
    { liveness: { path: "/health", every: 6000 } },
    { memory: 1025 },
    { cpus: 0.25 },
    { capabilities: { add: ["CHOWN"], drop: ["ALL"] } },
    { capabilities: { add: ["CHOWN", "NET_RAW"], drop: [] } },
    { user: "1001" },
    { runtime: "runc" },
    { placement: { node: "beta" } },
    { placement: { labels: { disk: "fast" } } },
    { placement: { spread: "disk" } },
  ];
  const texts = [FULL, ...others.map((other) => ({ ...FULL, ...other }))].map(textOf);
  assertEquals(new Set(texts).size, texts.length);
  for (
    const key of [
      ...[
        "startTimeout",
        "requestTimeout",
        "clientTimeout",
        "pauseAfter",
        "stopAfter",
        "hangAfter",
        "memory",
        "cpus",
      ] as const,
      ...["capabilities", "readOnly", "user", "runtime", "placement"] as const,
    ]
  ) {
    const { [key]: _, ...rest } = FULL;
    assertNotEquals(textOf(rest), templateText(FULL), `without ${key}`);
  }
});

Deno.test("a template without the fields of isolation has the text that it had before there were any", () => {
  const plain = { image: "shop", readOnly: false, capabilities: { add: [], drop: [] }, placement: { labels: {} } };
  assertEquals(textOf(plain), textOf({ image: "shop" }));
  assertEquals(/capabilities|readOnly"|user|runtime|placement/.test(textOf(plain)), false);
});

Deno.test("two texts are equal exactly if the templates are", () => {
  fc.assert(fc.property(input, input, (a, b) => {
    const [first, second] = [canonicalTemplate(a), canonicalTemplate(b)];
    assertEquals(templateText(first) === templateText(second), isSame(first, second));
  }));
});

function isSame(a: RevisionTemplate, b: RevisionTemplate): boolean {
  try {
    assertEquals(a, b);
    return true;
  } catch {
    return false;
  }
}

Deno.test("a template reads the same after it was written", () => {
  assertEquals(parseTemplateText(templateText(FULL)), FULL);
  fc.assert(fc.property(input, (said) => {
    const template = canonicalTemplate(said);
    const read = parseTemplateText(templateText(template));
    assertEquals(read, template);
    assertEquals(templateText(read), templateText(template));
  }));
});

Deno.test("a variable whose value is `never` is no time", () => {
  const template = canonicalTemplate({
    image: "a",
    env: { stopAfter: "never" },
    command: ["never"],
    stopAfter: Infinity,
  });
  assertEquals(parseTemplateText(templateText(template)), template);
});

Deno.test("a variable called __proto__ is one like the others", () => {
  const env = JSON.parse(`{"__proto__":"x","A":"1"}`);
  const template = canonicalTemplate({ image: "a", env });
  assertEquals(Object.entries(template.env), [["A", "1"], ["__proto__", "x"]]);
  assertEquals(Object.entries(parseTemplateText(templateText(template)).env), Object.entries(template.env));
});

Deno.test("nothing in a template can be changed, and it shares nothing with what it was made from", () => {
  assert(deeplyFrozen(FULL));
  const said = { image: "a", env: { A: "1" }, command: ["x"], volumes: [{ ...VOLUME }], readiness: { path: "/" } };
  const template = canonicalTemplate(said);
  said.env.A = "2";
  said.command.push("y");
  said.volumes[0]!.path = "/other";
  said.readiness.path = "/other";
  assertEquals([template.env, template.command, template.volumes], [{ A: "1" }, ["x"], [VOLUME]]);
  assertEquals(template.readiness.path, "/");
  fc.assert(fc.property(input, (said) => {
    assert(deeplyFrozen(canonicalTemplate(said)));
    assert(deeplyFrozen(parseTemplateText(templateText(canonicalTemplate(said)))));
  }));
  assertThrows(() => (template.env as Record<string, string>)["A"] = "3", TypeError);
});

Deno.test("a stored template with a field of earlier versions means the same without it", () => {
  const stored = templateText(FULL).replace('"maxInstances":3', '"maxInstances":3,"warmPool":2');
  assertEquals(templateText(parseTemplateText(stored)), templateText(FULL));
});
