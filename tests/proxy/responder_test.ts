import { assertEquals } from "@std/assert";
import { ClessError } from "../../src/base/errors.ts";
import { ForwardError, InstanceGone } from "../../src/http/forwarder.ts";
import type { RequestHead } from "../../src/http/request_head.ts";
import { Instance } from "../../src/pool/instance.ts";
import { ClientGone, type Info, RequestContext, UnansweredRequests } from "../../src/proxy/request_context.ts";
import { Responder } from "../../src/proxy/responder.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { newRevision } from "../support/kit.ts";
import { requestHead } from "../support/request_head.ts";

function setUp() {
  const clock = new FakeClock();
  const unanswered = new UnansweredRequests(clock);
  const counted: unknown[][] = [];
  const shed = { descriptors: 0, waiting: 0 };
  const metrics = { requested: (...request: unknown[]) => void counted.push(request), waited: () => {} };
  const role = { now: { isLast: false } };
  const responder = new Responder(unanswered, clock, metrics, shed as ConstructorParameters<typeof Responder>[3], role);
  const newContext = (parts: Partial<RequestHead> = {}) => {
    const request = { headers: new Headers(), method: "GET" } as Request;
    const limits = { requestTimeoutMs: 10_000, clientTimeoutMs: 10_000 };
    const info = { completed: Promise.resolve() } as Info;
    const context = new RequestContext(request, info, requestHead(parts), clock.now(), limits);
    const revision = newRevision();
    context.choose(revision);
    context.sendTo(new Instance("one", revision, clock));
    unanswered.add(context);
    return context;
  };
  return { clock, unanswered, counted, shed, responder, role, newContext };
}

Deno.test("a request that is answered is watched no more, and counted with how long its answer took", async () => {
  const { clock, counted, newContext, responder, unanswered } = setUp();
  const [app, own, failed] = [newContext(), newContext(), newContext()];
  await clock.advance(30);
  assertEquals(responder.fromApp(app, new Response("hi", { status: 201 })).status, 201);
  await clock.advance(20);
  assertEquals(responder.forService(own, "web", new Response(null, { status: 204 })).status, 204);
  assertEquals(responder.failed(failed, undefined, new ClessError("crash_loop", "no")).status, 503);
  const request = { method: "GET", headers: new Headers() } as Request;
  responder.withoutService(request, {} as Info, new Response("no"), undefined);
  const { name } = newRevision();
  assertEquals(counted, [["app", name, 201, 30], ["web", name, 204, 50], [undefined, name, 503, 50], [
    ...[undefined, undefined, 200, 0],
  ]]);
  assertEquals(unanswered.size, 0);
  unanswered[Symbol.dispose]();
});

Deno.test("an app's answer says what it had to wait for, and closes its connection once another process takes over", () => {
  const { counted, newContext, responder, role, unanswered } = setUp();
  const headersOf = (context: RequestContext, response = new Response("hi")) => {
    const { headers } = responder.fromApp(context, response);
    return [headers.get("server-timing"), headers.get("connection")];
  };
  const woken = newContext();
  woken.start = { how: "cold", ms: 12.6 };
  const timing = 'cless-start;dur=13;desc="cold"';
  assertEquals([headersOf(newContext()), headersOf(woken)], [[null, null], [timing, null]]);
  role.now = { isLast: true };
  assertEquals([headersOf(newContext()), headersOf(woken)], [[null, "close"], [timing, "close"]]);
  const immutable = new Response("hi", { status: 202 });
  immutable.headers.append = () => {
    throw new TypeError("Headers are immutable");
  };
  assertEquals(headersOf(woken, immutable), [timing, "close"]); // as those of `fetch` are
  const socket = newContext({ websocket: true });
  socket.start = { how: "cold", ms: 12 };
  assertEquals(headersOf(socket), [null, null]); // nothing may come between a WebSocket and its app
  assertEquals([counted.length, unanswered.size], [6, 0]);
  unanswered[Symbol.dispose]();
});

Deno.test("each failure of a request has its status and code, and what was shed is counted", () => {
  const exhausted = new ForwardError("unsent", "Too many open files (os error 24)");
  const cases: [error: unknown, status: number, code: string | null, shed: "descriptors" | "waiting" | undefined][] = [
    [new ClessError("overloaded", "no"), 503, "overloaded", "waiting"],
    [new ClessError("upstream_timeout", "no"), 504, "upstream_timeout", undefined],
    [exhausted, 503, "overloaded", "descriptors"],
    [new ForwardError("unanswered", "closed"), 502, "upstream_failed", undefined],
    [new InstanceGone(), 502, "upstream_failed", undefined],
    [new InstanceGone(true), 504, "upstream_timeout", undefined],
    [new ClientGone(), 499, null, undefined],
    [new Error("a bug"), 500, "internal", undefined],
  ];
  for (const [error, status, code, counter] of cases) {
    const { counted, newContext, responder, shed, unanswered } = setUp();
    const response = responder.failed(newContext(), "app", error);
    assertEquals([response.status, response.headers.get("cless-error")], [status, code]);
    assertEquals(shed, { descriptors: 0, waiting: 0, ...(counter === undefined ? {} : { [counter]: 1 }) });
    assertEquals(counted, [["app", newRevision().name, status, 0]]);
    unanswered[Symbol.dispose]();
  }
});

Deno.test("a failure names its service only to those whose hostname names it already", async () => {
  for (
    const [label, isNamed] of [["app", true], ["next--app", true], ["www", false], ["app--next", false]] as const
  ) {
    const { newContext, responder, unanswered } = setUp();
    const context = newContext({ hostname: { name: `${label}.example.org`, label } });
    context.request.headers.set("accept", "text/html");
    const response = responder.failed(context, "app", new ForwardError("unanswered", "closed"));
    assertEquals((await response.text()).includes("cless describe app"), isNamed, label);
    unanswered[Symbol.dispose]();
  }
});
