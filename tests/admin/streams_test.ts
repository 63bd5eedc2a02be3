import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { OperatorError } from "../../src/base/errors.ts";
import type { Collaborators } from "../../src/admin/collaborators.ts";
import { Metrics } from "../../src/admin/metrics.ts";
import { type ClessEvent, EventLog, SlowSubscriber } from "../../src/control/events.ts";
import type { ServiceLogLine } from "../../src/logs/instance_output.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { foundService, good, newAdmin, problemOf } from "./kit.ts";
import { readTest } from "../support/permissions.ts";

/** Events that a test sends one by one, to one subscriber. */
class Wire {
  asked: { readonly after?: number; readonly signal: AbortSignal } | undefined;
  /** How often the next event was asked for. */
  pulled = 0;
  readonly #events: (ClessEvent | Error)[] = [];
  #ring: () => void = () => {};

  send(event: ClessEvent | Error): void {
    this.#events.push(event);
    this.#ring();
  }

  async *subscribe(options: { readonly after?: number; readonly signal: AbortSignal }): AsyncIterable<ClessEvent> {
    this.asked = options;
    const aborted = new Promise<void>((resolve) => options.signal.addEventListener("abort", () => resolve()));
    while (!options.signal.aborted) {
      this.pulled++;
      const event = this.#events.shift();
      if (event instanceof Error) throw event;
      if (event !== undefined) yield event;
      else await Promise.race([aborted, new Promise<void>((resolve) => this.#ring = resolve)]);
    }
  }
}

function event(id: number | undefined, service: string | undefined, data: Record<string, unknown> = {}): ClessEvent {
  return { id, at: Date.parse("2026-11-25T10:00:00Z"), type: "service.changed", service, data };
}

/** Reads a stream piece by piece. */
function piecesOf(answer: Response) {
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  return { next: async () => (await reader.read()).value, cancel: () => reader.cancel() };
}

Deno.test("a stream ends soon after the token was revoked or the browser has signed out, before it tells more", async () => {
  const wire = new Wire();
  const { ask, kit, parts: { sessions, tokens } } = await newAdmin({ events: wire });
  const secret = await sessions.begin(await tokens.issue("browser", "read"), "http://127.0.0.1:1323");
  const cookie = { token: undefined, headers: { cookie: `cless-admin=${secret}` } };
  for (
    const [options, end] of [
      [{ token: await tokens.issue("tv", "read") }, () => tokens.revoke("tv")],
      [cookie, () => sessions.end(secret)],
    ] as const
  ) {
    const pieces = piecesOf(await ask("GET", "/v1/events", options));
    assertEquals(await pieces.next(), ": cless\n\n");
    await kit.clock.advance(10_000);
    wire.send(event(1, "web"));
    assert(await pieces.next());
    await end();
    await kit.clock.advance(10_000);
    wire.send(event(2, "web"));
    assertEquals(await pieces.next(), undefined);
    await settle();
    assertEquals(wire.asked?.signal.aborted, true);
  }
});

Deno.test("events come as they happen, with their ids, and the subscription ends with the reader", async () => {
  const wire = new Wire();
  const { ask } = await newAdmin({ events: wire });
  const answer = await ask("GET", "/v1/events");
  assertEquals([answer.status, answer.headers.get("content-type")], [200, "text/event-stream"]);
  assertEquals(answer.headers.get("x-accel-buffering"), "no");
  assertEquals(wire.asked, undefined);
  const pieces = piecesOf(answer);
  assertEquals(await pieces.next(), ": cless\n\n");
  assertEquals([wire.asked?.after, wire.asked?.signal.aborted], [undefined, false]);
  wire.send(event(7, "web", { revision: "web-00002" }));
  const data = '{"at":"2026-11-25T10:00:00.000Z","service":"web","revision":"web-00002"}';
  assertEquals(await pieces.next(), `id: 7\nevent: service.changed\ndata: ${data}\n\n`);
  wire.send({ ...event(undefined, undefined, { inFlight: 1 }), type: "stats" });
  assertEquals(await pieces.next(), 'event: stats\ndata: {"at":"2026-11-25T10:00:00.000Z","inFlight":1}\n\n');
  await pieces.cancel();
  assert(wire.asked!.signal.aborted);
});

Deno.test("without events a heartbeat is sent, also to a client that asks for one service", async () => {
  for (const query of ["", "?service=web"]) {
    const wire = new Wire();
    const { ask, kit: { clock } } = await newAdmin({ events: wire });
    const pieces = piecesOf(await ask("GET", `/v1/events${query}`));
    await pieces.next();
    const next = pieces.next();
    for (let second = 0; second < 14; second++) {
      if (query !== "") wire.send(event(second, "other"));
      await clock.advance(1000);
    }
    await clock.advance(1000);
    assertEquals(await next, ":\n\n");
    await pieces.cancel();
    await settle();
    assertEquals(clock.timers, 0);
  }
});

Deno.test("events resume after the last one that was seen, by header or parameter; the header wins", async () => {
  const wire = new Wire();
  const { ask } = await newAdmin({ events: wire });
  const after = async (path: string, headers: Record<string, string> = {}) => {
    const pieces = piecesOf(await ask("GET", path, { headers }));
    await pieces.next();
    await pieces.cancel();
    return wire.asked?.after;
  };
  assertEquals(await after("/v1/events?after=5"), 5);
  assertEquals(await after("/v1/events", { "last-event-id": "1795600000000000" }), 1795600000000000);
  assertEquals(await after("/v1/events?after=5", { "last-event-id": "6" }), 6);
  assertEquals(await after("/v1/events", { "last-event-id": "" }), undefined);
  for (const id of ["x", "-1", "1.5"]) {
    await problemOf(await ask("GET", "/v1/events", { headers: { "last-event-id": id } }), 400, "invalid");
  }
});

Deno.test("without follow, the stream ends with the retained events, of one service or of all", async () => {
  const log = new EventLog(new FakeClock(), () => 1);
  for (const service of ["web", "shop", "web"]) log.emit("service.changed", service, {});
  const { ask } = await newAdmin({ events: log });
  const ids = async (query: string) =>
    (await (await ask("GET", `/v1/events?follow=false${query}`)).text()).match(/(?<=^id: )\d+$/gm);
  assertEquals(await ids(""), ["1000", "1001", "1002"]);
  assertEquals(await ids("&service=web"), ["1000", "1002"]);
  assertEquals(await ids("&after=1000"), ["1001", "1002"]);
  assertEquals(await ids("&after=1002"), null);
  await problemOf(await ask("GET", "/v1/events?follow=no"), 400, "invalid");
});

Deno.test("a client that is too slow gets a last comment that says so; another failure cuts the stream", async () => {
  for (const failure of [new SlowSubscriber("too slow"), new TypeError("x")]) {
    const wire = new Wire();
    const { ask } = await newAdmin({ events: wire });
    const pieces = piecesOf(await ask("GET", "/v1/events"));
    await pieces.next();
    wire.send(failure);
    const rest = await pieces.next().then((piece) => piece, () => "cut");
    assertEquals(rest, failure instanceof TypeError ? "cut" : ": too slow; go on with the last id\n\n");
    if (failure instanceof SlowSubscriber) assertEquals(await pieces.next(), undefined);
  }
});

Deno.test("events are taken as the client reads, and not before", async () => {
  const wire = new Wire();
  const { ask } = await newAdmin({ events: wire });
  for (let id = 0; id < 1000; id++) wire.send(event(id, "web"));
  const pieces = piecesOf(await ask("GET", "/v1/events"));
  await pieces.next();
  for (let turn = 0; turn < 20; turn++) await settle();
  assert(wire.pulled < 10, String(wire.pulled));
  await pieces.cancel();
});

Deno.test("HEAD subscribes to nothing", async () => {
  const wire = new Wire();
  const { ask } = await newAdmin({ events: wire });
  const answer = await ask("HEAD", "/v1/events");
  assertEquals([answer.status, answer.headers.get("content-type")], [200, "text/event-stream"]);
  await settle();
  assertEquals(wire.asked, undefined);
});

Deno.test("when cless stops, endless streams end", async () => {
  const stopping = new AbortController();
  const { ask, found } = await newAdmin({ events: new Wire(), logs: { read: endless }, stopping: stopping.signal });
  found.push(foundService("web"));
  const bodies = await Promise.all(
    ["/v1/events", "/v1/services/web/logs?follow=true"].map(async (path) => {
      const pieces = piecesOf(await ask("GET", path));
      await pieces.next();
      return { rest: pieces.next() };
    }),
  );
  stopping.abort();
  assertEquals(await Promise.all(bodies.map(({ rest }) => rest)), [undefined, undefined]);
});

/** A line, and then nothing more. */
async function* endless(_: string, { signal }: LogOptions) {
  yield LINES[0]!;
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
}

type LogOptions = Parameters<Collaborators["logs"]["read"]>[1];

/** An API with a service `web` whose logs are these lines. */
async function withLogs(lines: readonly ServiceLogLine[]) {
  const asked: LogOptions[] = [];
  const read = async function* (_: string, options: LogOptions) {
    await Promise.resolve();
    asked.push(options);
    yield* lines;
  };
  const admin = await newAdmin({ logs: { read } });
  admin.found.push(foundService("web"));
  return { ...admin, asked };
}

const LINES: ServiceLogLine[] = [
  { instance: "one", revision: "web-1", stream: "stdout", time: "2026-11-25T10:00:00Z", text: "starts" },
  { instance: "two", revision: "web-2", stream: "stderr", time: undefined, text: '"fails" ☃' },
];

Deno.test("logs are lines of text with their instances, or JSON objects", async () => {
  const { ask } = await withLogs(LINES);
  const text = async (query: string, accept?: string) => {
    const answer = await ask("GET", `/v1/services/web/logs${query}`, {
      headers: accept === undefined ? {} : { accept },
    });
    return [answer.headers.get("content-type"), await answer.text()];
  };
  const plain = "text/plain; charset=utf-8";
  assertEquals(await text(""), [plain, 'one | starts\ntwo | "fails" ☃\n']);
  assertEquals(await text("", "*/*"), [plain, 'one | starts\ntwo | "fails" ☃\n']);
  assertEquals(await text("?timestamps=true"), [plain, 'one | 2026-11-25T10:00:00Z starts\ntwo | "fails" ☃\n']);
  const [type, objects] = await text("", "application/x-ndjson");
  assertEquals(type, "application/x-ndjson");
  assertEquals(objects!.trimEnd().split("\n").map((line) => JSON.parse(line)), JSON.parse(JSON.stringify(LINES)));
});

Deno.test("logs that cannot be read are an error if nothing was sent yet, and are cut off if something was", async () => {
  const failing = (lines: number) =>
    async function* () {
      await Promise.resolve();
      yield* LINES.slice(0, lines);
      throw new OperatorError("the engine does not answer");
    };
  for (const [lines, follow] of [[0, "false"], [1, "false"], [0, "true"]] as const) {
    const { ask, found } = await newAdmin({ logs: { read: failing(lines) } });
    found.push(foundService("web"));
    const answer = await ask("GET", `/v1/services/web/logs?follow=${follow}`);
    if (lines === 0 && follow === "false") await problemOf(answer, 503, "store_unavailable");
    else await assertRejects(() => answer.text(), OperatorError);
  }
});

Deno.test("the parameters of logs are passed on, or refused", async () => {
  const { ask, asked } = await withLogs(LINES);
  await (await ask("GET", "/v1/services/web/logs?follow=true&tail=10&since=10m&revision=web-2")).body?.cancel();
  await ask("HEAD", "/v1/services/web/logs");
  assertEquals(asked.length, 0); // nothing was read
  for (const query of ["", "?follow=true&tail=0&since=2026-11-25T10:00:00Z&revision=web-2"]) {
    await (await ask("GET", `/v1/services/web/logs${query}`)).text();
  }
  const [plain, full] = asked.map(({ signal: _, ...rest }) => rest);
  assertEquals(plain, { follow: false });
  assertEquals(full, { follow: true, tail: 0, since: "2026-11-25T10:00:00Z", revision: "web-2" });
  const wrong = [
    "tail=-1",
    "since=yesterday",
    "since=0",
    "since=2026-13-25T10:00:00Z",
    "follow=",
    "revision=-x",
    "folow=1",
  ];
  for (const query of wrong) await problemOf(await ask("GET", `/v1/services/web/logs?${query}`), 400, "invalid");
  await problemOf(await ask("GET", "/v1/services/nosuch/logs"), 404, "not_found");
});

Deno.test("a client that disconnects ends the reading of its logs", async () => {
  let signal: AbortSignal | undefined;
  let ended = 0;
  const read = async function* (_: string, options: LogOptions) {
    signal = options.signal;
    try {
      yield LINES[0]!;
      await new Promise<void>((resolve) => options.signal.addEventListener("abort", () => resolve()));
    } finally {
      ended++;
    }
  };
  const { ask, found } = await newAdmin({ logs: { read } });
  found.push(foundService("web"));
  const pieces = piecesOf(await ask("GET", "/v1/services/web/logs?follow=true"));
  assertEquals(await pieces.next(), "one | starts\n");
  const waiting = pieces.next();
  await pieces.cancel();
  assertEquals([signal?.aborted, await waiting, ended], [true, undefined, 1]);
  const answer = await ask("GET", "/v1/services/web/logs"); // waits to be asked for more
  await answer.body?.cancel();
  await settle();
  assertEquals([signal?.aborted, ended], [true, 2]);
});

readTest("metrics are text", async () => {
  const metrics = new Metrics();
  metrics.requested(undefined, undefined, 404, 1);
  const { ask } = await newAdmin({ metrics });
  const answer = await ask("GET", "/metrics");
  assertEquals(answer.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  assertStringIncludes(await answer.text(), '\ncless_requests_total{service="",revision="",code="404"} 1\n');
  assertEquals((await good(ask("GET", "/v1/services"))).length, 0);
});
