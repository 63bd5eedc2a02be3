import { assertEquals } from "@std/assert";
import { ROBOTS } from "../../src/routing/known_robots.ts";
import { WakeRules } from "../../src/routing/wake_rules.ts";

Deno.test("a client is recognized by any part of its User-Agent, in upper or lower case", () => {
  const rules = new WakeRules({ userAgents: ["UptimeRobot", "bot/", "Kube-Probe"], paths: [] });
  const stopped = [
    "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
    "uptimerobot",
    "kube-probe/1.30",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
  ];
  for (const name of stopped) assertEquals(rules.mayWake(name, "/"), false, name);
  for (const name of ["Mozilla/5.0 (X11; Linux x86_64)", "robot", "curl/8.5", "", null]) {
    assertEquals(rules.mayWake(name, "/"), true, `${name}`);
  }
});

Deno.test("a path stands for itself and everything below it, with any query, as it was received", () => {
  const rules = new WakeRules({ userAgents: [], paths: ["/health", "/api/", "/a/b"] });
  const stopped = ["/health", "/health?full=1", "/health?/x", "/health/", "/health/db", "/api/", "/api/x", "/a/b/c"];
  for (const target of stopped) assertEquals(rules.mayWake(null, target), false, target);
  const others = [
    "/",
    "/healthz",
    "/health-x",
    "/Health",
    "/%68ealth",
    "/api",
    "/a",
    "/x/health",
    "/x?/health",
    "/a/bc",
  ];
  for (const target of others) assertEquals(rules.mayWake(null, target), true, target);
});

Deno.test("the root path stands for one page alone", () => {
  const rules = new WakeRules({ userAgents: [], paths: ["/"] });
  assertEquals(["/", "/?a=/b", "/a", "//"].map((target) => rules.mayWake("x", target)), [false, false, true, true]);
});

Deno.test("one matching rule is enough, and without rules every request wakes the service", () => {
  const rules = new WakeRules({ userAgents: ["Bot"], paths: ["/up"] });
  assertEquals(rules.mayWake("Bot", "/"), false);
  assertEquals(rules.mayWake("Firefox", "/up"), false);
  assertEquals(rules.mayWake("Firefox", "/"), true);
  assertEquals(new WakeRules({ userAgents: [], paths: [] }).mayWake("Bot", "/up"), true);
});

Deno.test("known-robots stands for every robot that cless knows, beside other parts of a User-Agent", () => {
  const rules = new WakeRules({ userAgents: ["Known-Robots", "probe/"], paths: [] });
  for (const { token } of ROBOTS) assertEquals(rules.mayWake(`Mozilla/5.0 (x; ${token}1.0)`, "/"), false, token);
  assertEquals(rules.mayWake("my-probe/1", "/"), false);
  for (const name of ["curl/8.5", "known-robots", "", null]) assertEquals(rules.mayWake(name, "/"), true, `${name}`);
  const without = new WakeRules({ userAgents: ["known-robot"], paths: [] });
  assertEquals(without.mayWake("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "/"), true);
});
