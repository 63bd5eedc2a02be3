import { assert, assertEquals } from "@std/assert";
import { Child } from "../../support/child.ts";
import { Harness } from "../../support/harness.ts";
import { noNet, noRun } from "../../support/permissions.ts";
import { RawClient, requestText } from "../../support/raw_client.ts";
import type { Outcome } from "../../support/stray_peers.ts";

const PROGRAM = new URL("../../support/stray_peers.ts", import.meta.url);
/** How often cless is busy, and for how long, ms. */
const PERIOD = 25;
const BUSY = 20;

/** Keeps this event loop from looking at its sockets most of the time. */
function busyLoop(): Disposable {
  const timer = setInterval(() => {
    for (const end = performance.now() + BUSY; performance.now() < end;);
  }, PERIOD);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

async function outcomeOf(habit: "stray" | "close"): Promise<Outcome> {
  await using child = Child.withDescriptors(1024, PROGRAM);
  const port = Number((await child.until("stdout", /^(\d+)\n/))[1]);
  await using cless = await Harness.warm({ forward: "exact", origin: { url: `http://127.0.0.1:${port}` } });
  using control = await RawClient.connect(port);
  using _ = busyLoop();
  const answer = await control.ask(requestText(`GET /run/${habit}/${cless.port}`));
  return JSON.parse(answer.text);
}

Deno.test({
  name: "a request that comes together with a stray answer to the one before never gets it, however busy cless is",
  ignore: noNet || noRun,
  async fn() {
    const { stray, own } = await outcomeOf("stray");
    assertEquals(stray, 0);
    assert(own > 50, `${own} only`);
  },
});

Deno.test({
  name: "a POST that comes together with the end of the app's connection never fails, however busy cless is",
  ignore: noNet || noRun,
  async fn() {
    const { error, own } = await outcomeOf("close");
    assertEquals(error, 0);
    assert(own > 50, `${own} only`);
  },
});
