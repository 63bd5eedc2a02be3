import { assertEquals } from "@std/assert";
import { mergeChange, type TemplateChange } from "../../../src/cli/deploy/merge.ts";
import type { TemplateJson } from "../../../src/control/schema/schema.ts";
import type { WakeSettings } from "../../../src/model/waking.ts";
import { TEMPLATE } from "../fake_api.ts";

const LATEST = TEMPLATE as TemplateJson;

/** No change at all. */
const NOTHING: TemplateChange = {
  unset: [],
  fields: {},
  liveness: {},
  env: {},
  secretEnv: {},
  unsetEnv: [],
  volumes: [],
  domains: [],
  loading: undefined,
  wakeExceptAgents: [],
  wakeExceptPaths: [],
};
const WAKE: WakeSettings = { except: { userAgents: ["Bot"], paths: ["/up"] } };

/** What is sent for a change of the latest revision. */
function merged(change: Partial<TemplateChange>, wake: WakeSettings = WAKE) {
  return mergeChange(LATEST, { domains: ["a.example"], wake }, { ...NOTHING, ...change });
}

Deno.test("what is not said stays", () => {
  assertEquals(merged({}), { ...LATEST });
  assertEquals(merged({ fields: { image: "web:v3", port: 80 } }), { ...LATEST, image: "web:v3", port: 80 });
});

Deno.test("variables are added, replaced and taken away", () => {
  const { env, secretEnv } = merged({ env: { MODE: "slow", NEW: "1" }, unsetEnv: ["KEY", "nosuch"] });
  assertEquals([env, secretEnv], [{ MODE: "slow", NEW: "1" }, { TOKEN: "web.token" }]);
  assertEquals(merged({ unsetEnv: ["TOKEN"] })["secretEnv"], {});
  assertEquals(merged({ unsetEnv: ["MODE"], env: { MODE: "again" } })["env"], { KEY: "two\nlines", MODE: "again" });
});

Deno.test("a variable is a value or a secret, whichever is said last", () => {
  const secret = merged({ secretEnv: { MODE: "web.mode" } });
  assertEquals([secret["env"], secret["secretEnv"]], [{ KEY: "two\nlines" }, { TOKEN: "web.token", MODE: "web.mode" }]);
  const value = merged({ env: { TOKEN: "open" } });
  assertEquals([Object.keys(value["env"]!), value["secretEnv"]], [["MODE", "KEY", "TOKEN"], {}]);
});

Deno.test("a volume takes the place of the one at its path", () => {
  const [data, more] = [{ source: "new", path: "/data", readOnly: true }, { source: "x", path: "/x", readOnly: false }];
  assertEquals(merged({ volumes: [more] })["volumes"], [...LATEST.volumes!, more]);
  assertEquals(merged({ volumes: [data] })["volumes"], [data]);
});

Deno.test("domains are added to those of the service, and not mentioned where they stay", () => {
  assertEquals("domains" in merged({}), false);
  assertEquals(merged({ domains: ["b.example", "a.example"] })["domains"], ["a.example", "b.example"]);
});

Deno.test("what is set back goes before what is said", () => {
  const body = merged({ unset: ["memory", "env", "volumes", "domains"], env: { ONE: "1" }, domains: ["c.example"] });
  assertEquals([body["memory"], body["env"], body["volumes"], body["domains"]], [undefined, { ONE: "1" }, [], [
    "c.example",
  ]]);
  assertEquals(merged({ unset: ["domains"] })["domains"], []);
});

Deno.test("exceptions from waking are added to those of their kind, and not mentioned where all stay", () => {
  assertEquals("wake" in merged({}), false);
  const wake = (userAgents: string[], paths: string[]) => ({ except: { userAgents, paths } });
  assertEquals(merged({ wakeExceptAgents: ["Bot", "Spider"] })["wake"], wake(["Bot", "Spider"], ["/up"]));
  assertEquals(merged({ wakeExceptPaths: ["/"] })["wake"], wake(["Bot"], ["/up", "/"]));
  assertEquals(merged({ unset: ["wakeExceptAgents"], wakeExceptPaths: ["/a"] })["wake"], wake([], ["/up", "/a"]));
  assertEquals(merged({ unset: ["wakeExceptAgents", "wakeExceptPaths"] })["wake"], wake([], []));
});

Deno.test("how an app is asked whether it is well is said, changed in part, or taken away", () => {
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

Deno.test("what a browser gets meanwhile is said, set back, or not mentioned", () => {
  assertEquals("loading" in merged({}), false);
  assertEquals(merged({ loading: "page" })["loading"], "page");
  assertEquals(merged({ unset: ["loading"] })["loading"], "hold");
  assertEquals(merged({ unset: ["loading"], loading: "page" })["loading"], "page");
});

Deno.test("a new service has what is said, and nothing else", () => {
  const change = { ...NOTHING, env: { A: "1" }, domains: ["a.example"] };
  assertEquals(mergeChange(undefined, undefined, { ...change, fields: { image: "web" } }), {
    image: "web",
    env: { A: "1" },
    secretEnv: {},
    volumes: [],
    domains: ["a.example"],
  });
});
