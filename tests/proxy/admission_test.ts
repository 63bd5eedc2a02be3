import { assert, assertEquals } from "@std/assert";
import { LagMeter } from "../../src/base/lag.ts";
import { Admission, fairShare } from "../../src/proxy/admission.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { Random } from "../support/random.ts";

/** A request for a service. */
function requestFor(service: string): Request {
  return { url: `http://${service}.localhost:8080/` } as Request;
}

/**
 * A cless with a queue, as far as admission sees it. Requests and messages to itself wait in it; an admitted request
 * takes 1 ms of the processor, a refused one 0.2 ms.
 */
class Busy {
  readonly clock = new FakeClock();
  readonly inFlight = { active: 0 };
  readonly admission: Admission;
  readonly admitted = new Map<string, number>();
  readonly refused = new Map<string, number>();
  readonly #queue: { readonly service?: string; readonly since: number; readonly done?: () => void }[] = [];
  #cpuMs = 0;
  /** What was done more than there was time for. */
  #aheadMs = 0;
  /** How much of a processor others leave to it. */
  processor = 1;
  longestMs = 0;

  constructor(maxInFlight?: number) {
    const random = new Random(1);
    const send = () => new Promise<void>((done) => void this.#queue.push({ since: this.clock.now(), done }));
    this.admission = new Admission(new LagMeter(this.clock, { send }), this.clock, {
      maxInFlight,
      inFlight: this.inFlight,
      random: () => random.below(1e6) / 1e6,
      cpuSeconds: () => this.#cpuMs / 1000,
    });
  }

  /** Lets time pass with so many requests a second for each service. */
  async load(ms: number, rates: Record<string, number>): Promise<void> {
    this.admitted.clear();
    this.refused.clear();
    this.longestMs = 0;
    const owed = new Map(Object.keys(rates).map((service) => [service, 0]));
    for (let passed = 0; passed < ms; passed++) {
      const since = this.clock.now();
      for (const [service, rate] of Object.entries(rates)) {
        let due = owed.get(service)! + rate / 1000;
        for (; due >= 1; due--) this.#queue.push({ service, since });
        owed.set(service, due);
      }
      this.#aheadMs -= this.processor;
      while (this.#aheadMs < 0 && this.#queue.length > 0) this.#serve(this.#queue.shift()!);
      this.#aheadMs = Math.max(this.#aheadMs, 0);
      await this.clock.advance(1);
    }
  }

  #serve({ done, service, since }: { service?: string; since: number; done?: () => void }): void {
    if (service === undefined) return done!();
    const isRefused = this.admission.refuses(requestFor(service));
    const counted = isRefused ? this.refused : this.admitted;
    counted.set(service, (counted.get(service) ?? 0) + 1);
    this.longestMs = Math.max(this.longestMs, this.clock.now() - since);
    const costMs = isRefused ? 0.2 : 1;
    this.#aheadMs += costMs;
    this.#cpuMs += costMs;
  }
}

Deno.test("nothing is refused, and nothing is measured once it is quiet, at a load that cless can bear", async () => {
  const busy = new Busy();
  await busy.load(2000, { app: 900 });
  assertEquals([busy.refused.size, busy.admission.shed.lag], [0, 0]);
  assert(busy.clock.timers > 0);
  await busy.load(3000, {});
  assertEquals(busy.clock.timers, 0);
});

for (const factor of [2, 3]) {
  Deno.test(`at ${factor} times what cless can do, nearly as much is answered as is possible, and soon`, async () => {
    const busy = new Busy();
    await busy.load(3000, { app: factor * 1000 }); // it takes a moment to see that it is too much, and how much
    await busy.load(10_000, { app: factor * 1000 });
    const possible = 10_000 * (1 - factor * 0.2) / (1 - 0.2);
    assert(busy.admitted.get("app")! >= 0.9 * possible, `${busy.admitted.get("app")} of ${possible}`);
    assert(busy.longestMs < 300, `${busy.longestMs} ms`);
    assertEquals(busy.admission.refusal.status, 503);
    await busy.load(3000, { app: 500 });
    await busy.load(3000, { app: 500 });
    assertEquals(busy.refused.size, 0);
  });
}

Deno.test("a service that asks for less than its share is not refused while others ask for more", async () => {
  const busy = new Busy();
  const rates = { one: 2000, other: 1000, modest: 50 };
  await busy.load(2000, rates);
  await busy.load(10_000, rates);
  assertEquals(busy.refused.get("modest") ?? 0, 0);
  const [one, other] = [busy.admitted.get("one")!, busy.admitted.get("other")!];
  assert(Math.abs(one / other - 1) < 0.15, `${one} and ${other}`); // each the same, however much it asks for
});

Deno.test("clients that wait for each answer before they ask again are not refused", async () => {
  const busy = new Busy();
  await busy.load(200, { app: 2000 }); // from now on, some 200 of them wait
  await busy.load(3000, { app: 1000 });
  assertEquals([busy.refused.size, busy.admission.shed.lag], [0, 0]);
});

Deno.test("a burst that is over after a moment is no overload", async () => {
  const busy = new Busy();
  await busy.load(5, { app: 30_000 }); // 150 at once
  await busy.load(1000, { app: 100 });
  assertEquals(busy.admission.shed.lag, 0);
});

Deno.test("a lag that others make by taking the processors is no reason to refuse requests", async () => {
  const busy = new Busy();
  busy.processor = 0.1;
  await busy.load(5000, { app: 110 });
  assert(busy.longestMs > 300);
  assertEquals(busy.admission.shed.lag, 0);
});

Deno.test("a fixed limit refuses what exceeds it, and keeps some room for services that ask for little", async () => {
  const busy = new Busy(16);
  busy.inFlight.active = 13;
  await busy.load(1000, { app: 500, modest: 20 });
  assertEquals(busy.refused.size, 0);
  busy.inFlight.active = 14;
  await busy.load(1000, { app: 500, modest: 20 });
  await busy.load(1000, { app: 500, modest: 20 });
  assertEquals([busy.admitted.get("modest"), busy.refused.get("modest")], [20, undefined]);
  assert(busy.refused.get("app")! > 250);
  busy.inFlight.active = 16;
  await busy.load(1000, { app: 500, modest: 20 });
  assertEquals([busy.admitted.size, busy.admission.shed.lag], [0, 0]);
  assert(busy.admission.shed.inFlight > 520);
});

Deno.test("without a limit nothing is ever refused", async () => {
  const busy = new Busy(0);
  await busy.load(3000, { app: 3000 });
  assertEquals(busy.refused.size, 0);
});

Deno.test("a fair share leaves small demands whole and divides the rest evenly", () => {
  for (
    const [demands, room, most] of [
      [[1, 2, 3], 6, Infinity],
      [[1, 2, 3], 5, 2],
      [[10, 10], 10, 5],
      [[0, 1, 100], 11, 10],
      [[], 1, Infinity],
    ] as const
  ) assertEquals(fairShare(Float64Array.from(demands), room), most);
});
