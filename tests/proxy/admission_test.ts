import { assert, assertEquals } from "@std/assert";
import { LagMeter } from "../../src/base/lag.ts";
import { Admission, fairShare } from "../../src/proxy/admission.ts";
import { Pace } from "../../src/proxy/pace.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { Random } from "../support/random.ts";

/** A request for a service. */
function requestFor(service: string): Request {
  return { url: `http://${service}.localhost:8080/` } as Request;
}

/** How many asynchronous operations Deno takes up in a turn of its event loop. */
const OPERATIONS_PER_TURN = 128;

/** A request on its way, or a message of cless to itself. */
interface Sent {
  readonly service: string;
  readonly dueMs: number;
  /** When the app has answered. */
  answeredMs: number;
  /** For the pace. */
  begunAt: number;
  /** For a message. */
  readonly done?: () => void;
}

/** What became of the requests for a service. */
interface Outcome {
  sent: number;
  answered: number;
  refused: number;
  within250: number;
  longestMs: number;
}

interface BusyOptions {
  readonly maxInFlight?: number;
  readonly warmUpMs?: number;
  /** How many connections the clients have; requests beyond that wait there. */
  readonly connections?: number;
  /** The processor time of a request that is admitted: one half when it comes, the other when the app has answered. */
  readonly admittedMs?: number;
  readonly refusedMs?: number;
  /** How long apps take. */
  readonly appMs?: Record<string, number>;
}

/**
 * A cless with an event loop, as far as admission sees it. In each turn, the handler is called for all requests that
 * have come, but only so many answers of apps are taken up. Timers fire between two turns.
 */
class Busy {
  readonly clock = new FakeClock();
  readonly pace = new Pace(this.clock);
  readonly inFlight = { active: 0, pace: this.pace };
  readonly admission: Admission;
  readonly #options: Required<Omit<BusyOptions, "maxInFlight" | "warmUpMs">>;
  readonly #random = new Random(1);
  /** What the next turn begins with, and what waits for the app, or for its answer to be taken up. */
  #arrived: Sent[] = [];
  #answers: Sent[] = [];
  /** Requests that wait for a connection; how many connections are used. */
  readonly #waiting: Sent[] = [];
  #used = 0;
  readonly #owed = new Map<string, number>();
  #outcomes = new Map<string, Outcome>();
  /** By service: how many clients send the next request when they have an answer. */
  #closed = new Map<string, number>();
  #cpuMs = 0;
  /** The processor time of the turn so far. */
  #spentMs = 0;
  #sentUntilMs: number;
  /** How much of a processor others leave to it. */
  processor = 1;
  /** How long the last turn took. */
  turnMs = 0;

