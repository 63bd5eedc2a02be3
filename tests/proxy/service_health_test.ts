import { assertEquals } from "@std/assert";
import { OPEN } from "../../src/model/access.ts";
import type { Waking } from "../../src/routing/service.ts";
import { WakeRules } from "../../src/routing/wake_rules.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { Harness } from "../support/harness.ts";
import type { HttpMessage } from "../support/http_message.ts";
import { Origin } from "../support/origin.ts";
import { netTest } from "../support/permissions.ts";
import { requestText } from "../support/raw_client.ts";

const PATH = "/.well-known/cless/health";
const HEALTH = requestText(`GET ${PATH}`);
const healthOf = (host: string, method = "GET") => requestText(`${method} ${PATH}`, [], "", `host: ${host}`);
const WAKING: Waking = { rules: new WakeRules({ userAgents: ["monitor"], paths: ["/"] }), page: true };

function health(answer: HttpMessage) {
  return [answer.status, answer.text];
}

netTest("a service that sleeps is healthy, and asking for its health starts nothing", async () => {
  let made = 0;
  await using harness = Harness.cold({
    domains: ["shop.example.org"],
    share: (pool) => ({
      percent: 100,
      tag: "next",
      get pool() {
        made++;
        return pool;
      },
      get unmade() {
        return made > 0 ? undefined : "app-00001";
      },
    }),
  });
  const answer = await harness.ask(HEALTH);
  assertEquals(health(answer), [200, "ok"]);
  const names = new Map(answer.headers.map(([name, value]) => [name.toLowerCase(), value]));
  assertEquals(names.get("cache-control"), "no-store");
  assertEquals([...names.keys()].sort(), ["cache-control", "content-length", "content-type", "date"]);
  for (const host of ["next--app.localhost", "shop.example.org", "app.example.net:8080", "APP.localhost."]) {
    assertEquals(health(await harness.ask(healthOf(host))), [200, "ok"], host);
  }
  assertEquals([made, harness.launcher.calls, harness.unanswered.total], [0, [], 0]);
});

netTest(
  "asking for the health of a service that is awake does not reach its app, and does not keep it awake",
  async () => {
    const clock = new FakeClock();
    await using origin = Origin.answering();
    await using harness = await Harness.warm({ origin, clock, waking: WAKING });
    await harness.ask(requestText("GET /"));
    await harness.idle();
    const { answers, idleSince, lastUsedAt } = harness.instance;
    await clock.advance(1000);
    const monitor = requestText(`GET ${PATH}?from=probe`, ["user-agent: monitor", "accept: text/html"]);
    for (const request of [HEALTH, monitor]) assertEquals(health(await harness.ask(request)), [200, "ok"]);
    const { instance } = harness;
    assertEquals([instance.answers, instance.idleSince, instance.lastUsedAt], [answers, idleSince, lastUsedAt]);
    harness.launcher.pause(instance.id);
    assertEquals(health(await harness.ask(HEALTH)), [200, "ok"]);
    assertEquals(harness.launcher.called("resume"), []);
  },
);

netTest("a service fails from its first failed start on, and during the back-off too", async () => {
  await using harness = Harness.cold({});
  const { launcher } = harness;
  for (const count of [1, 2, 3]) {
    const asked = harness.ask(requestText("GET /"));
    const launch = await launcher.nextLaunch();
    launch.fail(new Error("exited with code 1"));
    assertEquals((await asked).status, 502, String(count));
    assertEquals(health(await harness.ask(HEALTH)), [503, "failing"], String(count));
  }
  const refused = await harness.ask(requestText("GET /"));
  assertEquals(refused.status, 503); // the back-off: nothing starts now
  const answer = await harness.ask(HEALTH);
  assertEquals(health(answer), [503, "failing"]);
  const told = answer.headers.map(([name]) => name.toLowerCase());
  assertEquals(told.filter((name) => ["cless-error", "retry-after"].includes(name)), []);
  assertEquals(launcher.called("launch").length, 3);
});

netTest("HEAD gets the status alone, other methods are refused, and an unknown host is unknown", async () => {
  await using harness = Harness.cold({});
  const head = await harness.ask(requestText(`HEAD ${PATH}`));
  assertEquals([head.status, head.text], [200, ""]);
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "HEALTH"]) {
    const answer = await harness.ask(requestText(`${method} ${PATH}`));
    const allow = answer.headers.find(([name]) => name.toLowerCase() === "allow")?.[1];
    assertEquals([answer.status, allow], [405, "GET, HEAD"], method);
  }
  for (const method of ["GET", "POST"]) {
    assertEquals((await harness.ask(healthOf("web.localhost", method))).status, 404, method);
  }
  assertEquals(harness.launcher.calls, []);
});

netTest("a lock does not stand before the health of a service, but before every path that resembles it", async () => {
  await using harness = Harness.cold({ locked: { access: { ...OPEN, allow: ["203.0.113.0/24"] } } });
  assertEquals(health(await harness.ask(HEALTH)), [200, "ok"]);
  for (const path of ["/", `${PATH}/`, `${PATH}/../../..`, "/.well-known/cless/%68ealth", `/x?${PATH}`, `/${PATH}`]) {
    assertEquals((await harness.ask(requestText(`GET ${path}`))).status, 403, path);
  }
  assertEquals(harness.launcher.calls, []);
});

netTest("a path that only resembles the one for health goes to the app as it is", async () => {
  await using origin = Origin.answering();
  await using harness = await Harness.warm({ origin, forward: "exact" });
  const targets = [
    "/.well-known/cless/%68ealth",
    "/.well-known/cless/health/",
    "/.well-known/cless/healthy",
    "/.well-known/cless/health;x",
    "//.well-known/cless/health",
    "/.well-known/./cless/health",
    "/x/../.well-known/cless/health",
    "/.Well-Known/cless/health",
    "/.well-known/cless/other",
  ];
  for (const target of targets) await harness.ask(requestText(`GET ${target}`));
  assertEquals(origin.requests.map(({ target }) => target), targets);
  await harness.idle();
});
