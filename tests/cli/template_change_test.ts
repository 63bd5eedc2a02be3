import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { OperatorError } from "../../src/base/errors.ts";
import { mergeChange, parseEnv, readEnvFile, type TemplateChange } from "../../src/cli/template_change.ts";
import type { TemplateJson } from "../../src/control/schema/schema.ts";
import type { WakeSettings } from "../../src/model/service.ts";
import { noRead } from "../support/permissions.ts";
import { TEMPLATE } from "./fake_api.ts";

const LATEST = TEMPLATE as TemplateJson;

/** No change at all. */
const NOTHING: TemplateChange = {
  unset: [],
  fields: {},
  liveness: {},
  capabilities: { add: [], drop: [] },
  placement: {},
  nodeLabels: {},
  env: {},
  secretEnv: {},
  unsetEnv: [],
  volumes: [],
  domains: [],
  wakeExceptAgents: [],
  wakeExceptPaths: [],
  access: { allow: [], basic: {}, except: [], oidcAllow: [], oidc: {}, limits: {} },
};

const WAKE: WakeSettings = { except: { userAgents: ["Bot"], paths: ["/up"] } };

/** The body for a change of the latest revision. */
function merged(change: Partial<TemplateChange>, wake: WakeSettings = WAKE) {
  return mergeChange(LATEST, { domains: ["a.example"], wake }, { ...NOTHING, ...change });
}

Deno.test("fields that are not mentioned stay", () => {
  assertEquals(merged({}), { ...LATEST });
  assertEquals(merged({ fields: { image: "web:v3", port: 80 } }), { ...LATEST, image: "web:v3", port: 80 });
});

Deno.test("variables are added, replaced and removed", () => {
  const { env, secretEnv } = merged({ env: { MODE: "slow", NEW: "1" }, unsetEnv: ["KEY", "nosuch"] });
  assertEquals([env, secretEnv], [{ MODE: "slow", NEW: "1" }, { TOKEN: "web.token" }]);
  assertEquals(merged({ unsetEnv: ["TOKEN"] })["secretEnv"], {});
  assertEquals(merged({ unsetEnv: ["MODE"], env: { MODE: "again" } })["env"], { KEY: "two\nlines", MODE: "again" });
});

Deno.test("a variable is a value or a secret, whichever was set last", () => {
  const secret = merged({ secretEnv: { MODE: "web.mode" } });
  assertEquals([secret["env"], secret["secretEnv"]], [{ KEY: "two\nlines" }, { TOKEN: "web.token", MODE: "web.mode" }]);
  const value = merged({ env: { TOKEN: "open" } });
  assertEquals([Object.keys(value["env"]!), value["secretEnv"]], [["MODE", "KEY", "TOKEN"], {}]);
});

Deno.test("a volume replaces the one at the same path", () => {
  const [data, more] = [{ source: "new", path: "/data", readOnly: true }, { source: "x", path: "/x", readOnly: false }];
  assertEquals(merged({ volumes: [more] })["volumes"], [...LATEST.volumes!, more]);
  assertEquals(merged({ volumes: [data] })["volumes"], [data]);
});

Deno.test("domains are added to those of the service, and not sent if they stay", () => {
  assertEquals("domains" in merged({}), false);
  assertEquals(merged({ domains: ["b.example", "a.example"] })["domains"], ["a.example", "b.example"]);
});

Deno.test("fields are set back before the others are set", () => {
  const body = merged({ unset: ["memory", "env", "volumes", "domains"], env: { ONE: "1" }, domains: ["c.example"] });
  assertEquals([body["memory"], body["env"], body["volumes"], body["domains"]], [undefined, { ONE: "1" }, [], [
    "c.example",
  ]]);
  assertEquals(merged({ unset: ["domains"] })["domains"], []);
});

Deno.test("exceptions from waking are added to those of their kind, and not sent if all stay", () => {
  assertEquals("wake" in merged({}), false);
  const wake = (userAgents: string[], paths: string[]) => ({ except: { userAgents, paths } });
  assertEquals(merged({ wakeExceptAgents: ["Bot", "Spider"] })["wake"], wake(["Bot", "Spider"], ["/up"]));
  assertEquals(merged({ wakeExceptPaths: ["/"] })["wake"], wake(["Bot"], ["/up", "/"]));
  assertEquals(merged({ unset: ["wakeExceptAgents"], wakeExceptPaths: ["/a"] })["wake"], wake([], ["/up", "/a"]));
  assertEquals(merged({ unset: ["wakeExceptAgents", "wakeExceptPaths"] })["wake"], wake([], []));
});

