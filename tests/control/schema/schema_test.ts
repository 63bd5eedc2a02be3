import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { z } from "zod";
import {
  parseService,
  retiredWarning,
  serviceSchema,
  showTemplate,
  targetsSchema,
} from "../../../src/control/schema/schema.ts";
import { InvalidError } from "../../../src/control/schema/invalid.ts";
import { canonicalTemplate, templateText } from "../../../src/model/template.ts";
import { accepted, IMAGE, refusal, refused } from "./bodies.ts";
import { template } from "./templates.ts";

Deno.test("an image alone declares a service", () => {
  const { template, ...rest } = parseService("shop", { image: IMAGE });
  assertEquals(canonicalTemplate(template), canonicalTemplate({ image: IMAGE }));
  assertEquals(rest, { service: {} });
});

Deno.test("every field is read", () => {
  const parsed = parseService("shop", {
    image: IMAGE,
    pullPolicy: "always",
    port: 80,
    env: { A: "1", KEY: "-----BEGIN\nEND-----\n", EMPTY: "" },
    secretEnv: { TOKEN: "shop.token" },
    command: ["serve", "", "two\nlines"],
    volumes: [{ source: "data", path: "/data" }, { source: "/srv/shop", path: "/in", readOnly: true }],
    concurrency: 10,
    minInstances: 1,
    maxInstances: 1,
    startTimeout: "10s",
    requestTimeout: "5m",
    pauseAfter: "0",
    stopAfter: "1h",
    readiness: { path: "/ready?full=1" },
    memory: "256m",
    cpus: 0.5,
    capabilities: { add: ["CAP_NET_RAW"], drop: ["ALL"] },
    readOnly: true,
    user: "1000:1000",
    runtime: "runsc",
    domains: ["Shop.Example.org", "shop.example.org.", "example.com"],
    revisionHistory: 5,
    wake: { except: { userAgents: ["Bot", "Bot"], paths: ["/up", "/", "/up"] } },
    loading: "page",
    traffic: 0,
    tag: "v1",
  });
  assertEquals(parsed, {
    template: {
      image: IMAGE,
      pullPolicy: "always",
      port: 80,
      env: { A: "1", KEY: "-----BEGIN\nEND-----\n", EMPTY: "" },
      secretEnv: { TOKEN: "shop.token" },
      command: ["serve", "", "two\nlines"],
      volumes: [
        { source: "data", path: "/data", readOnly: false },
        { source: "/srv/shop", path: "/in", readOnly: true },
      ],
      concurrency: 10,
      minInstances: 1,
      maxInstances: 1,
      startTimeout: 10_000,
      requestTimeout: 300_000,
      pauseAfter: Infinity,
      stopAfter: 3_600_000,
      readiness: { path: "/ready?full=1" },
      memory: 268_435_456,
      cpus: 0.5,
      capabilities: { add: ["NET_RAW"], drop: ["ALL"] },
      readOnly: true,
      user: "1000:1000",
      runtime: "runsc",
    },
    service: {
      domains: ["shop.example.org", "example.com"],
      revisionHistory: 5,
      wake: { except: { userAgents: ["Bot"], paths: ["/up", "/"] } },
      loading: "page",
    },
    traffic: 0,
    tag: "v1",
  });
});

Deno.test("agents is another name of userAgents in exceptions from waking", () => {
  const read = (except: unknown) => parseService("shop", { image: IMAGE, wake: { except } }).service.wake;
  const wake = { except: { userAgents: ["known-robots", "Bot"], paths: [] } };
  assertEquals(read({ agents: ["known-robots", "Bot", "Bot"] }), wake);
  assertEquals(read({ userAgents: ["known-robots", "Bot"] }), wake);
  assertEquals([read({}), read({ agents: [] })], Array(2).fill({ except: { userAgents: [], paths: [] } }));
});

Deno.test("a template that is shown reads the same", () => {
  const shown = showTemplate(
    canonicalTemplate({ image: "a", stopAfter: Infinity, pauseAfter: 90_000, memory: 1024 ** 3 }),
  );
  assertEquals([shown.stopAfter, shown.pauseAfter, shown.memory], ["0", "90s", "1g"]);
  fc.assert(fc.property(template, (template) => {
    const shown = JSON.parse(JSON.stringify(showTemplate(template)));
    assertEquals(templateText(canonicalTemplate(parseService("shop", shown).template)), templateText(template));
  }));
});

