import { assertEquals } from "@std/assert";
import { Attempts } from "../../src/base/attempts.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** Notes a number of wrong attempts. */
function fail(attempts: Attempts, address: string, times: number): void {
  for (let time = 0; time < times; time++) attempts.wrong(address);
}

Deno.test("ten wrong attempts within a minute lead to refusals for a minute", async () => {
  const clock = new FakeClock();
  const attempts = new Attempts(clock);
  assertEquals(attempts.secondsLeft("a"), undefined);
  fail(attempts, "a", 9);
  await clock.advance(59_999);
  assertEquals(attempts.secondsLeft("a"), undefined);
  attempts.wrong("a");
  assertEquals(attempts.secondsLeft("a"), 60);
  await clock.advance(1);
  assertEquals(attempts.secondsLeft("a"), 60);
  await clock.advance(59_000);
  assertEquals(attempts.secondsLeft("a"), 1);
  await clock.advance(999);
  assertEquals(attempts.secondsLeft("a"), undefined);
  fail(attempts, "a", 9);
  assertEquals(attempts.secondsLeft("a"), undefined);
  attempts.wrong("a");
  assertEquals(attempts.secondsLeft("a"), 60);
});

Deno.test("wrong attempts count for a minute, whenever the minute began", async () => {
  const clock = new FakeClock();
  const attempts = new Attempts(clock);
  fail(attempts, "a", 5);
  await clock.advance(30_000);
  fail(attempts, "a", 4);
  await clock.advance(30_000);
  fail(attempts, "a", 5); // the first five do not count any more
  assertEquals(attempts.secondsLeft("a"), undefined);
  attempts.wrong("a");
  assertEquals(attempts.secondsLeft("a"), 60);
});

Deno.test("wrong attempts during a refusal do not make it longer", async () => {
  const clock = new FakeClock();
  const attempts = new Attempts(clock);
  fail(attempts, "a", 10);
  await clock.advance(59_000);
  fail(attempts, "a", 100);
  assertEquals(attempts.secondsLeft("a"), 1);
  await clock.advance(1000);
  assertEquals(attempts.secondsLeft("a"), undefined);
});

Deno.test("an address is not refused for what others do", () => {
  const attempts = new Attempts(new FakeClock());
  fail(attempts, "a", 9);
  fail(attempts, "b", 1000);
  assertEquals(["a", "b", "c"].map((address) => attempts.secondsLeft(address)), [undefined, 60, undefined]);
});

Deno.test("of very many addresses, the oldest are forgotten", () => {
  const attempts = new Attempts(new FakeClock());
  fail(attempts, "a", 10);
  fail(attempts, "b", 9);
  for (let address = 0; address < 9998; address++) attempts.wrong(`${address}`);
  assertEquals([attempts.size, attempts.secondsLeft("a")], [10_000, 60]);
  attempts.wrong("b");
  attempts.wrong("new");
  assertEquals([attempts.size, attempts.secondsLeft("a"), attempts.secondsLeft("b")], [10_000, undefined, 60]);
});

Deno.test("the address that was wrong least recently is forgotten first", () => {
  const attempts = new Attempts(new FakeClock());
  fail(attempts, "first", 10);
  fail(attempts, "second", 9);
  fail(attempts, "third", 10);
  for (let n = 3; n < 10_000; n++) attempts.wrong(`${n}`);
  attempts.wrong("second"); // its tenth
  assertEquals(attempts.size, 10_000);
  attempts.wrong("one more");
  attempts.wrong("another");
  assertEquals(["first", "second", "third"].map((address) => attempts.secondsLeft(address)), [
    undefined,
    60,
    undefined,
  ]);
});

Deno.test("the addresses of one IPv6 network of 64 bits count as one, and other networks do not", () => {
  const attempts = new Attempts(new FakeClock());
  for (let host = 1; host <= 10; host++) attempts.wrong(`2001:db8:0:1::${host}`);
  assertEquals(
    ["2001:db8:0:1:ffff::1", "2001:db8:0:2::1", "192.0.2.1"].map((address) => attempts.secondsLeft(address)),
    [60, undefined, undefined],
  );
});
