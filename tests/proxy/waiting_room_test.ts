import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { Waking } from "../../src/routing/service.ts";
import { WakeRules } from "../../src/routing/wake_rules.ts";
import { ClessError } from "../../src/base/errors.ts";
import type { Grant, InstancePool } from "../../src/pool/pool.ts";
import { isNavigation } from "../../src/http/problem.ts";
import { READY_PATH, WaitingRoom } from "../../src/proxy/waiting_room.ts";
import { gated, HASH } from "../access/kit.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { Harness } from "../support/harness.ts";
import type { HttpMessage } from "../support/http_message.ts";
import { OK, Origin } from "../support/origin.ts";
import { netTest } from "../support/permissions.ts";
import { requestText } from "../support/raw_client.ts";
import { requestHead } from "../support/request_head.ts";
import { until } from "../support/until.ts";

const WAKING: Waking = { rules: undefined, page: true };
const ACCEPT = "accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const BROWSER = requestText("GET /cart?x=1", [ACCEPT, "sec-fetch-mode: navigate"]);

function header(answer: HttpMessage, name: string): string | undefined {
  return answer.headers.find(([one]) => one.toLowerCase() === name)?.[1];
}

/** The id of the wait in a page. */
function waitOf({ text }: HttpMessage): string {
  const [, id] = /data-wait="([^"]+)"/.exec(text) ?? [];
  if (id === undefined) throw new Error(`Not the page: ${text}`);
  return id;
}

function eventsOf(wait: string): string {
  return requestText(`GET ${READY_PATH}?wait=${wait}`, ["accept: text/event-stream"]);
}

/** The type of the last event of a stream. */
function lastEvent({ text }: HttpMessage): string | undefined {
  assertMatch(text, /^retry: 1000\n\n/);
  return /event: (\w+)\ndata: \{\}\n\n$/.exec(text)?.[1];
}

