import { assertEquals } from "@std/assert";
import { type Outcome, Tally } from "./tally.ts";
import { mostGrowth } from "./watch.ts";

/** Whether a tally takes a request for failed that was under way while something happened. */
function hasFailed(
  outcome: Pick<Outcome, "answering" | "failure" | "method">,
  what = (tally: Tally) => tally.harming("app"),
): boolean {
  const tally = new Tally();
  what(tally)();
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

Deno.test("a start that failed is excused if two were ended by hand", () => {
  const outcome = { method: "GET", answering: false, failure: "502 start_failed" };
  const twice = (tally: Tally) => {
    tally.harming("app")();
    return tally.harming("app");
  };
  assertEquals([hasFailed(outcome), hasFailed(outcome, twice)], [true, false]);
});

Deno.test("a killed cless excuses what was in flight on it or refused, and no answer of its own", () => {
  const killing = (tally: Tally) => tally.killing();
  const get = { method: "GET", answering: false };
  for (const failure of ["Connection refused (os error 111)", "connection closed before message completed"]) {
    assertEquals([hasFailed({ ...get, failure }, killing), hasFailed({ ...get, failure })], [false, true], failure);
  }
  assertEquals(hasFailed({ method: "GET", answering: true, failure: "a body of 7 bytes" }, killing), false);
  for (const failure of ["502 start_failed", "502 upstream_failed", "503 draining", "504 start_timeout"]) {
    assertEquals(hasFailed({ ...get, failure }, killing), true, failure);
  }
});

Deno.test("an engine that is away excuses no request, but changes of services", () => {
  const tally = new Tally();
  const began = performance.now();
  tally.engineAway()();
  const outcome = { service: "app", method: "POST", began, ended: began + 1, tier: "cold", ms: 1 } as const;
  tally.add({ ...outcome, aborted: false, answering: false, failure: "502 upstream_failed" });
  assertEquals([tally.failed, tally.isChangeExcused("app", began, began + 1)], [true, true]);
});

Deno.test("how fast the memory grows is judged once a run has been long enough to tell", () => {
  const mayGrow = (mib: number, minutes: number) => mib * 1024 ** 2 <= mostGrowth(minutes);
  assertEquals([mayGrow(1.1, 12), mayGrow(0.2, 18), mayGrow(3, 12), mayGrow(3, 20)], [true, true, false, false]);
  assertEquals(mayGrow(20, 5), true); // it is still being warmed up
});
