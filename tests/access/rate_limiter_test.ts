import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { type Rate, RateLimiter } from "../../src/access/rate_limiter.ts";
import { WHOLE } from "../../src/model/share.ts";
import { ClessError } from "../../src/base/errors.ts";
import { FakeClock } from "../support/fake_clock.ts";

const RATE: Rate = { requestsPerSecond: 2, burst: 5 };

/** Whether a request may come; otherwise when it may, in seconds. */
function take(limiter: RateLimiter, rate: Rate = RATE, address = "192.0.2.1", service = "app"): true | number {
  try {
    limiter.take(service, rate, address);
    return true;
  } catch (error) {
    assert(error instanceof ClessError && error.code === "rate_limited");
    return error.retryAfterS!;
  }
}

/** How many requests may come now. */
function burstOf(limiter: RateLimiter, rate?: Rate, address?: string): number {
  let count = 0;
  while (take(limiter, rate, address) === true) count++;
  return count;
}

Deno.test("as many requests as the burst may come at once, and then as many as the rate allows", async () => {
  const clock = new FakeClock();
  const limiter = new RateLimiter(clock);
  assertEquals(burstOf(limiter), 5);
  await clock.advance(499);
  assertEquals(take(limiter), 1);
  await clock.advance(1);
  assertEquals([take(limiter), take(limiter)], [true, 1]);
  await clock.advance(1500);
  assertEquals(burstOf(limiter), 3);
  await clock.advance(3_600_000);
  assertEquals(burstOf(limiter), 5);
});

Deno.test("a refused request says when the next one may come, in whole seconds, rounded up", async () => {
  const clock = new FakeClock();
  const limiter = new RateLimiter(clock);
  const rate = { requestsPerSecond: 0.1, burst: 1 };
  assertEquals([take(limiter, rate), take(limiter, rate)], [true, 10]);
  await clock.advance(500);
  assertEquals(take(limiter, rate), 10);
  await clock.advance(500);
  assertEquals(take(limiter, rate), 9);
  await clock.advance(8999);
  assertEquals(take(limiter, rate), 1);
  await clock.advance(1);
  assertEquals(take(limiter, rate), true);
});

Deno.test("addresses and services have their own limits, and the addresses of an IPv6 network of 64 bits share one", () => {
  const limiter = new RateLimiter(new FakeClock());
  assertEquals(burstOf(limiter), 5);
  assertEquals(burstOf(limiter, RATE, "192.0.2.2"), 5);
  assertEquals(take(limiter, RATE, "192.0.2.1", "shop"), true);
  for (let host = 1; host <= 5; host++) assertEquals(take(limiter, RATE, `2001:db8::${host}`), true);
  assertEquals(take(limiter, RATE, "2001:db8::ffff:6"), 1);
  assertEquals(take(limiter, RATE, "2001:db8:0:1::1"), true);
  limiter.take("app", RATE); // all clients together
});

Deno.test("a change of the rate takes effect at once", async () => {
  const clock = new FakeClock();
  const limiter = new RateLimiter(clock);
  const slow = { requestsPerSecond: 0.001, burst: 10 };
  assertEquals(burstOf(limiter, slow), 10);
  assertEquals(take(limiter, RATE), 1);
  await clock.advance(500);
  assertEquals([take(limiter), take(limiter)], [true, 1]);
});

Deno.test("several processes admit their parts of the rate and of the burst, each at least one request", async () => {
  const clock = new FakeClock();
  const shares = [0, 1].map((place) => ({ now: { place, of: 2 } }));
  const limiters = shares.map((share) => new RateLimiter(clock, share));
  const rate = { requestsPerSecond: 10, burst: 8 };
  const burst = () => limiters.reduce((sum, limiter) => sum + burstOf(limiter, rate), 0);
  assertEquals(burst(), 8);
  await clock.advance(200);
  assertEquals(burst(), 2);
  const single = { requestsPerSecond: 10, burst: 1 };
  assertEquals(limiters.map((limiter) => burstOf(limiter, single, "192.0.2.9")), [1, 1]);
});

Deno.test("when processes come and go, what was counted stays, and what may come changes", async () => {
  const clock = new FakeClock();
  const share = { now: { of: 1 } };
  const limiter = new RateLimiter(clock, share);
  const rate = { requestsPerSecond: 1, burst: 8 };
  for (let n = 0; n < 4; n++) assertEquals(take(limiter, rate), true);
  share.now = { of: 2 };
  assertEquals(burstOf(limiter, rate), 2); // half of the burst is left, and half of that is another one's
  share.now = { of: 1 };
  assertEquals(take(limiter, rate), 1);
  await clock.advance(8000);
  assertEquals(burstOf(limiter, rate), 8);
});

Deno.test("when there are too many, clients that may send a whole burst again are forgotten first", async () => {
  const clock = new FakeClock();
  const limiter = new RateLimiter(clock, { now: WHOLE }, 100);
  const address = (n: number) => `10.0.${n >> 8}.${n & 255}`;
  for (let n = 0; n < 50; n++) burstOf(limiter, RATE, address(n)); // full again after 2.5 s
  await clock.advance(2400);
  for (let n = 50; n < 100; n++) burstOf(limiter, RATE, address(n));
  await clock.advance(100);
  for (let n = 1000; n < 1050; n++) take(limiter, RATE, address(n));
  assert(limiter.size <= 100, `${limiter.size}`);
  for (let n = 50; n < 100; n++) assert(take(limiter, RATE, address(n)) !== true, "none of these is forgotten");
});

Deno.test("it never remembers more clients than it may, whoever comes", async () => {
  const clock = new FakeClock();
  const limiter = new RateLimiter(clock, { now: WHOLE }, 50);
  const slow = { requestsPerSecond: 0.01, burst: 5 };
  let most = 0;
  const step = fc.record({
    address: fc.integer({ min: 0, max: 300 }).map((n) => `10.0.${n >> 8}.${n & 255}`),
    afterMs: fc.constantFrom(0, 0, 0, 1, 100, 3000),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 200 }), async (steps) => {
      for (const { address, afterMs } of steps) {
        if (afterMs > 0) await clock.advance(afterMs);
        take(limiter, slow, address);
        assert(limiter.size <= 50);
        most = Math.max(most, limiter.size);
      }
    }),
    { numRuns: 50 },
  );
  assertEquals(most, 50);
});

Deno.test("within any time, no client sends more than the burst and what the rate allows in that time", async () => {
  const rates = fc.record({
    requestsPerSecond: fc.double({ min: 0.1, max: 100, noNaN: true }),
    burst: fc.integer({ min: 1, max: 50 }),
  });
  await fc.assert(
    fc.asyncProperty(rates, fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 100 }), async (rate, waits) => {
      const clock = new FakeClock();
      const limiter = new RateLimiter(clock);
      const passed: number[] = [];
      for (const ms of waits) {
        await clock.advance(ms);
        if (take(limiter, rate) === true) passed.push(clock.now());
      }
      passed.forEach((from, first) =>
        passed.slice(first).forEach((to, more) => {
          const most = rate.burst + (to - from) / 1000 * rate.requestsPerSecond;
          assert(more + 1 <= most + 1e-6, `${more + 1} requests in ${to - from} ms`);
        })
      );
    }),
    { numRuns: 100 },
  );
});

Deno.test("a refused request does not count", async () => {
  const clock = new FakeClock();
  const limiter = new RateLimiter(clock);
  burstOf(limiter);
  for (let time = 0; time < 1000; time++) assertThrows(() => limiter.take("app", RATE, "192.0.2.1"), ClessError);
  await clock.advance(500);
  assertEquals(take(limiter), true);
});
