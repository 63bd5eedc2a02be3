import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { ago, apiTest, problem, withoutTimes } from "./fake_api.ts";

const BY = { kind: "request", method: "GET", host: "shop.example.org", network: "203.0.113.0/24" };
const GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
const FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const WAKE = { service: "shop", revision: "shop-00002", instance: "cless-shop-1", how: "resume", ms: 3.7 };
const WAKES = [
  {
    ...{ ...WAKE, at: ago("3m"), how: "hibernated", ms: 41 },
    by: { ...BY, path: "/robots.txt", userAgent: GOOGLEBOT, robot: true },
  },
  { ...WAKE, at: ago("2h"), by: { ...BY, path: "/\x1b[31mcart", userAgent: FIREFOX } },
  { ...WAKE, at: ago("3h"), by: { ...BY, path: "/", userAgent: GOOGLEBOT, robot: true } },
  { ...WAKE, at: ago("5h"), how: "cold", ms: 1240, by: { kind: "operator", name: "ci" } },
];

apiTest("who woke a service is said in one line, and each wake in another", {
  "GET /v1/wakes": WAKES,
}, async (api) => {
  const { out } = await api.run("wakes", "shop");
  assertMatch(out, /\b[012]\d:[0-5]\d:[0-5]\d\b/);
  assertStringIncludes(out, "WHEN    AT (", "the heading names the time zone");
  assertEquals(withoutTimes(out), [
    "shop woke 4 times in the last day: 2 by Googlebot (robot) from 203.0.113.0/24, 1 by Firefox from 203.0.113.0/24, 1 by the operator ci",
    "",
    "WHEN    WAKE        TOOK   WHO",
    "3m ago  hibernated  41ms   Googlebot (robot) from 203.0.113.0/24: GET shop.example.org/robots.txt",
    "2h ago  resume      3.7ms  Firefox from 203.0.113.0/24: GET shop.example.org/cart",
    "3h ago  resume      3.7ms  Googlebot (robot) from 203.0.113.0/24: GET shop.example.org/",
    "5h ago  cold        1.2s   the operator ci",
  ]);
  assertEquals(api.asked.at(-1)!.line, "GET /v1/wakes?service=shop&limit=1000");
  assertEquals((await api.run("wakes", "shop", "-n", "1")).out.split("\n").length, 4);
});

apiTest("the wakes of all services name the service, and JSON is what the API has", {
  "GET /v1/wakes": WAKES,
}, async (api) => {
  const { out } = await api.run("wakes", "-n", "2");
  assertEquals(withoutTimes(out)[2], "WHEN    SERVICE  WAKE        TOOK   WHO");
  assertEquals(JSON.parse((await api.run("wakes", "--json", "-n", "7")).out), WAKES);
  assertEquals(api.asked.at(-1)!.line, "GET /v1/wakes?limit=7");
});

const OTHERS = [
  { kind: "request" },
  { kind: "request", method: "POST", path: "/", userAgent: "curl/8.14.1" },
  { kind: "request", method: "GET", path: "/", userAgent: "Mozilla/5.0 Chrome/140.0 Safari/537.36 Edg/140.0" },
  { kind: "deploy" },
  { kind: "minimum" },
  { kind: "unknown" },
];

apiTest("whoever woke a service has a name, and many are summed up", {
  "GET /v1/wakes": OTHERS.map((by) => ({ ...WAKE, at: ago("1h"), by })),
}, async (api) => {
  const [summary, , , ...rows] = (await api.run("wakes", "shop")).out.split("\n");
  assertEquals(
    summary,
    "shop woke 6 times in the last day: 1 by a request, 1 by curl/8.14.1, 1 by Edge, 1 by a deploy, 2 by others",
  );
  assertEquals(rows.map((row) => row.split(/ {2,}/).at(-1)), [
    ...["a request", "curl/8.14.1: POST /", "Edge: GET /", "a deploy", "cless itself", "somebody unknown"],
  ]);
});

apiTest("a single wake, none, and a service that is not there are said as such", {
  "GET /v1/wakes": [],
  "GET /v1/wakes?service=blog&limit=1000": [{ ...WAKE, at: ago("1h"), by: { kind: "deploy" } }],
  "GET /v1/services/shop": {},
  "GET /v1/services/none": problem(404, "there is no service none"),
}, async (api) => {
  assertEquals((await api.run("wakes", "blog")).out.split("\n")[0], "blog woke once in the last day, by a deploy");
  const shop = await api.run("wakes", "shop");
  assertEquals([shop.out, shop.err, shop.code], ["", "nothing woke shop in the last day", 0]);
  const none = await api.run("wakes", "none");
  assertEquals([none.err.includes("there is no service none"), none.code], [true, 1]);
});
