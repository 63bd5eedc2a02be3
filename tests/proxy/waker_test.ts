import { assertEquals } from "@std/assert";
import type { RequestHead } from "../../src/http/request_head.ts";
import type { Waker } from "../../src/model/waker.ts";
import { wakerOf } from "../../src/proxy/waker.ts";
import { Harness } from "../support/harness.ts";
import { Origin } from "../support/origin.ts";
import { netTest } from "../support/permissions.ts";
import { requestText } from "../support/raw_client.ts";
import { requestHead } from "../support/request_head.ts";
import { until } from "../support/until.ts";

const GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";

/** The head of a request for the service `shop`. */
function head(target: string, client: string, userAgent?: string): RequestHead {
  const hostname = { name: "shop.example.org", label: "shop" };
  const headers: [string, string][] = userAgent === undefined ? [] : [["user-agent", userAgent]];
  return requestHead({ hostname, target, client, headers: [["host", "shop.example.org:8080"], ...headers] });
}

Deno.test("of a request that wakes a service, its path and the client's network are kept, and no query or address", () => {
  assertEquals(wakerOf(head("/cart?token=secret", "203.0.113.7", "curl/8.14.1"), "path"), {
    ...{ kind: "request", method: "GET", host: "shop.example.org", path: "/cart" },
    ...{ network: "203.0.113.0/24", userAgent: "curl/8.14.1" },
  });
  const v6 = wakerOf(head("/", "2001:db8:1:2:3:4:5:6"), "path");
  assertEquals([v6.network, "userAgent" in v6], ["2001:db8:1::/48", false]);
});

Deno.test("all of it is kept if the operator wants that, and nothing if not", () => {
  const given = head("/cart?page=2", "203.0.113.7", GOOGLEBOT);
  assertEquals(wakerOf(given, "full"), {
    ...{ kind: "request", method: "GET", host: "shop.example.org", path: "/cart?page=2" },
    ...{ network: "203.0.113.7", userAgent: GOOGLEBOT, robot: true },
  });
  assertEquals(wakerOf(given, "off"), { kind: "request" });
});

Deno.test("long texts of a client are cut off", () => {
  const long = "x".repeat(1000);
  const given = { ...head(`/${long}?${long}`, "203.0.113.7", long), method: long };
  for (const detail of ["path", "full"] as const) {
    const { method, path, userAgent } = wakerOf(given, detail);
    assertEquals([method, path, userAgent].map((text) => text?.length), [200, 200, 200]);
  }
});

netTest(
  "the request that came first is whom a service wakes for, and a request that finds it awake is not",
  async () => {
    await using app = Origin.answering();
    const woken: [how: string, by: Waker][] = [];
    await using cless = Harness.cold({ wakeLog: "path", woken: (_, how, __, by) => void woken.push([how, by]) });
    const first = cless.ask(requestText("GET /first?secret", ["user-agent: curl/8"]));
    const launch = await cless.launcher.nextLaunch();
    const second = cless.ask(requestText("POST /second"));
    await until(() => cless.unanswered.size === 2);
    launch.succeed(app.url);
    assertEquals([(await first).status, (await second).status], [200, 200]);
    assertEquals((await cless.ask(requestText("GET /third"))).status, 200);
    const by = { kind: "request", method: "GET", host: "app.localhost", path: "/first", network: "127.0.0.0/24" };
    assertEquals(woken, [["cold", { ...by, userAgent: "curl/8" } as Waker]]);
    cless.launcher.pause(cless.instance.id);
    assertEquals((await cless.ask(requestText("GET /fourth"))).status, 200);
    assertEquals(woken.slice(1), [["resume", { ...by, path: "/fourth" } as Waker]]);
    await cless.idle();
  },
);

netTest("a service wakes for the browser that got the waiting page, though its request has ended", async () => {
  await using app = Origin.answering();
  const woken: Waker[] = [];
  await using cless = Harness.cold({
    waking: { rules: undefined, page: true },
    wakeLog: "path",
    woken: (_, __, ___, by) => void woken.push(by),
  });
  const page = await cless.ask(requestText("GET /shop", ["accept: text/html", "user-agent: Firefox"]));
  assertEquals(page.status, 503);
  (await cless.launcher.nextLaunch()).succeed(app.url);
  await until(() => woken.length === 1);
  assertEquals(woken, [{
    ...{ kind: "request", method: "GET", host: "app.localhost", path: "/shop", network: "127.0.0.0/24" },
    userAgent: "Firefox",
  }]);
});