Deno.test("liveness is set, changed in part, or removed", () => {
  assertEquals("liveness" in merged({}), false);
  assertEquals(merged({ liveness: { path: "/up" } })["liveness"], { path: "/up" });
  const before = { ...LATEST, liveness: { path: "/up", every: "10s" } };
  const after = (change: Partial<TemplateChange>) =>
    mergeChange(before, undefined, { ...NOTHING, ...change })["liveness"];
  assertEquals(after({}), { path: "/up", every: "10s" });
  assertEquals(after({ liveness: { every: "5s" } }), { path: "/up", every: "5s" });
  assertEquals(after({ unset: ["liveness"] }), undefined);
  assertEquals(after({ unset: ["liveness"], liveness: { every: "5s" } }), { every: "5s" });
});

Deno.test("capabilities are added to their list, and leave the other one", () => {
  assertEquals("capabilities" in merged({}), false);
  const after = (capabilities: TemplateChange["capabilities"], unset: string[] = []) =>
    mergeChange({ ...LATEST, capabilities: { add: ["NET_RAW"], drop: ["CHOWN"] } }, undefined, {
      ...NOTHING,
      capabilities,
      unset,
    })["capabilities"];
  assertEquals(after({ add: [], drop: [] }), { add: ["NET_RAW"], drop: ["CHOWN"] });
  assertEquals(after({ add: ["CHOWN", "KILL"], drop: [] }), { add: ["NET_RAW", "CHOWN", "KILL"], drop: [] });
  assertEquals(after({ add: [], drop: ["NET_RAW"] }), { add: [], drop: ["CHOWN", "NET_RAW"] });
  assertEquals(after({ add: [], drop: ["ALL"] }, ["capabilities"]), { add: [], drop: ["ALL"] });
  assertEquals(after({ add: [], drop: [] }, ["capabilities"]), undefined);
});

Deno.test("loading is set, set back, or not sent", () => {
  assertEquals("loading" in merged({}), false);
  assertEquals(merged({ fields: { loading: "page" } })["loading"], "page");
  assertEquals(merged({ unset: ["loading"] })["loading"], "hold");
  assertEquals(merged({ unset: ["loading"], fields: { loading: "page" } })["loading"], "page");
});

Deno.test("a new service has what is set, and nothing else", () => {
  const change = { ...NOTHING, env: { A: "1" }, domains: ["a.example"] };
  assertEquals(mergeChange(undefined, undefined, { ...change, fields: { image: "web" } }), {
    image: "web",
    env: { A: "1" },
    secretEnv: {},
    volumes: [],
    domains: ["a.example"],
  });
});

Deno.test("a file of variables has lines with a name and a value, which is taken as it is", () => {
  const text = [
    "\ufeff# all of them",
    "",
    "A=1",
    "B=",
    "C=a = b # c",
    "  D=d ",
    "export E=e",
    'F="two words"',
    "G='x'",
    'H="open',
    "A=2",
    "   # last",
    "I=windows\r",
  ].join("\n");
  assertEquals(parseEnv(text, "x"), {
    ...{ A: "2", B: "", C: "a = b # c", D: "d ", E: "e", F: "two words", G: "x", H: '"open' },
    I: "windows",
  });
  assertEquals(parseEnv("A=1\r\nB=2\r\n", "x"), { A: "1", B: "2" });
  assertEquals(parseEnv("", "x"), {});
  assertEquals(Object.hasOwn(parseEnv("__proto__=x", "x"), "__proto__"), true);
});

Deno.test("a wrong line is refused with its file and number, and its value is not shown", () => {
  const refusal = (text: string) => assertThrows(() => parseEnv(text, "prod.env"), OperatorError).message;
  assertEquals(refusal("A=1\n\nsecret"), "prod.env:3: expected KEY=VALUE");
  const name = "the name before = may only have letters, digits and _, and no digit first";
  for (const line of ["=secret", "A B=secret", "1A=secret", "A =secret", "ä=secret"]) {
    assertEquals(refusal(line), `prod.env:1: ${name}`);
  }
  const { lines } = assertThrows(() => parseEnv("secret\nA=1\n=x", "prod.env"), OperatorError);
  assertEquals(lines, ["prod.env:1: expected KEY=VALUE", `prod.env:3: ${name}`]);
});

Deno.test({
  name: "a file that cannot be read is named",
  ignore: noRead,
  fn: async () => {
    const { message } = await assertRejects(() => readEnvFile("/nowhere/prod.env"), OperatorError);
    assertEquals(message, "cannot read /nowhere/prod.env: No such file or directory");
  },
});

Deno.test("rules for machines are added to those that a service has", () => {
  const before = { ...LATEST, placement: { node: "alpha", labels: { disk: "fast" } } };
  const after = (change: Partial<TemplateChange>) =>
    mergeChange(before, undefined, { ...NOTHING, ...change })["placement"];
  assertEquals(after({}), before.placement);
  assertEquals(after({ placement: { spread: "room" }, nodeLabels: { room: "2" } }), {
    node: "alpha",
    labels: { disk: "fast", room: "2" },
    spread: "room",
  });
  assertEquals(after({ unset: ["placement"], placement: { node: "beta" } }), { node: "beta" });
});
