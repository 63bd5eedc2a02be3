import { assert, assertEquals, assertMatch } from "@std/assert";
import { build, docker, noDocker } from "../support/docker.ts";
import { FORWARDERS } from "../support/forwarders.ts";
import { OtlpReceiver, type ReceivedSpan } from "../support/otlp_receiver.ts";
import { Program } from "../support/program.ts";
import { until } from "../support/until.ts";

/** Answers with the headers that it got; fails on request. */
const SCRIPT = `
if (process.env.BROKEN) process.exit(3);
require("node:http").createServer(({ rawHeaders, url }, response) => {
  if (url === "/fails") response.statusCode = 500;
  response.end(JSON.stringify(rawHeaders));
}).listen(8080);
process.on("SIGTERM", () => process.exit(0));
`;
const APP = `FROM nodejs-docker\nENTRYPOINT ${JSON.stringify(["node", "-e", SCRIPT])}`;
const CLIENT_SPAN = "b7ad6b7169203331";

/** A new trace, as a client begins it. */
function newTrace(): { id: string; headers: Record<string, string> } {
  const id = crypto.randomUUID().replaceAll("-", "");
  return { id, headers: { traceparent: `00-${id}-${CLIENT_SPAN}-01`, tracestate: "shop=1", baggage: "user=7" } };
}

/** The values of a header that an app got, from its answer. */
function got(answer: { text: string }, name: string): string[] {
  const raw: string[] = JSON.parse(answer.text);
  return raw.filter((_, at) => at % 2 === 1 && raw[at - 1]!.toLowerCase() === name);
}

/** The one span of a name. */
function only(spans: readonly ReceivedSpan[], name: string): ReceivedSpan {
  const [found, ...others] = spans.filter((span) => span.name === name);
  assert(found !== undefined && others.length === 0, `${name} among ${spans.map((span) => span.name)}`);
  return found;
}