netTest("a browser gets the page at once, an event when the service is ready, and then the app", async () => {
  await using origin = Origin.answering();
  await using harness = Harness.cold({ waking: WAKING });
  const page = await harness.ask(BROWSER);
  assertEquals([page.status, header(page, "cless-loading"), header(page, "cless-error")], [503, "page", undefined]);
  assertEquals([header(page, "cache-control"), header(page, "retry-after")], ["no-store", "1"]);
  assertEquals(header(page, "content-type"), "text/html; charset=utf-8");
  assertMatch(header(page, "content-security-policy")!, /^default-src 'none'; style-src 'nonce-[-\w]+'; script-src /);
  assert(!/https?:\/\//.test(page.text), "nothing comes from elsewhere");
  const launch = await harness.launcher.nextLaunch();
  const events = harness.ask(eventsOf(waitOf(page)));
  assertEquals(waitOf(await harness.ask(BROWSER)), waitOf(page));
  launch.succeed(origin.url);
  const told = await events;
  assertEquals([told.status, header(told, "content-type"), lastEvent(told)], [200, "text/event-stream", "ready"]);
  assertEquals(lastEvent(await harness.ask(eventsOf(waitOf(page)))), "ready"); // also after the end of the wait
  assertEquals((await harness.ask(BROWSER)).text, "ok");
  assertEquals(harness.launcher.called("launch").length, 1);
  await harness.idle();
});

netTest("the page of a path without a lock learns that the app is ready without a password, and no other", async () => {
  await using origin = Origin.answering();
  await using harness = Harness.cold({
    waking: WAKING,
    locked: gated({ access: { basic: { alice: HASH }, except: ["/cart"] } }),
  });
  const page = await harness.ask(BROWSER);
  assertEquals(page.status, 503);
  const launch = await harness.launcher.nextLaunch();
  for (const wait of ["1", "", waitOf(page).toUpperCase()]) {
    assertEquals((await harness.ask(eventsOf(wait))).status, 401, wait);
  }
  const events = harness.ask(eventsOf(waitOf(page)));
  launch.succeed(origin.url);
  assertEquals(lastEvent(await events), "ready");
  assertEquals((await harness.ask(BROWSER)).text, "ok");
  assertEquals(origin.requests.map(({ target }) => target), ["/cart?x=1"]);
  await harness.idle();
});

netTest("requests that are not navigations of a browser are held", async () => {
  await using origin = Origin.answering();
  await using harness = Harness.cold({ waking: WAKING });
  const held = [
    requestText("GET /", [ACCEPT, "sec-fetch-mode: cors"]),
    requestText("GET /", ["accept: */*"]),
    requestText("GET /", ["accept: application/json, text/html;q=0.5"]),
    requestText("GET /"),
    requestText("HEAD /", [ACCEPT, "sec-fetch-mode: navigate"]),
    requestText("POST /", [ACCEPT, "sec-fetch-mode: navigate", "content-length: 2"], "ok"),
  ].map((text) => harness.ask(text));
  (await harness.launcher.nextLaunch()).succeed(origin.url);
  for (const answer of await Promise.all(held)) {
    assertEquals([answer.status, header(answer, "cless-loading")], [200, undefined]);
  }
  await harness.idle();
});

netTest("without Sec-Fetch-Mode, a client that prefers HTML counts as a browser", async () => {
  await using harness = Harness.cold({ waking: WAKING });
  const page = await harness.ask(requestText("GET /", [ACCEPT]));
  assertEquals([page.status, header(page, "cless-loading")], [503, "page"]);
  (await harness.launcher.nextLaunch()).fail(new Error("no"));
});

netTest("a paused instance is resumed without a page", async () => {
  await using origin = Origin.answering();
  await using harness = await Harness.warm({ waking: WAKING, origin });
  harness.launcher.pause(harness.instance.id);
  assertEquals((await harness.ask(BROWSER)).text, "ok");
  assertEquals(harness.launcher.called("resume"), [harness.instance.id]);
  await harness.idle();
});

netTest("a browser that waits for a slot of a busy instance stays in the queue, and gets no page", async () => {
  const clock = new FakeClock();
  const asked = Array.from({ length: 3 }, () => Promise.withResolvers<void>());
  const finish = Promise.withResolvers<void>();
  const targets: string[] = [];
  await using origin = Origin.serving(async (connection) => {
    for (let n = 0; n < asked.length; n++) {
      const request = await connection.reader.request();
      if (request === undefined) return;
      asked[targets.push(request.target) - 1]!.resolve();
      await finish.promise;
      await connection.send(OK);
    }
  });
  await using harness = await Harness.warm({ waking: WAKING, origin, clock, concurrency: 1 });
  const first = harness.ask(requestText("GET /first"));
  await asked[0]!.promise;
  const browser = harness.ask(BROWSER);
  while (harness.waiting < 1) await clock.advance(50);
  const last = harness.ask(requestText("GET /last"));
  while (harness.waiting < 2) await clock.advance(50);
  await clock.advance(1000);
  finish.resolve();
  const answers = await Promise.all([first, browser, last]);
  assertEquals(
    answers.map((answer) => [answer.status, header(answer, "cless-loading")]),
    Array(3).fill([200, undefined]),
  );
  assertEquals(targets, ["/first", "/cart?x=1", "/last"]);
  await harness.idle();
});

netTest("a client that must not wake a service gets no page, and starts nothing by asking for events", async () => {
  const rules = new WakeRules({ userAgents: ["bot"], paths: [] });
  await using harness = Harness.cold({ waking: { rules, page: true } });
  const answer = await harness.ask(requestText("GET /", [ACCEPT, "user-agent: Bot"]));
  assertEquals([answer.status, header(answer, "cless-error")], [503, "asleep"]);
  assertEquals(lastEvent(await harness.ask(eventsOf("nosuch"))), "unknown");
  assertEquals(harness.launcher.calls, []);
});

netTest("the page reloads the target of its request, whatever that looks like", async () => {
  await using harness = Harness.cold({ waking: WAKING });
  const refreshOf = async (target: string) => {
    const { text } = await harness.ask(requestText(`GET ${target}`, [ACCEPT]));
    const [, url] = /http-equiv="refresh" content="1; url=([^"]*)"/.exec(text) ?? [];
    return new URL(url!.replaceAll(/&#(\d+);/g, (_, code) => String.fromCharCode(code)), "http://app.localhost/a/b")
      .href;
  };
  const targets = ["/", "/a?b=c&d", "//evil.example/x", "///evil.example", "/;url=http://evil.example/", "/'a?\"><p>"];
  for (const target of targets) {
    assertEquals(await refreshOf(target), new URL(`http://app.localhost${target}`).href);
  }
  (await harness.launcher.nextLaunch()).fail(new Error("no"));
});

netTest("a failed start is reported when the page reloads, without details", async () => {
  const clock = new FakeClock();
  await using harness = Harness.cold({ waking: WAKING, clock, domains: ["www.example.com"] });
  const page = await clock.until(harness.ask(BROWSER));
  const events = harness.ask(eventsOf(waitOf(page)));
  (await harness.launcher.nextLaunch()).fail(new Error("no room on /secret/place"));
  assertEquals(lastEvent(await events), "failed");
  const failed = await harness.ask(BROWSER);
  assertEquals([failed.status, header(failed, "cless-error"), header(failed, "retry-after")], [
    502,
    "start_failed",
    "4",
  ]);
  assertEquals(header(failed, "cache-control"), "no-store");
  assertMatch(failed.text, /app\.localhost could not be started/);
  assert(!/secret|refresh|<script|<!--/.test(failed.text));
  assertMatch(failed.text, /<code>cless describe app<\/code>/);
  const hidden = await harness.ask(BROWSER.replace("app.localhost", "www.example.com"));
  assertMatch(hidden.text, /www\.example\.com could not be started/);
  assert(!hidden.text.includes("describe"));
  await clock.advance(2500);
  assertEquals(header(await harness.ask(BROWSER), "retry-after"), "2");
  assertEquals(harness.launcher.called("launch").length, 1, "a page that reloads itself starts nothing");
});

netTest("a request a while after a failed start starts the service again", async () => {
  const clock = new FakeClock();
  await using harness = Harness.cold({ waking: WAKING, clock });
  const first = await clock.until(harness.ask(BROWSER));
  (await harness.launcher.nextLaunch()).fail(new Error("no"));
  assertEquals(lastEvent(await harness.ask(eventsOf(waitOf(first)))), "failed");
  await clock.advance(4000);
  const second = await clock.until(harness.ask(BROWSER));
  assert(waitOf(second) !== waitOf(first));
  assertEquals(lastEvent(await harness.ask(eventsOf(waitOf(first)))), "unknown");
  (await harness.launcher.nextLaunch()).fail(new Error("no"));
  assertEquals(lastEvent(await harness.ask(eventsOf(waitOf(second)))), "failed");
});

netTest("a start that fails at once is reported without the waiting page", async () => {
  await using harness = Harness.cold({ waking: WAKING });
  harness.launcher.on.launch = () => Promise.reject(new Error("no"));
  const failed = await harness.ask(BROWSER);
  assertEquals([failed.status, header(failed, "cless-error")], [502, "start_failed"]);
});

netTest("the page says how long a start usually takes", async () => {
  const clock = new FakeClock();
  await using origin = Origin.answering();
  await using harness = Harness.cold({ waking: WAKING, clock });
  const usually = async (ms: number) => {
    const { text } = await clock.until(harness.ask(BROWSER));
    const launch = await harness.launcher.nextLaunch();
    await clock.advance(ms);
    launch.succeed(origin.url);
    const { instance } = harness;
    await clock.until(harness.ask(requestText()));
    await harness.idle();
    harness.launcher.end(instance.id);
    return [
      /asleep\. (.*), and then/.exec(text)?.[1],
      /content="(\d+); url=\/\.\/cart\?x=1"><\/noscript>/.exec(text)?.[1],
    ];
  };
  assertEquals(await usually(9000), ["This takes a moment", "1"]);
  assertEquals((await usually(400))[0], "This usually takes about 9 seconds");
  for (let start = 0; start < 5; start++) await usually(100);
  assertEquals((await usually(100))[0], "This usually takes less than a second");
});

netTest("the path of the events belongs to cless if there is a page, else to the app", async () => {
  await using origin = Origin.answering();
  {
    await using harness = await Harness.warm({ waking: WAKING, origin });
    assertEquals(lastEvent(await harness.ask(requestText(`GET ${READY_PATH}`))), "unknown");
    const posted = await harness.ask(requestText(`POST ${READY_PATH}`, ["content-length: 0"]));
    assertEquals([posted.status, header(posted, "allow")], [405, "GET"]);
    assertEquals(origin.requests.length, 0);
    assertEquals((await harness.ask(requestText(`GET ${READY_PATH}/x`))).text, "ok");
    assertEquals((await harness.ask(requestText(`GET ${READY_PATH}x`))).text, "ok");
    await harness.idle();
  }
  await using harness = await Harness.warm({ origin });
  assertEquals((await harness.ask(requestText(`GET ${READY_PATH}?wait=x`))).text, "ok");
  await harness.idle();
});

netTest("event streams get heartbeats until their client has gone", async () => {
  const clock = new FakeClock();
  await using harness = Harness.cold({ waking: WAKING, clock });
  const page = await clock.until(harness.ask(BROWSER));
  let { timers } = clock;
  {
    using client = await harness.connect();
    await client.send(eventsOf(waitOf(page)));
    let text = "";
    const read = async (end: string) => {
      while (!text.endsWith(end)) text += new TextDecoder().decode(await client.reader.some());
    };
    await read("retry: 1000\n\n\r\n");
    assertEquals(clock.timers, timers + 1);
    await clock.advance(15_000);
    await read(":\n\n\r\n");
    timers = clock.timers;
  }
  await until(() => clock.timers < timers); // no time passes, so no other timer ends
  (await harness.launcher.nextLaunch()).fail(new Error("no"));
  await clock.advance(1000); // nothing is written to a stream whose client has gone
});

/** A pool whose requests wait as long as a test wants. */
function newPool() {
  const holds: PromiseWithResolvers<Grant>[] = [];
  const hold = () => {
    const waiting = Promise.withResolvers<Grant>();
    holds.push(waiting);
    return waiting.promise;
  };
  return { holds, pool: { hold, usualColdStartMs: 2000, revision: { service: "app" } } as unknown as InstancePool };
}

Deno.test("a failure of one request is not told to the next, which asks the pool again", async () => {
  const { holds, pool } = newPool();
  const room = new WaitingRoom(new FakeClock());
  for (let time = 1; time <= 2; time++) {
    const entered = assertRejects(() => room.enter(requestHead(), pool), ClessError);
    assertEquals(holds.length, time);
    holds.at(-1)!.reject(new ClessError("overloaded", "too many requests wait"));
    assertEquals((await entered).code, "overloaded");
  }
});

Deno.test("a pool that ends while a browser waits gives no page, so that the request goes to the next pool", async () => {
  const { holds, pool } = newPool();
  const entered = new WaitingRoom(new FakeClock()).enter(requestHead(), pool);
  holds[0]!.reject(new ClessError("draining", "the revision is replaced"));
  assertEquals(await entered, undefined);
});

Deno.test("a page asks for at least a second of patience, also if the start takes longer than usual", async () => {
  const { pool } = newPool();
  const clock = new FakeClock();
  const room = new WaitingRoom(clock);
  const patience = async () => Number((await clock.until(room.enter(requestHead(), pool)))!.headers.get("retry-after"));
  assertEquals(await patience(), 2);
  await clock.advance(60_000);
  assertEquals(await patience(), 1);
});

Deno.test("a request for a WebSocket is no navigation, whatever its headers", () => {
  const request = new Request("http://app.localhost/", { headers: { accept: "text/html" } });
  assertEquals([false, true].map((websocket) => isNavigation(request, requestHead({ websocket }))), [true, false]);
});