Deno.test("an unknown field is refused with the most similar one, before any other fault", () => {
  const unknown: [body: object, message: string][] = [
    [{ prot: 80 }, "prot: unknown field; did you mean `port`?"],
    [{ domain: [], port: "x" }, "domain: unknown field; did you mean `domains`?"],
    [{ readiness: { paht: "/" } }, "readiness.paht: unknown field; did you mean `path`?"],
    [
      { volumes: [{ source: "a", path: "/a", readonly: true }] },
      "volumes.0.readonly: unknown field; did you mean `readOnly`?",
    ],
    [{ image: undefined, imgae: IMAGE }, "imgae: unknown field; did you mean `image`?"],
    [{ "": 1 }, '"": unknown field; did you mean `env`?'],
    [{ "a\nb": 1 }, '"a\\nb": unknown field'],
    [{ ["x".repeat(200)]: 1 }, `${"x".repeat(99)}…: unknown field`],
  ];
  for (const [body, message] of unknown) {
    const error = refusal(body);
    assertStringIncludes(error.message, message);
    assert(error.ofName && !error.message.includes("\n"));
  }
  assertEquals(refusal({ readiness: { paht: "/" } }).path, ["readiness", "paht"]);
});

Deno.test("all wrong fields are told, unknown ones first, and each field once", () => {
  const { faults } = refusal({ port: 0.5, concurrency: -1, prot: 1, cpu: 2, readiness: { paht: "/" }, env: { A: 1 } });
  assertEquals(faults.map(({ path }) => path.join(".")).sort(), [
    "concurrency",
    "cpu",
    "env.A",
    "port",
    "prot",
    "readiness.paht",
  ]);
  assertEquals(
    faults.filter(({ ofName, path }) => ofName && path.length === 1).map((
      { path, reason },
    ) => [path.join("."), reason]),
    [
      ["prot", "unknown field; did you mean `port`?"],
      ["cpu", "unknown field; did you mean `cpus`?"],
    ],
  );
  assertEquals(faults.slice(0, 3).map(({ ofName }) => ofName), [true, true, true]);
  const split = refusal({ traffic: [{ revision: "A", percent: 101 }] });
  assertEquals(split.faults.map(({ path }) => path.join(".")), ["traffic.0.revision", "traffic.0.percent"]);
});

Deno.test("a field that is missing beside an unknown one is not told, since it may be misspelt", () => {
  const { faults } = refusal({ image: undefined, imgae: IMAGE, volumes: [{ source: "data" }] });
  assertEquals(faults.map(({ path }) => path.join(".")), ["imgae", "volumes.0.path"]);
});

Deno.test("a body that is not an object is refused", () => {
  for (const body of [null, undefined, 5, "x", [], [{ image: IMAGE }]]) {
    const { message, path } = assertThrows(() => parseService("shop", body), InvalidError);
    assertMatch(message, /^the body: .*an object of names and values/);
    assertEquals(path, []);
  }
});

Deno.test("a missing value or one of a wrong type is refused with what is right", () => {
  const wrong: [body: object, message: string][] = [
    [{ image: undefined }, "image: is missing, and must be a text"],
    [{ image: null }, "image: must be a text, and is empty"],
    [{ env: { PORT: 8080 } }, "env.PORT: must be a text, and is a number; put it in quotes"],
    [{ env: { DEBUG: true } }, "env.DEBUG: must be a text, and is true; put it in quotes"],
    [{ env: { A: null } }, "env.A: must be a text, and is empty"],
    [{ env: [] }, "env: must be an object of names and values, and is a list"],
    [{ command: "serve -v" }, "command: must be a list, and is a text"],
    [{ volumes: ["a:/a"] }, "volumes.0: must be an object of names and values, and is a text"],
    [{ volumes: [{ source: "data" }] }, "volumes.0.path: is missing, and must be a text"],
    [
      { volumes: [{ source: "data", path: "/a", readOnly: "yes" }] },
      "volumes.0.readOnly: must be true or false, and is a text",
    ],
    [{ cpus: "1" }, "cpus: must be a number, and is a text"],
    [{ cpus: Infinity }, "cpus: must be a number, and is not finite"],
    [{ memory: 268435456 }, "memory: must be a text, and is a number"],
    [{ stopAfter: 30 }, "stopAfter: must be a text, and is a number; put it in quotes"],
    [{ pullPolicy: "allways" }, "pullPolicy: must be one of missing, always, never"],
    [{ domains: "a.example" }, "domains: must be a list, and is a text"],
    [{ traffic: "all" }, "traffic: must be a whole number from 0 to 100"],
    [{ traffic: [] }, "traffic: the percents must sum to 100, and not to 0"],
    [{ traffic: [{ revision: "latest" }] }, "traffic.0.percent: must be a whole number from 0 to 100"],
    [{ traffic: [{ percent: 100, revison: "latest" }] }, "traffic.0.revison: unknown field; did you mean `revision`?"],
    [{ traffic: [1] }, "traffic.0: must be an object of names and values, and is a number"],
  ];
  for (const [body, message] of wrong) assertStringIncludes(refusal(body).message, message);
});

