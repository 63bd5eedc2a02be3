import { assertEquals } from "@std/assert";
import { LagMeter } from "../../src/base/lag.ts";
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
  await clock.advance(61_000);
  clock.stall(200);
  await clock.advance(200);
  assertEquals(meter.worstSince(began) < 1000, true);
  stop();
});

Deno.test("nothing is measured, and no timer runs, while nobody watches", async () => {
  const { clock, meter, sent } = newMeter();
  const [one, other] = [meter.watch(), meter.watch()];
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
  stop();
});
