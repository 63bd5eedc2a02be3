import { assertEquals } from "@std/assert";
import { type Outcome, Tally } from "./tally.ts";
import { mostGrowth } from "./watch.ts";

/** Whether a tally takes a request for failed that was under way while its container was harmed. */
function hasFailed(outcome: Pick<Outcome, "answering" | "failure" | "method">): boolean {
  const tally = new Tally();
  tally.harming("app")();
  const began = performance.now();
  tally.add({ service: "app", began, ended: began + 1, aborted: false, tier: "warm", ms: 1, ...outcome });
  return tally.failed;
}

Deno.test("a harmed container excuses what it took with it, and nothing else", () => {
  const post = { method: "POST", answering: false };
  assertEquals(hasFailed({ ...post, failure: "502 upstream_failed" }), false);
  assertEquals(hasFailed({ method: "GET", answering: true, failure: "a body of 7 bytes" }), false);
  for (const failure of ["502 start_failed", "503 crash_loop", "504 start_timeout", "503 overloaded", "reset"]) {
    assertEquals(hasFailed({ ...post, failure }), true, failure);
  }
  assertEquals(hasFailed({ method: "GET", answering: false, failure: "502 upstream_failed" }), true);
});

Deno.test("how fast the memory grows is judged once a run has been long enough to tell", () => {
  const mayGrow = (mib: number, minutes: number) => mib * 1024 ** 2 <= mostGrowth(minutes);
  assertEquals([mayGrow(1.1, 12), mayGrow(0.2, 18), mayGrow(3, 12), mayGrow(3, 20)], [true, true, false, false]);
  assertEquals(mayGrow(20, 5), true); // it is still being warmed up
});
