import { assertEquals } from "@std/assert";
import { MOST_LATELY, Pace } from "../../src/proxy/pace.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** A pace, and the requests that have begun. */
function setUp() {
  const clock = new FakeClock();
  const pace = new Pace(clock);
  const begun: { readonly name: string; readonly at: number }[] = [];
  const begin = (name: string) => void begun.push({ name, at: pace.begun() });
  const ask = (name: string) => pace.isFull ? pace.wait(() => begin(name)) : begin(name);
  const end = (name: string) => pace.ended(begun.find((request) => request.name === name)!.at);
  const fill = () => {
    for (let n = 0; n < MOST_LATELY; n++) ask(`filling ${n}`);
  };
  return { clock, pace, ask, end, fill, names: () => begun.map(({ name }) => name).slice(MOST_LATELY) };
}

Deno.test("a request begins at once while few that began lately are unanswered", () => {
  const { fill, pace } = setUp();
  fill();
  assertEquals([pace.waiting, pace.lagMs, pace.isFull], [0, 0, true]);
});

Deno.test("with many, requests wait, and one begins for each that is answered, in order", async () => {
  const { ask, clock, end, fill, names, pace } = setUp();
  fill();
  for (const name of ["one", "two", "three"]) ask(name);
  await clock.advance(1);
  assertEquals([names(), pace.waiting, pace.lagMs], [[], 3, 1]);
  end("filling 5");
  assertEquals(names(), ["one"]);
  end("one");
  assertEquals([names(), pace.waiting], [["one", "two"], 1]);
});

Deno.test("requests whose apps take long keep no others from beginning", async () => {
  const { ask, clock, end, fill, names, pace } = setUp();
  fill();
  ask("one");
  await clock.advance(2);
  assertEquals(names(), []);
  await clock.advance(2);
  assertEquals([names(), pace.waiting, pace.isFull], [["one"], 0, false]);
  end("filling 0"); // long after
  for (let n = 1; n < MOST_LATELY; n++) ask(`more ${n}`);
  assertEquals([names().length, pace.isFull], [MOST_LATELY, true]);
});

Deno.test("no timer runs while only few requests are unanswered", async () => {
  const { ask, clock, fill } = setUp();
  ask("one");
  assertEquals(clock.timers, 0);
  fill();
  assertEquals(clock.timers, 1);
  await clock.advance(10);
  assertEquals(clock.timers, 0);
});

Deno.test("a request may be answered as soon as it begins", () => {
  const { end, fill, names, pace } = setUp();
  fill();
  for (let n = 0; n < 20_000; n++) pace.wait(() => pace.ended(pace.begun()));
  end("filling 0");
  assertEquals([names(), pace.waiting], [[], 0]);
});

Deno.test("with a lower limit, fewer begin", () => {
  const { ask, end, fill, names, pace } = setUp();
  fill();
  ask("one");
  pace.most = MOST_LATELY - 2;
  for (const n of [1, 2]) end(`filling ${n}`);
  assertEquals(names(), []);
  end("filling 3");
  assertEquals(names(), ["one"]);
});