Deno.test("the name __proto__ is refused wherever it stands", () => {
  const bodies = [`{"__proto__":1}`, `{"env":{"__proto__":"x"}}`, `{"secretEnv":{"__proto__":"x"}}`];
  for (const text of [...bodies, `{"volumes":[{"source":"a","path":"/a","__proto__":1}]}`]) {
    const error = refusal(JSON.parse(text));
    assertMatch(error.message, /__proto__: cannot be used as a name/);
  }
  accepted([{ env: { constructor: "x", toString: "x", hasOwnProperty: "x" } }]);
  assertEquals(parseService("shop", { image: "a", env: { constructor: "x" } }).template.env, { constructor: "x" });
  refused("constructor", "unknown field", [{ constructor: 1 }]);
});

Deno.test("a very deeply nested body is refused", () => {
  const deep = JSON.parse("[".repeat(50_000) + "]".repeat(50_000));
  refused("env", "must be an object", [{ env: deep }]);
  refused("x", "unknown field", [{ x: deep }]);
});

Deno.test("no message contains the value of a variable, and each is one line", () => {
  const secret = "hunter2";
  const bodies: object[] = [
    { env: { A: `${secret}\0` } },
    { env: { A: secret.repeat(50_000) } },
    { env: { A: [secret] } },
    { env: { "A\n": secret } },
    { secretEnv: { A: `${secret} ` } },
    { command: [`${secret}\0`] },
  ];
  for (const body of bodies) {
    const { message } = refusal(body);
    assert(!message.includes(secret) && !/[\r\n]/.test(message), message);
  }
});

Deno.test("traffic is a number or a whole split", () => {
  const targets = [{ revision: "shop-00001", percent: 90, tag: "old" }, { revision: "latest", percent: 10 }];
  assertEquals(parseService("shop", { image: IMAGE, traffic: targets }).targets, targets);
  const { traffic, targets: none } = parseService("shop", { image: IMAGE, traffic: 10 });
  assertEquals([traffic, none], [10, undefined]);
  refused("tag", "must be inside the list of traffic", [{ traffic: targets, tag: "new" }]);
  refused("traffic", "latest is given twice", [{ traffic: [targets[1], { ...targets[1], percent: 90 }] }]);
  const long = [{ revision: "latest", percent: 100, tag: "t".repeat(31) }];
  assertEquals(parseService("s".repeat(30), { image: IMAGE, traffic: long }).targets, long);
  const { message } = refusal({ traffic: long }, "s".repeat(31));
  assertStringIncludes(message, "traffic.0.tag: must be at most 30 characters here");
});

Deno.test("minInstances cannot be more than maxInstances", () => {
  accepted([{ minInstances: 1 }, { minInstances: 3, maxInstances: 3 }]);
  refused("minInstances", "must be at most maxInstances, which is 1", [{ minInstances: 2 }]);
});

Deno.test("the schemas can be shown as JSON Schema, for input and for output", () => {
  for (const io of ["input", "output"] as const) {
    const schema = z.toJSONSchema(serviceSchema, { io });
    const { properties = {}, required = [], additionalProperties } = schema;
    assertEquals(additionalProperties, false);
    assert(required.includes("image") && !required.includes("domains"));
    assertEquals((properties["port"] as z.core.JSONSchema.JSONSchema).default, 8080);
    assertEquals((properties["maxInstances"] as z.core.JSONSchema.JSONSchema).maximum, 1000);
    assertMatch("30s", new RegExp((properties["stopAfter"] as z.core.JSONSchema.JSONSchema).pattern!));
    assertMatch("256m", new RegExp((properties["memory"] as z.core.JSONSchema.JSONSchema).pattern!));
    assert(!JSON.stringify(schema).includes("{}}"), "every part says what it is");
  }
  assertEquals(z.toJSONSchema(serviceSchema, { io: "input" }).required, ["image"]);
  assertEquals(z.toJSONSchema(targetsSchema).type, "array");
});

Deno.test("every body is either read or refused in one line", () => {
  const field = fc.constantFrom(...Object.keys(serviceSchema.shape), "prot", "__proto__");
  const value = fc.oneof(fc.jsonValue(), fc.string(), fc.integer(), fc.constantFrom("30s", "256m", "/data"));
  fc.assert(
    fc.property(fc.dictionary(field, value), fc.boolean(), (body, withImage) => {
      try {
        parseService("shop", withImage ? { ...body, image: IMAGE } : body);
      } catch (error) {
        assert(error instanceof InvalidError, String(error));
        assert(!/[\r\n]/.test(error.message) && error.message.startsWith(String(error.path[0])), error.message);
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("a field of earlier versions is ignored with any value, and reported", () => {
  for (const warmPool of [0, 2, "many", null]) {
    const { retired, ...rest } = parseService("shop", { image: IMAGE, warmPool });
    assertEquals(rest, parseService("shop", { image: IMAGE }));
    assertEquals(retired, ["warmPool"]);
  }
  const services = [parseService("shop", { image: IMAGE, warmPool: 1 }), parseService("web", { image: IMAGE })];
  assertEquals(retiredWarning(services), "warmPool has no effect any more and is ignored");
  assertEquals(retiredWarning(services.slice(1)), undefined);
});
