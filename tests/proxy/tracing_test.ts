import { assert, assertEquals } from "@std/assert";
import { type TraceApi, Tracing } from "../../src/proxy/tracing.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { Harness } from "../support/harness.ts";
import { OK, Origin } from "../support/origin.ts";
import { netTest } from "../support/permissions.ts";
import { requestText } from "../support/raw_client.ts";
import { connectPair } from "../support/websocket_pair.ts";

const SPAN = Symbol.for("OpenTelemetry Context Key SPAN");
const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";

interface Noted {
  readonly name: string;
  /** The name of its parent. */
  readonly parent: string | undefined;
  readonly id: string;
  readonly attributes: Record<string, unknown>;
  error?: string;
  isOver: boolean;
}

type Context = ReturnType<TraceApi["context"]["active"]>;

/** An API that notes spans. The platform's own span of each request is there before it. */
function newTracing(clock = new FakeClock(), flags = 1) {
  const spans: Noted[] = [];
  const start = (name: string, context: Context | undefined, attributes: Readonly<Record<string, unknown>>) => {
    const parent = context?.getValue(SPAN) as { noted: Noted } | undefined;
    const id = String(spans.length + 1).padStart(16, "0");
    const noted: Noted = { name, parent: parent?.noted.name, id, attributes: { ...attributes }, isOver: false };
    spans.push(noted);
    return {
      noted,
      spanContext: () => ({ traceId: TRACE_ID, spanId: id, traceFlags: flags }),
      setAttributes: (more: Readonly<Record<string, unknown>>) => void Object.assign(noted.attributes, more),
      setStatus: ({ message = "" }: { code: number; message?: string }) => void (noted.error = message),
      updateName: (renamed: string) => void Object.assign(noted, { name: renamed }),
      end: () => void (noted.isOver = true),
    };
  };
  const newContext = (values: ReadonlyMap<symbol, unknown>): Context => ({
    getValue: (key) => values.get(key),
    setValue: (key, value) => newContext(new Map([...values, [key, value]])),
  });
  const api: TraceApi = {
    trace: { getTracer: () => ({ startSpan: (name, { attributes }, context) => start(name, context, attributes) }) },
    context: {
      active: () => newContext(new Map([[SPAN, start("request", undefined, {})]])),
      with: (_, run) => run(),
    },
  };
  return { spans, clock, tracing: new Tracing(api, clock, () => 1e12) };
}

const namesOf = (spans: readonly Noted[]) => spans.map(({ name, parent }) => `${name} < ${parent ?? "nothing"}`);

netTest(
  "a request that is sent twice has a span for each attempt, and the app learns which one it answers",
  async () => {
    const seen: (string | undefined)[] = [];
    await using app = Origin.serving(async (connection) => {
      const request = await connection.reader.request();
      seen.push(request?.one("traceparent"));
      if (connection.number > 0) await connection.send(OK);
    });
    const { spans, tracing } = newTracing();
    await using cless = await Harness.warm({ forward: "exact", origin: app, tracing });
    const headers = ["traceparent: 00-11111111111111111111111111111111-2222222222222222-01", "tracestate: a=b"];
    assertEquals((await cless.ask(requestText("GET /", headers))).status, 200);
    assertEquals(namesOf(spans), ["GET app < nothing", "forward < request", "forward < request"]);
    const [own, first, second] = spans;
    assert(first!.error !== undefined && first!.isOver && second!.isOver && !own!.isOver);
    assertEquals(second!.error, undefined);
    assertEquals(seen, [first, second].map((span) => `00-${TRACE_ID}-${span!.id}-01`));
    assertEquals(own!.attributes, {
      ...{ "cless.service": "app", "cless.revision": "app-00001", "cless.instance": "app-1" },
    });
    await cless.idle();
  },
);

netTest("a trace that is not recorded goes on as one that is not, without spans of cless", async () => {
  await using app = Origin.answering();
  const { spans, tracing } = newTracing(new FakeClock(), 0);
  await using cless = await Harness.warm({ forward: "exact", origin: app, tracing });
  await cless.ask(requestText());
  assertEquals(namesOf(spans), ["request < nothing"]);
  assertEquals(app.requests[0]!.one("traceparent"), `00-${TRACE_ID}-${spans[0]!.id}-00`);
});

netTest("a request that waits for a start has a span for the wait and one for the start", async () => {
  await using app = Origin.answering();
  const { clock, spans, tracing } = newTracing();
  await using cless = Harness.cold({ clock, tracing, forward: "exact" });
  const asked = cless.ask(requestText());
  const launch = await cless.launcher.nextLaunch();
  await clock.advance(70);
  launch.succeed(app.url);
  assertEquals((await asked).status, 200);
  assertEquals(namesOf(spans), ["GET app < nothing", "hold < request", "start < hold", "forward < request"]);
  for (const { attributes } of spans.slice(0, 3)) assertEquals(attributes["cless.how"], "cold");
  assert(spans.slice(1).every(({ isOver, error }) => isOver && error === undefined));
});

netTest("a wait that ends with an error is a span that failed, with the code", async () => {
  const { spans, tracing } = newTracing();
  await using cless = Harness.cold({ tracing });
  const asked = cless.ask(requestText());
  (await cless.launcher.nextLaunch()).fail(new Error("no such image"));
  assertEquals((await asked).status, 502);
  assertEquals(namesOf(spans), ["GET app < nothing", "hold < request"]);
  assertEquals([spans[0]!.attributes["cless.error"], spans[1]!.error], ["start_failed", "start_failed"]);
});

netTest("a WebSocket's trace goes on to the app, too", async () => {
  const { spans, tracing } = newTracing();
  await using pair = await connectPair([], [], { tracing });
  const forward = spans.find(({ name }) => name === "forward")!;
  assertEquals(forward.attributes["http.response.status_code"], 101);
  assertEquals(pair.request.one("traceparent"), `00-${TRACE_ID}-${forward.id}-01`);
});

Deno.test("without the platform's tracing there is none", () => {
  assertEquals(Tracing.ofPlatform(new FakeClock(), Date.now), undefined);
});