for (const forward of FORWARDERS) {
  Deno.test(
    {
      name:
        `${forward}: a collector gets the spans of a request, of its wait, of the start and the wake, and of the app`,
      ignore: noDocker,
    },
    async (t) => {
      await using _app = await build("traced-docker", APP);
      await using receiver = new OtlpReceiver();
      await using program = await Program.start({
        flags: ["--forward", forward],
        env: receiver.env,
      });
      let revision = "";

      await t.step("a request that starts the app", async () => {
        const { id, headers } = newTrace();
        const answer = await program.get("traced", "/?secret=1", { headers });
        assertEquals(answer.status, 200);
        const spans = await receiver.trace(id, "GET traced");
        const [own, hold, start, sent] = ["GET traced", "hold", "start", "forward"].map((name) => only(spans, name));
        assertEquals([own!.parentSpanId, hold!.parentSpanId], [CLIENT_SPAN, own!.spanId]);
        assertEquals([start!.parentSpanId, sent!.parentSpanId], [hold!.spanId, own!.spanId]);
        const [{ id: instance, ...about }] = await program.api("/v1/instances") as [Record<string, string>];
        revision = about.revision!;
        const labels = { "cless.service": "traced", "cless.revision": revision, "cless.instance": instance! };
        assertEquals(hold!.attributes, { ...labels, "cless.how": "cold" });
        assertEquals(start!.attributes, hold!.attributes);
        assertEquals(sent!.attributes, { ...labels, "http.response.status_code": "200" });
        for (const [label, value] of Object.entries(hold!.attributes)) assertEquals(own!.attributes[label], value);
        for (const { name, status } of [own!, hold!, start!, sent!]) assertEquals(status.code, 0, name);
        const { startMs, endMs } = start!;
        assert(endMs - startMs > 10 && startMs >= own!.startMs - 50 && endMs <= own!.endMs + 50, "the start's times");
        // With `fetch` the platform has a span of its own between.
        const last = forward === "exact" ? sent! : spans.find(({ parentSpanId }) => parentSpanId === sent!.spanId)!;
        assertEquals(got(answer, "traceparent"), [`00-${id}-${last.spanId}-01`]);
        assertEquals([got(answer, "tracestate"), got(answer, "baggage")], [["shop=1"], ["user=7"]]);
      });

      await t.step("a request that finds it awake", async () => {
        const { id, headers } = newTrace();
        assertEquals((await program.get("traced", "/", { headers })).status, 200);
        const names = (await receiver.trace(id, "GET traced")).map(({ name }) => name);
        assertEquals(names.filter((name) => name !== "GET").sort(), ["GET traced", "forward"]);
      });

      await t.step("a request that wakes it", async () => {
        const [container] = await program.containers("traced");
        await docker("pause", container!); // at a time that the test chooses
        await until(async () => (await program.api("/v1/instances"))[0]?.state === "paused");
        const { id, headers } = newTrace();
        assertEquals((await program.get("traced", "/", { headers })).status, 200);
        const spans = await receiver.trace(id, "GET traced");
        const [hold, wake] = ["hold", "wake"].map((name) => only(spans, name));
        assertEquals([wake!.parentSpanId, wake!.attributes["cless.how"]], [hold!.spanId, "resume"]);
        assert(wake!.startMs >= hold!.startMs - 50 && wake!.endMs <= hold!.endMs + 50, "the wake's times");
      });

      await t.step("a request that the app fails", async () => {
        const { id, headers } = newTrace();
        assertEquals((await program.get("traced", "/fails", { headers })).status, 500);
        const spans = await receiver.trace(id, "GET traced");
        assertEquals(["GET traced", "forward"].map((name) => only(spans, name).status.code), [2, 2]);
      });

      await t.step("a request without a trace of its own, which begins one", async () => {
        const answer = await program.get("traced");
        assertMatch(got(answer, "traceparent").join(), /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
      });

      await t.step("a request whose start fails", async () => {
        await program.send("PUT", "/v1/services/broken?wait=false", { image: "traced-docker", env: { BROKEN: "1" } });
        const { id, headers } = newTrace();
        const { headers: answered } = await program.get("broken", "/", { headers });
        const error = answered.get("cless-error");
        assertEquals(error, "start_failed");
        const spans = await receiver.trace(id, "GET broken");
        const [own, hold] = ["GET broken", "hold"].map((name) => only(spans, name));
        assertEquals([own!.attributes["cless.error"], own!.status.code], [error!, 2]);
        assertEquals(hold!.status, { code: 2, message: error! });
        assertEquals(spans.filter(({ name }) => name === "forward"), []);
      });
    },
  );
}

Deno.test(
  { name: "without OTEL_DENO nothing is exported, and a trace goes on unchanged", ignore: noDocker },
  async () => {
    await using _app = await build("traced-docker", APP);
    await using receiver = new OtlpReceiver();
    const { OTEL_DENO: _, ...env } = receiver.env;
    await using program = await Program.start({ env });
    const { headers } = newTrace();
    const answer = await program.get("traced", "/", { headers });
    assertEquals(got(answer, "traceparent"), [headers.traceparent!]);
    assertEquals(got(answer, "tracestate"), [headers.tracestate!]);
    assertEquals(got(await program.get("traced"), "traceparent"), []);
    await program.end();
    assertEquals(receiver.exports, 0);
  },
);

Deno.test(
  {
    name: "what cless sends to itself to measure its lag is in no trace, with the sampler of the docs",
    ignore: noDocker,
  },
  async () => {
    await using _app = await build("traced-docker", APP);
    await using receiver = new OtlpReceiver();
    const sampler = { OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "1" };
    await using program = await Program.start({ env: { ...receiver.env, ...sampler } });
    const { id, headers } = newTrace();
    assertEquals((await program.get("traced", "/", { headers })).status, 200);
    await receiver.trace(id, "GET traced");
    const urls = receiver.spans.flatMap(({ attributes: { "url.full": url = "" } }) => url);
    assertEquals(urls.filter((url) => url.startsWith("http://localhost/")), []);
  },
);
