import { assertEquals } from "@std/assert";
import { LagMeter, NO_LAG } from "../../src/base/lag.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";

/** A meter whose messages take as long as the test says. */
function newMeter() {
  const clock = new FakeClock();
  const sent: PromiseWithResolvers<void>[] = [];
  const trip = {
    tookMs: 0 as number | "lost",
    send(): Promise<void> {
      const under = Promise.withResolvers<void>();
      sent.push(under);
      if (this.tookMs !== "lost") clock.after(this.tookMs, () => under.resolve());
      return under.promise;
    },
  };
  return { clock, trip, sent, meter: new LagMeter(clock, trip) };
}

Deno.test("the lag is how long a message of the program to itself takes, also while it is under way", async () => {
  const { clock, meter, trip } = newMeter();
  const stop = meter.watch();
  trip.tookMs = 300;
  const began = clock.now();
  await clock.advance(100); // the first message is sent
  assertEquals(meter.currentMs, 0);
  await clock.advance(200);
  assertEquals([meter.currentMs, meter.wasLate(began)], [200, false]);
  await clock.advance(60);
  assertEquals([meter.currentMs, meter.wasLate(began)], [260, true]);
  trip.tookMs = 1;
  await clock.advance(1000);
  assertEquals([meter.currentMs, meter.worstSince(began)], [1, 300]);
  assertEquals([meter.wasLate(began), meter.wasLate(clock.now() - 500)], [true, false]);
  stop();
});

Deno.test("a timer that is late is lag, before and after it fires", async () => {
  const { clock, meter } = newMeter();
  const stop = meter.watch();
  const began = clock.now();
  clock.stall(3100); // as after a stop of the whole process
  assertEquals([meter.wasLate(began), meter.currentMs], [true, 3000]);
  await clock.advance(100);
  assertEquals([meter.wasLate(began), meter.currentMs], [true, 0]);
  stop();
});

Deno.test("a lag is forgotten after a minute", async () => {
  const { clock, meter } = newMeter();
  const stop = meter.watch();
  const began = clock.now();
  clock.stall(1000);
  await clock.advance(50_000);
  assertEquals(meter.worstMs, 900);
  await clock.advance(11_000);
  assertEquals(meter.worstMs, 0);
  clock.stall(200);
  await clock.advance(200);
  assertEquals(meter.worstSince(began), 100);
  stop();
});

Deno.test("nothing is measured, and no timer runs, while nobody watches", async () => {
  const { clock, meter, sent } = newMeter();
  const [one, other] = [meter.watch(), meter.watch()];
  assertEquals(clock.timers, 1);
  one();
  one(); // the second call counts for nothing
  await clock.advance(1000);
  const before = sent.length;
  other();
  await clock.advance(1000);
  assertEquals([clock.timers, sent.length, before > 0], [0, before, true]);
});

Deno.test("a message that cannot be sent says nothing about the lag", async () => {
  const { clock, meter, sent, trip } = newMeter();
  const stop = meter.watch();
  trip.tookMs = "lost";
  await clock.advance(400);
  assertEquals(meter.currentMs, 300);
  sent[0]!.reject(new Error("no descriptor"));
  await settle();
  assertEquals(meter.currentMs, 0);
  trip.tookMs = 50;
  await clock.advance(150);
  assertEquals(meter.currentMs, 50);
  trip.tookMs = "lost";
  await clock.advance(100);
  sent.at(-1)!.reject(new Error("no descriptor"));
  await settle();
  assertEquals(meter.currentMs, 0); // what it took before says nothing now
  assertEquals([NO_LAG.wasLate(0), NO_LAG.watch()()], [false, undefined]);
  stop();
});

Deno.test("one message is under way at a time, and the next one is sent once it has come or is lost", async () => {
  const { clock, meter, sent, trip } = newMeter();
  const stop = meter.watch();
  trip.tookMs = "lost";
  await clock.advance(1000);
  assertEquals(sent.length, 1);
  sent[0]!.reject(new Error("no descriptor"));
  await clock.advance(100);
  assertEquals(sent.length, 2);
  sent[1]!.resolve();
  await clock.advance(100);
  assertEquals(sent.length, 3);
  sent[2]!.resolve();
  stop();
});

Deno.test("a program is measured as often as somebody asks for, and each measurement is heard by those who want to", async () => {
  const { clock, meter, sent, trip } = newMeter();
  trip.tookMs = 1;
  let heard = 0;
  const stop = meter.watch();
  const stopHearing = meter.hear(() => heard++);
  await clock.advance(1000);
  assertEquals([heard, sent.length], [10, 10]);
  meter.tickMs = 20;
  await clock.advance(100);
  assertEquals(heard, 11); // the timer had been set before
  await clock.advance(1000);
  assertEquals([heard, sent.length], [61, 61]);
  meter.tickMs = 5;
  await clock.advance(20);
  await clock.advance(1000);
  assertEquals([heard, sent.length], [262, 112]); // a message in 20 ms is enough
  stopHearing();
  await clock.advance(1000);
  assertEquals(heard, 262);
  stop();
});

Deno.test("a measurement may change how often is measured, or end it", async () => {
  const { clock, meter } = newMeter();
  let heard = 0;
  const stop = meter.watch();
  meter.hear(() => {
    if (++heard === 3) stop();
    meter.tickMs = 10;
  });
  await clock.advance(120);
  assertEquals([heard, clock.timers], [3, 0]);
});

Deno.test("what was measured last says nothing once nobody watches, and is not late when somebody watches again", async () => {
  const { clock, meter, trip } = newMeter();
  trip.tookMs = 90;
  const stop = meter.watch();
  await clock.advance(195);
  assertEquals(meter.currentMs, 90);
  stop();
  assertEquals(meter.currentMs, 0);
  await clock.advance(10_000);
  assertEquals(meter.currentMs, 0);
  const again = meter.watch();
  assertEquals(meter.currentMs, 0);
  await clock.advance(100);
  assertEquals([meter.currentMs, meter.worstSince(clock.now() - 5000)], [0, 0]);
  await clock.advance(90);
  again();
});

Deno.test("a program was late if its lag was above 0.25 s, and lags below 20 ms are not remembered", async () => {
  for (const [ms, isLate, worstMs] of [[19, false, 0], [20, false, 20], [250, false, 250], [251, true, 251]] as const) {
    const { clock, meter, trip } = newMeter();
    const stop = meter.watch();
    const began = clock.now();
    trip.tookMs = ms;
    await clock.advance(100 + ms);
    trip.tookMs = 0;
    await clock.advance(1000);
    assertEquals([meter.wasLate(began), meter.worstSince(began)], [isLate, worstMs]);
    stop();
  }
});
