import { assertEquals } from "@std/assert";
import { eventText } from "../../src/cli/event_text.ts";
import { noNet, noRun } from "../support/permissions.ts";
import { apiTest, FakeApi, problem } from "./fake_api.ts";
import { programArgs } from "./run_main.ts";

const PAST = "GET /v1/events?after=0&follow=false";

/** An event as the API has it. */
type Sent = readonly [id: number | undefined, type: string, service: string | undefined, data: object];

/** An answer with these events, which then ends. */
function streamOf(...events: Sent[]): Response {
  const text = events.map(([id, type, service, data], second) => {
    const at = `2027-01-31T12:00:0${second}.250Z`;
    return `${id === undefined ? "" : `id: ${id}\n`}event: ${type}\ndata: ${
      JSON.stringify({ at, service, ...data })
    }\n\n`;
  });
  return new Response(`: cless\n\n${text.join("")}`, { headers: { "content-type": "text/event-stream" } });
}

const EVENTS: Sent[] = [
  [1, "service.created", "web", { revision: "web-00001" }],
  [2, "instance.ready", "a-long-name", { instance: "a-long-name-00001-a1b2", coldStartMs: 312 }],
  [undefined, "stats", undefined, { inFlight: 1 }],
  [3, "instance.failed", "web", { instance: "web-00001-c3d4", reason: "it ended\x1b[31m with code 1" }],
];

const LINES = [
  "2027-01-31T12:00:00Z  web  the service is made, with web-00001",
  "2027-01-31T12:00:01Z  a-long-name  a-long-name-00001-a1b2 is ready after 312ms",
  "2027-01-31T12:00:03Z  web          web-00001-c3d4 has failed: it ended with code 1",
];

apiTest("events are lines with their time and service, without statistics", {
  [PAST]: () => streamOf(...EVENTS),
}, async (api) => {
  assertEquals(await api.run("events"), { code: 0, out: LINES.join("\n"), err: "" });
  assertEquals(api.asked.map(({ headers, line }) => [line, headers.get("accept")]), [[PAST, "text/event-stream"]]);
  assertEquals((await api.run("events", "-n", "1")).out, LINES[2]!.replace(/ {2,}/g, "  "));
  assertEquals((await api.run("events", "-n", "9")).out, LINES.join("\n"));
  assertEquals(await api.run("events", "-n", "0"), { code: 0, out: "", err: "" });
});

apiTest("with --json, an event is a line with all that the API has of it", {
  [PAST]: () => streamOf(...EVENTS),
}, async (api) => {
  const lines = (await api.run("events", "--json")).out.split("\n").map((line) => JSON.parse(line));
  assertEquals(lines.length, 3);
  assertEquals(lines[1], {
    id: 2,
    type: "instance.ready",
    at: "2027-01-31T12:00:01.250Z",
    service: "a-long-name",
    instance: "a-long-name-00001-a1b2",
    coldStartMs: 312,
  });
});

apiTest("the events of one service are asked for", {
  "GET /v1/events?service=web&after=0&follow=false": () => streamOf(EVENTS[0]!),
}, async (api) => {
  assertEquals((await api.run("events", "--service", "web")).out, LINES[0]);
});

apiTest("of a pull there is one line, and with --json every event", {
  [PAST]: () => {
    const pulling = (done: number, image = "web:1", service = "web"): Sent => {
      return [1, "revision.pulling", service, { image, done, total: 3 }];
    };
    return streamOf(pulling(0), pulling(1), pulling(2), pulling(0), pulling(1, "web:2"), pulling(2, "web:2", "zoo"));
  },
}, async (api) => {
  const words = (await api.run("events")).out.split("\n").map((line) => line.split(/ {2,}/).slice(1));
  assertEquals(words, [
    ["web", "pulling web:1"],
    ["web", "pulling web:1"],
    ["web", "pulling web:2"],
    ["zoo", "pulling web:2"],
  ]);
  assertEquals((await api.run("events", "--json")).out.split("\n").length, 6);
});

apiTest("with --follow, what happens after the last event is printed, also if the connection is lost", {
  [PAST]: () => streamOf(...EVENTS),
  "GET /v1/events?after=3": () => streamOf([4, "service.deleted", "web", {}]),
  "GET /v1/events?after=4": () => problem(401, "The token is revoked"),
}, async (api) => {
  const { code, err, out } = await api.run("events", "--follow", "--tail", "1");
  assertEquals(out.split("\n").map((line) => line.split(/ {2,}/)[2]), [
    "web-00001-c3d4 has failed: it ended with code 1",
    "the service is deleted",
  ]);
  assertEquals([code, err], [1, `cless: the cless at ${api.url} refuses the token given: The token is revoked`]);
});

apiTest("new events are asked for from the first one if nothing has happened yet", {
  [PAST]: () => streamOf(),
  "GET /v1/events?after=0": () => problem(403, "no"),
}, async (api) => {
  assertEquals(await api.run("events", "-f"), { code: 1, out: "", err: "cless: no" });
});