  constructor(options: BusyOptions = {}) {
    const { maxInFlight, warmUpMs = 0, ...others } = options;
    this.#options = { connections: Infinity, admittedMs: 0.125, refusedMs: 0.02, appMs: {}, ...others };
    this.#sentUntilMs = this.clock.now();
    const send = () =>
      new Promise<void>((done) => void this.#arrived.push(this.#newRequest("", this.clock.now(), done)));
    this.admission = new Admission(new LagMeter(this.clock, { send }), this.clock, {
      ...{ maxInFlight, warmUpMs },
      inFlight: this.inFlight,
      random: () => this.#random.below(1e6) / 1e6,
      cpuSeconds: () => this.#cpuMs / 1000,
    });
  }

  /**
   * Lets time pass.
   *
   * @param rates By service, so many requests a second, whatever becomes of them.
   * @param clients By service, so many clients that send the next request after each answer.
   */
  async load(ms: number, rates: Record<string, number>, clients: Record<string, number> = {}): Promise<void> {
    this.#outcomes = new Map();
    for (const [service, count] of Object.entries(clients)) {
      for (let at = this.#closed.get(service) ?? 0; at < count; at++) this.#send(service, this.clock.now());
    }
    this.#closed = new Map(Object.entries(clients));
    for (const end = this.clock.now() + ms; this.clock.now() < end;) {
      this.#sendDue(rates);
      const spentMs = this.#turn();
      this.turnMs = spentMs / this.processor;
      this.clock.stall(spentMs === 0 ? 1 : this.turnMs);
      await this.clock.advance(0);
    }
  }

  /** Lets time pass in which no turn begins. @param ownShare Which share of it counts as its own processor time. */
  pause(ms: number, ownShare: number): void {
    this.clock.stall(ms);
    this.#cpuMs += ms * ownShare;
  }

  of(service: string): Outcome {
    let outcome = this.#outcomes.get(service);
    if (outcome === undefined) {
      outcome = { sent: 0, answered: 0, refused: 0, within250: 0, longestMs: 0 };
      this.#outcomes.set(service, outcome);
    }
    return outcome;
  }

  #sendDue(rates: Record<string, number>): void {
    const now = this.clock.now();
    const passedMs = now - this.#sentUntilMs;
    const due: { readonly service: string; readonly dueMs: number }[] = [];
    for (const [service, rate] of Object.entries(rates)) {
      let owed = (this.#owed.get(service) ?? 0) + passedMs * rate / 1000;
      for (; owed >= 1; owed--) due.push({ service, dueMs: now - (owed - 1) * 1000 / rate });
      this.#owed.set(service, owed);
    }
    for (const { dueMs, service } of due.sort((one, other) => one.dueMs - other.dueMs)) this.#send(service, dueMs);
    this.#sentUntilMs = now;
  }

  #newRequest(service: string, dueMs: number, done?: () => void): Sent {
    return { service, dueMs, answeredMs: 0, begunAt: 0, ...(done === undefined ? {} : { done }) };
  }

  #send(service: string, dueMs: number): void {
    this.of(service).sent++;
    const request = this.#newRequest(service, dueMs);
    if (this.#used >= this.#options.connections) return void this.#waiting.push(request);
    this.#used++;
    this.#arrived.push(request);
  }

  /** Returns the processor time that it takes, with that of requests that have begun since the one before. */
  #turn(): number {
    const { admittedMs, refusedMs } = this.#options;
    const [arrived, answers] = [this.#arrived, this.#answers];
    [this.#arrived, this.#answers] = [[], []];
    const now = this.clock.now();
    let room = OPERATIONS_PER_TURN;
    for (const answer of answers) {
      if (answer.answeredMs > now || room === 0) {
        this.#answers.push(answer);
        continue;
      }
      room--;
      if (answer.done !== undefined) {
        answer.done();
        continue;
      }
      this.#spentMs += admittedMs / 2;
      this.inFlight.active--;
      const outcome = this.of(answer.service);
      outcome.answered++;
      const tookMs = now + this.#spentMs / this.processor - answer.dueMs;
      if (tookMs <= 250) outcome.within250++;
      outcome.longestMs = Math.max(outcome.longestMs, tookMs);
      this.#free(answer.service, now);
      this.pace.ended(answer.begunAt);
    }
    for (const request of arrived) {
      if (request.done !== undefined) this.#answers.push(request);
      else {
        const verdict = this.admission.judge(requestFor(request.service));
        if (verdict === "refused") {
          this.#spentMs += refusedMs;
          this.of(request.service).refused++;
          this.#free(request.service, now);
        } else if (verdict === "first" || !this.pace.isFull) this.#begin(request);
        else this.pace.wait(() => this.#begin(request));
      }
    }
    const spentMs = this.#spentMs;
    this.#spentMs = 0;
    this.#cpuMs += spentMs;
    return spentMs;
  }

  #begin(request: Sent): void {
    this.#spentMs += this.#options.admittedMs / 2;
    this.inFlight.active++;
    request.begunAt = this.pace.begun();
    request.answeredMs = this.clock.now() + (this.#options.appMs[request.service] ?? 0);
    this.#answers.push(request);
  }

  /** A client has its answer. */
  #free(service: string, now: number): void {
    this.#used--;
    if (this.#closed.has(service)) return this.#send(service, now);
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#used++;
    this.#arrived.push(next);
  }
}

/** What one processor can do in a second. */
const CAPACITY = 8000;

Deno.test("nothing is refused, and nothing is measured once it is quiet, at a load that cless can bear", async () => {
  const busy = new Busy();
  await busy.load(2000, { app: 0.9 * CAPACITY });
  assertEquals([busy.of("app").refused, busy.admission.shed.lag], [0, 0]);
  assert(busy.clock.timers > 0);
  await busy.load(3000, {});
  assertEquals(busy.clock.timers, 0);
});

for (const [factor, connections] of [[2, 1000], [2, Infinity], [3, 1000], [3, Infinity]] as const) {
  const title = `at ${factor} times what cless can do, over ${connections} connections`;
  Deno.test(`${title}, nearly as much is answered as is possible, and soon`, async () => {
    const busy = new Busy({ connections });
    await busy.load(10_000, { app: factor * CAPACITY, beside: 50 });
    const [app, beside] = [busy.of("app"), busy.of("beside")];
    const possible = 10 * CAPACITY * (1 - factor * 0.16) / (1 - 0.16);
    assert(app.answered >= 0.95 * possible, `${app.answered} of ${possible}`);
    assert(app.longestMs < 500, `${app.longestMs} ms`);
    assert(beside.within250 >= 0.985 * beside.sent, `${beside.within250} of ${beside.sent}`);
    await busy.load(1000, { app: factor * CAPACITY, beside: 50 });
    assert(busy.of("app").longestMs < 150, `${busy.of("app").longestMs} ms`);
    assertEquals(busy.of("beside").refused, 0);
    assert(busy.turnMs < 30, `${busy.turnMs} ms`);
    assertEquals(busy.admission.refusal.status, 503);
    await busy.load(3000, { app: CAPACITY / 2 });
    await busy.load(3000, { app: CAPACITY / 2 });
    assertEquals(busy.of("app").refused, 0);
  });
}

Deno.test("of requests that take more processor time fewer are admitted, so that the lag stays small", async () => {
  const busy = new Busy({ admittedMs: 2 });
  await overloadWithCostlyRequests(busy);
});

Deno.test("an overload after many quiet times is met like one without them", async () => {
  const busy = new Busy({ admittedMs: 2 });
  for (let times = 0; times < 10; times++) {
    await busy.load(300, { app: 20 });
    await busy.load(3000, {});
    assertEquals(busy.clock.timers, 0);
  }
  await overloadWithCostlyRequests(busy);
});

async function overloadWithCostlyRequests(busy: Busy): Promise<void> {
  const rates = { app: 1500, beside: 20 };
  await busy.load(2000, rates);
  await busy.load(10_000, rates);
  const [app, beside] = [busy.of("app"), busy.of("beside")];
  const possible = 10 * (1000 - 1500 * 0.02) / (2 - 0.02);
  assert(app.answered >= 0.95 * possible, `${app.answered} of ${possible}`);
  assert(beside.within250 >= 0.98 * beside.sent, `${beside.within250} of ${beside.sent}`);
}

Deno.test("where refusals alone make turns long, some requests are still admitted", async () => {
  const busy = new Busy({ connections: 5000 });
  await busy.load(10_000, { app: 5 * CAPACITY });
  assert(busy.of("app").answered >= 10 * 1000, `${busy.of("app").answered}`);
});

Deno.test("a service that asks for less than its share is not refused while others ask for more", async () => {
  const busy = new Busy();
  const rates = { one: 2 * CAPACITY, other: CAPACITY, modest: 400 };
  await busy.load(2000, rates);
  await busy.load(10_000, rates);
  assertEquals(busy.of("modest").refused, 0);
  const [one, other] = [busy.of("one").answered, busy.of("other").answered];
  assert(Math.abs(one / other - 1) < 0.15, `${one} and ${other}`); // each the same, however much it asks for
});

Deno.test("a service that asks for less than its share does not wait for others either, also while cless tests whether the overload is over", async () => {
  const busy = new Busy();
  const rates = { app: 3 * CAPACITY, modest: 50 };
  await busy.load(1500, rates);
  for (let second = 0; second < 20; second++) {
    await busy.load(1000, rates);
    assert(busy.of("modest").longestMs < 60, `${busy.of("modest").longestMs} ms`);
    assertEquals(busy.of("modest").refused, 0);
  }
});

Deno.test("500 clients that wait for each answer before they ask again are not refused", async () => {
  for (const processor of [1, 0.3]) {
    const busy = new Busy();
    busy.processor = processor;
    await busy.load(5000, { beside: 50 }, { app: 500 });
    assertEquals([busy.of("app").refused, busy.admission.shed.lag], [0, 0]);
  }
});

Deno.test("256 clients that wait for each answer are not refused any more once the overload before them is over", async () => {
  const busy = new Busy();
  await busy.load(2000, { app: 3 * CAPACITY });
  await busy.load(3000, {}, { app: 256 });
  await busy.load(1000, {}, { app: 256 });
  assertEquals(busy.of("app").refused, 0);
});

Deno.test("a burst that is over after a moment is no overload", async () => {
  const busy = new Busy();
  await busy.load(5, { app: 200_000 }); // 1000 at once
  await busy.load(1000, { app: 100 });
  assertEquals(busy.admission.shed.lag, 0);
});

Deno.test("a new process that is slow at first refuses nothing, but an overload later counts", async () => {
  const busy = new Busy({ warmUpMs: 3000 });
  busy.processor = 0.5; // it serves only half of what it will
  await busy.load(1000, { app: 0.7 * CAPACITY });
  busy.processor = 1;
  await busy.load(3000, { app: 0.2 * CAPACITY });
  assertEquals(busy.admission.shed.lag, 0);
  await busy.load(2000, { app: 2 * CAPACITY });
  assert(busy.of("app").refused > 0);
});

Deno.test("what came in a moment in which cless did something else, such as collecting garbage, is no overload", async () => {
  for (const ownShare of [0, 0.5, 1]) {
    const busy = new Busy({ admittedMs: 0.5 });
    for (const ms of [300, 400, 500]) {
      for (let at = 0; at < 40; at++) { // at one of these times, cless has just sent its message to itself
        await busy.load(1000 + at, { app: 1100 });
        assertEquals([busy.of("app").refused, busy.admission.shed.lag], [0, 0], `${ms} ms, ${ownShare}, ${at}`);
        busy.pause(ms, ownShare);
      }
    }
  }
});

Deno.test("what came while the process was stopped is no overload", async () => {
  for (const [rate, processor, connections] of [[1000, 1, 800], [2000, 0.45, Infinity]] as const) {
    const busy = new Busy({ connections });
    busy.processor = processor;
    await busy.load(1000, { app: rate });
    busy.pause(3000, 0);
    await busy.load(3000, { app: rate });
    assertEquals(busy.admission.shed.lag, 0, `${rate}/s`);
  }
});

Deno.test("that apps take long is no overload, however many requests wait for them", async () => {
  const busy = new Busy({ appMs: { slow: 10_000 } });
  await busy.load(10_000, { slow: 400, quick: 0.7 * CAPACITY });
  assert(busy.inFlight.active > 3000);
  assertEquals(busy.admission.shed.lag, 0);
});

Deno.test("requests that have waited for their apps for long do not make others too many", async () => {
  const busy = new Busy({ appMs: { slow: 60_000 } });
  await busy.load(3000, { slow: 400 });
  await busy.load(10_000, {}, { app: 256 });
  assertEquals(busy.admission.shed.lag, 0);
});

Deno.test("a lag that others make by taking the processors is no reason to refuse requests", async () => {
  for (const processor of [0.1, 0.35]) {
    const busy = new Busy();
    busy.processor = processor;
    await busy.load(5000, { app: 1.1 * processor * CAPACITY });
    assert(busy.of("app").longestMs > 300);
    assertEquals(busy.admission.shed.lag, 0);
  }
});

Deno.test("a fixed limit refuses what exceeds it, and keeps some room for services that ask for little", async () => {
  const busy = new Busy({ maxInFlight: 16, admittedMs: 0 });
  const load = (ms: number) => busy.load(ms, { app: 500, modest: 20 });
  const hold = (held: number) =>
    Object.defineProperty(busy.inFlight, "active", { get: () => held, set() {}, configurable: true });
  hold(13);
  await load(1000);
  assertEquals([busy.of("app").refused, busy.of("modest").refused], [0, 0]);
  hold(14);
  await load(1000);
  await load(1000);
  assert(busy.of("modest").answered >= 19);
  assertEquals(busy.of("modest").refused, 0);
  assert(busy.of("app").refused > 250);
  hold(16);
  await load(1000);
  await load(1000);
  assertEquals([busy.of("app").answered, busy.of("modest").answered, busy.admission.shed.lag], [0, 0, 0]);
  assert(busy.admission.shed.inFlight > 520);
});

Deno.test("without a limit nothing is ever refused", async () => {
  const busy = new Busy({ maxInFlight: 0 });
  await busy.load(3000, { app: 3 * CAPACITY });
  assertEquals(busy.of("app").refused, 0);
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
