import { assertEquals, assertRejects } from "@std/assert";
import { OperatorError } from "../../src/base/errors.ts";
import { Client } from "../../src/cli/client.ts";
import { Progress } from "../../src/cli/progress.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { freePorts } from "../support/free_ports.ts";
import { netTest } from "../support/permissions.ts";
import { apiTest, events } from "./fake_api.ts";

const SCREEN = { isTerminal: true, line: () => {}, live: () => {}, wait: () => {}, clear: () => {} };

function clientOf(port: number): Client {
  return new Client({ server: `http://127.0.0.1:${port}`, token: () => Promise.resolve({ text: "secret" }) });
}

netTest("a deploy does not wait for events that a proxy holds back", async () => {
  const clock = new FakeClock();
  const asked = Promise.withResolvers<void>();
  const over = Promise.withResolvers<Response>();
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    asked.resolve();
    return over.promise;
  });
  using client = clientOf(server.addr.port);
  const starting = Progress.start(client, "web", SCREEN, clock);
  await asked.promise;
  await clock.advance(2000);
  {
    await using _ = await starting;
  }
  over.resolve(new Response("too late"));
});

netTest("an API that does not answer is reported at once", async () => {
  const port = freePorts(1);
  using client = clientOf(port);
  const { message } = await assertRejects(() => Progress.start(client, "web", SCREEN), OperatorError);
  assertEquals(message.includes("does not answer"), true);
});

apiTest("the progress of a pull is gone from the screen when the deploy is over, however it ends", {
  "GET /v1/events": events(["revision.pulling", { image: "web:1", done: 1, total: 3 }]),
}, async (api) => {
  const shown: string[] = [];
  const seen = Promise.withResolvers<void>();
  const screen = {
    ...SCREEN,
    line: (text: string) => void shown.push(text),
    live: (text: string) => (shown.push(text), seen.resolve()),
    clear: () => void shown.push("clear"),
  };
  using client = new Client({ server: api.url, token: () => Promise.resolve({ text: "secret" }) });
  {
    await using _ = await Progress.start(client, "web", screen);
    await seen.promise;
  }
  assertEquals(shown, ["pulling web:1", "  1 of 3 layers", "clear"]);
});

const SINCE = "2026-11-25T10:00:00.000Z";

/** A progress whose events and clock are the test's, and what it shows; `tell` resolves once an event is shown. */
async function newProgress({ isTerminal }: { readonly isTerminal: boolean }) {
  const clock = new FakeClock();
  let stream!: ReadableByteStreamController;
  let asked = Promise.withResolvers<void>(); // for the next piece, so that what came before it is shown
  const body = new ReadableStream({
    type: "bytes",
    start: (controller) => void (stream = controller),
    pull: () => asked.resolve(),
  }, { highWaterMark: 0 });
  const send = () => Promise.resolve(new Response(body));
  const shown: string[] = [];
  const note = (how: string) => (text: string) => void shown.push(`${how}: ${text}`);
  const screen = { isTerminal, line: note("line"), live: note("live"), wait: note("wait"), clear: () => {} };
  const progress = await Progress.start({ send }, "web", screen, clock);
  const tell = async (type: string, data: object) => {
    await asked.promise;
    asked = Promise.withResolvers();
    stream.enqueue(new TextEncoder().encode(`event: ${type}\ndata: ${JSON.stringify(data)}\n\n`));
    await asked.promise;
    return shown.splice(0);
  };
  const wait = async (second: number, text = "no answer on port 8080 yet", more: object = {}) => {
    const at = new Date(Date.parse(SINCE) + 1000 * second).toISOString();
    return await tell("service.waiting", { at, since: SINCE, text, ...more });
  };
  return { clock, progress, tell, wait };
}

Deno.test("after three seconds without a line, the progress says each second what is waited for, with the last line of the app", async () => {
  const { clock, progress, tell, wait } = await newProgress({ isTerminal: true });
  await using _ = progress;
  await clock.advance(2000);
  assertEquals(await wait(2), []);
  assertEquals(await tell("revision.starting", { revision: "web-00002" }), ["line: starting web-00002"]);
  await clock.advance(2999);
  assertEquals(await wait(4), []);
  await clock.advance(1);
  assertEquals(await wait(5), ["wait:   5s: no answer on port 8080 yet"]);
  assertEquals(await wait(72), ["wait:   1m 12s: no answer on port 8080 yet"]);
  assertEquals(await wait(12, "GET / on port 8080 gives 503", { output: "migrating\x1b[2J 3" }), [
    "wait:   12s: GET / on port 8080 gives 503; last line: migrating 3",
  ]);
});

Deno.test("without a terminal, what is waited for is a line at most every ten seconds", async () => {
  const { clock, progress, wait } = await newProgress({ isTerminal: false });
  await using _ = progress;
  const seconds: number[] = [];
  for (let second = 1; second <= 30; second++) {
    await clock.advance(1000);
    if ((await wait(second)).length > 0) seconds.push(second);
  }
  assertEquals(seconds, [3, 13, 23]);
});