apiTest("without events, the message says so, and --json prints nothing", { [PAST]: () => streamOf() }, async (api) => {
  const err = "there are no such events now; -f waits for the next ones";
  assertEquals(await api.run("events"), { code: 0, out: "", err });
  assertEquals(await api.run("events", "--json"), { code: 0, out: "", err: "" });
});

Deno.test({
  name: "Ctrl-C ends events that are followed, without an error message",
  ignore: noNet || noRun,
  fn: async () => {
    await using api = new FakeApi({
      [PAST]: () => streamOf(EVENTS[0]!),
      "GET /v1/events?after=1": () => new Response(new ReadableStream()),
    });
    const args = programArgs("events", "-f", "--server", api.url, "--token", "secret");
    const child = new Deno.Command(Deno.execPath(), { args, stdin: "null", stdout: "piped", stderr: "piped" }).spawn();
    let text = "";
    for await (const chunk of child.stdout) {
      text += new TextDecoder().decode(chunk);
      child.kill("SIGINT");
    }
    const err = await new Response(child.stderr).text();
    assertEquals([(await child.status).code, text, err], [130, `${LINES[0]}\n`, ""]);
  },
});

Deno.test("every event has its words, and those of a later version have their fields", () => {
  const cases: [type: string, data: Record<string, unknown>, text: string][] = [
    ["service.changed", { changed: ["image", "imageId", "env"] }, "the service is changed: image, env"],
    ["service.changed", { changed: [] }, "the service is changed"],
    ["service.deleted", {}, "the service is deleted"],
    ["service.state", { state: "asleep" }, "the service is asleep"],
    ["service.state", { state: "failing", failure: "exit code 1" }, "the service is failing: exit code 1"],
    ["revision.starting", { revision: "web-00002" }, "starting web-00002"],
    ["revision.warning", { revision: "web-00002", warning: "no\nmore" }, "warning about web-00002: nomore"],
    ["revision.ready", { revision: "web-00002", ms: 1240 }, "web-00002 is ready after 1.2s"],
    ["revision.failed", { revision: "web-00002", reason: "no" }, "web-00002 has failed: no"],
    ["revision.failed", { revision: "web-00002", reason: "no", count: 4 }, "web-00002 has failed 4 times in a row: no"],
    ["revision.deleted", { revision: "web-00001" }, "web-00001 is deleted"],
    [
      "traffic.changed",
      { traffic: [{ revision: "web-00002", percent: 100, tag: "b" }] },
      "traffic: web-00002 100% (b)",
    ],
    ["instance.starting", { instance: "web-1" }, "web-1 is starting"],
    ["instance.ready", { instance: "web-1" }, "web-1 is ready"],
    ["instance.paused", { instance: "web-1" }, "web-1 is paused"],
    ["instance.hibernated", { instance: "web-1" }, "web-1 is hibernated"],
    ["exec.started", { instance: "web-1", by: "ci", command: "sh" }, "ci runs sh in web-1"],
    [
      "exec.ended",
      { instance: "web-1", by: "ci", command: "sh", code: 7, ms: 1200 },
      "sh of ci has ended in web-1 after 1.2s, with code 7",
    ],
    [
      "exec.ended",
      { instance: "web-1", by: "ci", command: "sh", ms: 20 },
      "ci is connected to sh in web-1 no more after 20ms",
    ],
    ["instance.draining", { instance: "web-1" }, "web-1 answers its last requests"],
    ["instance.stopped", { instance: "web-1" }, "web-1 has stopped"],
    ["instance.stopped", { instance: "web-1", reason: "it was killed" }, "web-1 has stopped: it was killed"],
    ["moon.rose", { at: "x", service: "web", phase: "full\x07", n: 1 }, "moon.rose phase=full n=1"],
  ];
  for (const [type, data, text] of cases) assertEquals(eventText({ type, data }), text);
});

/** How an older cless, whose events have no end, refuses to end them. */
const NO_END = problem(400, "follow: unknown parameter", {
  errors: [{ field: "follow", reason: "unknown parameter" }],
});

apiTest("an older cless, which has no end of events, is said to be that", { [PAST]: NO_END }, async (api) => {
  const err = "cless: that cless is older than this command, and has only events -f";
  assertEquals(await api.run("events"), { code: 1, out: "", err });
});

Deno.test({
  name: "the events of an older cless can be followed",
  ignore: noNet || noRun,
  fn: async () => {
    await using api = new FakeApi({ [PAST]: NO_END, "GET /v1/events?after=0": () => streamOf(...EVENTS) });
    await using child = new Deno.Command(Deno.execPath(), {
      args: programArgs("events", "-f", "--server", api.url, "--token", "secret"),
      ...{ stdin: "null", stdout: "piped", stderr: "null" },
    }).spawn();
    let text = "";
    for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
      text += piece;
      if (text.includes(LINES[2]!)) break;
    }
    assertEquals(text.startsWith(LINES[0]!), true, text);
  },
});
