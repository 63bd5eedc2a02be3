import { assertEquals } from "@std/assert";
import { Child } from "../../support/child.ts";
import { Harness } from "../../support/harness.ts";
import { noNet, noRun } from "../../support/permissions.ts";
import { RawClient, requestText } from "../../support/raw_client.ts";
import type { Habit, Outcome } from "../../support/stray_peers.ts";

const PROGRAM = new URL("../../support/stray_peers.ts", import.meta.url);
/** The number of requests: a multiple of the numbers of clients. */
const REQUESTS = 512;
/** How long the event loop of cless is blocked, and how often. */
const [BUSY_MS, PERIOD_MS] = [4, 5];

/** Blocks the event loop again and again, so that cless notices several events of its sockets at once. */
function busyLoop(): Disposable {
  const timer = setInterval(() => {
    for (const end = performance.now() + BUSY_MS; performance.now() < end;);
  }, PERIOD_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** What clients get from an app with this habit. */
async function outcomeOf(habit: Habit, clients: number): Promise<Outcome> {
  await using child = Child.withDescriptors(1024, PROGRAM);
  const port = Number((await child.until("stdout", /^(\d+)\n/))[1]);
  await using cless = await Harness.warm({ forward: "exact", origin: { url: `http://127.0.0.1:${port}` } });
  using control = await RawClient.connect(port);
  using _ = busyLoop();
  const answer = await control.ask(requestText(`GET /run/${habit}/${clients}/${REQUESTS}/${cless.port}`));
  return JSON.parse(answer.text);
}

const CASES = {
  stray: "a request that arrives together with a stray answer gets its own answer",
  close: "a POST that arrives together with the end of an idle connection does not fail",
};

for (const clients of [1, 32]) {
  for (const [habit, name] of Object.entries(CASES) as [Habit, string][]) {
    Deno.test({
      name: `${name}, however busy cless is: ${clients} at once`,
      ignore: noNet || noRun || Deno.build.os === "windows",
      fn: async () => assertEquals(await outcomeOf(habit, clients), { own: REQUESTS, stray: 0, error: 0 }),
    });
  }
}
