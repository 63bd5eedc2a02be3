import { assertEquals, assertRejects } from "@std/assert";
import {
  type ClessEvent,
  EventLog,
  type EventLogOptions,
  InstanceEvents,
  SlowSubscriber,
} from "../../src/control/events.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { Instance } from "../../src/pool/instance.ts";
import { newRevision } from "../support/kit.ts";

const NOW = 1_700_000_000_000;

/** A log, and the clock that its ticks come by. */
function newLog(options: EventLogOptions = {}, now = NOW): { clock: FakeClock; log: EventLog } {
  const clock = new FakeClock();
  return { clock, log: new EventLog(clock, () => now, options) };
}

/** Emits events that tell their numbers. */
function emit(log: EventLog, ...numbers: number[]): void {
  for (const n of numbers) log.emit("service.changed", "app", { n });
}

/** The numbers of the next events. */
async function take(events: AsyncIterator<ClessEvent>, count: number): Promise<unknown[]> {
  const numbers: unknown[] = [];
  for (let n = 0; n < count; n++) {
    const { value, done } = await events.next();
    numbers.push(done ? "end" : value.data.n ?? value.type);
  }
  return numbers;
}

const never = () => new AbortController().signal;

Deno.test("an event tells what happened when to which service", async () => {
  const { log } = newLog();
  const events = log.subscribe({ signal: never() });
  log.emit("revision.ready", "app", { revision: "app-00001", ms: 12 });
  const { value } = await events.next();
  assertEquals(value, {
    id: NOW * 1000,
    at: NOW,
    type: "revision.ready",
    service: "app",
    data: { revision: "app-00001", ms: 12 },
  });
  await events.return!();
});

Deno.test("a subscriber gets the events after its call in order, including those before it reads", async () => {
  const { log } = newLog();
  emit(log, 1);
  const events = log.subscribe({ signal: never() });
  emit(log, 2, 3);
  assertEquals(await take(events, 2), [2, 3]);
  const waiting = [events.next(), events.next()];
  emit(log, 4, 5);
  assertEquals((await Promise.all(waiting)).map(({ value }) => value.data.n), [4, 5]);
  await events.return!();
});

Deno.test("every subscriber gets every event", async () => {
  const { log } = newLog();
  const [one, two] = [log.subscribe({ signal: never() }), log.subscribe({ signal: never() })];
  emit(log, 1, 2);
  assertEquals([await take(one, 2), await take(two, 2)], [[1, 2], [1, 2]]);
  await one.return!();
  emit(log, 3);
  assertEquals([await take(one, 1), await take(two, 1)], [["end"], [3]]);
  await two.return!();
});

Deno.test("a subscriber that was away gets the missed events first", async () => {
  const { log } = newLog();
  emit(log, 1, 2, 3);
  const first = NOW * 1000;
  const events = log.subscribe({ after: first, signal: never() });
  emit(log, 4);
  assertEquals(await take(events, 3), [2, 3, 4]);
  await events.return!();
  const none = log.subscribe({ after: first + 3, signal: never() });
  emit(log, 5);
  assertEquals(await take(none, 1), [5]);
  await none.return!();
});

Deno.test("a subscriber that was away for too long gets all kept events", async () => {
  const { log } = newLog({ ringSize: 3 });
  emit(log, 1, 2, 3, 4, 5);
  for (const after of [NOW * 1000, 0, NaN]) {
    const events = log.subscribe({ after, signal: never() });
    assertEquals(await take(events, 3), [3, 4, 5]);
    await events.return!();
  }
});

Deno.test("ids of an earlier process are smaller, and are not taken for this process's own", async () => {
  const { log: earlier } = newLog();
  const { log: later } = newLog({}, NOW + 1);
  const before = earlier.subscribe({ signal: never() });
  for (let n = 0; n < 200; n++) emit(earlier, n);
  emit(later, 1, 2);
  let last = 0;
  for (let n = 0; n < 200; n++) last = (await before.next()).value.id;
  await before.return!();
  const events = later.subscribe({ after: last, signal: never() });
  assertEquals(await take(events, 2), [1, 2]);
  await events.return!();
  // The machine's clock has been set back since.
  const back = later.subscribe({ after: (NOW + 60_000) * 1000, signal: never() });
  const { value } = await back.next();
  assertEquals([value.data.n, value.id > last], [1, true]);
  await back.return!();
});

Deno.test("a subscriber that wants statistics gets them each second, and no old ones", async () => {
  let asked = 0;
  const { clock, log } = newLog();
  const statistics = { read: () => ({ asked: ++asked }) };
  await clock.advance(5000);
  assertEquals([asked, clock.timers], [0, 0]);
  const one = log.subscribe({ after: 0, signal: never(), statistics });
  const two = log.subscribe({ signal: never() });
  await clock.advance(2000);
  assertEquals([asked, clock.timers, log.subscribers], [2, 1, 2]);
  const tick = (asked: number) => ({ id: undefined, at: NOW, type: "stats", service: undefined, data: { asked } });
  assertEquals([(await one.next()).value, (await one.next()).value], [tick(1), tick(2)]);
  await one.return!();
  assertEquals(clock.timers, 1);
  await two.return!();
  assertEquals([clock.timers, log.subscribers], [0, 0]);
  await clock.advance(5000);
  assertEquals(asked, 2);
  const later = log.subscribe({ signal: never(), statistics });
  await clock.advance(1000);
  assertEquals([asked, (await later.next()).value.type], [3, "stats"]);
  await later.return!();
});

Deno.test("without follow, the kept events have an end, and there is no subscriber", async () => {
  const { clock, log } = newLog();
  emit(log, 1, 2);
  const events = log.subscribe({ after: 0, follow: false, signal: never() });
  emit(log, 3);
  assertEquals([log.subscribers, clock.timers], [0, 0]);
  assertEquals(await take(events, 4), [1, 2, "end", "end"]);
  assertEquals(await take(log.subscribe({ after: 0, follow: false, signal: AbortSignal.abort() }), 1), ["end"]);
});

Deno.test("a signal ends the events, also for a reader that lags or waits", async () => {
  const { clock, log } = newLog();
  const controller = new AbortController();
  const { signal } = controller;
  const [reading, lagging] = [log.subscribe({ signal }), log.subscribe({ signal })];
  emit(log, 1);
  assertEquals(await take(reading, 1), [1]);
  const next = reading.next();
  controller.abort();
  assertEquals([(await next).done, await take(lagging, 1)], [true, ["end"]]);
  assertEquals(await take(log.subscribe({ after: 0, signal }), 1), ["end"]);
  assertEquals([log.subscribers, clock.timers], [0, 0]);
});

Deno.test("a reader that breaks off is no subscriber any more", async () => {
  const { clock, log } = newLog();
  const events = log.subscribe({ after: 0, signal: never() });
  emit(log, 1, 2);
  for await (const { data } of events) {
    assertEquals(data.n, 1);
    break;
  }
  assertEquals([log.subscribers, clock.timers, await take(events, 1)], [0, 0, ["end"]]);
  const unread = log.subscribe({ signal: never() });
  await unread.return!();
  assertEquals([log.subscribers, clock.timers], [0, 0]);
});

Deno.test("a subscriber that is too slow is dropped after its waiting events", async () => {
  const { clock, log } = newLog({ maxPending: 2 });
  const slow = log.subscribe({ signal: never() });
  emit(log, 1, 2);
  assertEquals(log.subscribers, 1);
  emit(log, 3, 4);
  assertEquals([log.subscribers, clock.timers], [0, 0]);
  assertEquals(await take(slow, 2), [1, 2]);
  await assertRejects(() => slow.next(), SlowSubscriber);
  assertEquals(await take(slow, 1), ["end"]);
});

Deno.test("a subscriber that was dropped can still be ended by its signal", async () => {
  const { log } = newLog({ maxPending: 1 });
  const controller = new AbortController();
  const slow = log.subscribe({ signal: controller.signal });
  emit(log, 1, 2);
  controller.abort();
  assertEquals(await take(slow, 1), ["end"]);
});

Deno.test("missed events do not make a subscriber too slow", async () => {
  const { log } = newLog({ maxPending: 2 });
  emit(log, 1, 2, 3, 4, 5);
  const events = log.subscribe({ after: 0, signal: never() });
  emit(log, 6, 7);
  assertEquals(await take(events, 7), [1, 2, 3, 4, 5, 6, 7]);
  await events.return!();
});

Deno.test("a subscriber that has read its missed events may be as slow as any other, and no slower", async () => {
  const { log } = newLog({ maxPending: 2 });
  emit(log, 1, 2, 3);
  const events = log.subscribe({ after: 0, signal: never() });
  assertEquals(await take(events, 3), [1, 2, 3]);
  emit(log, 4, 5);
  assertEquals(log.subscribers, 1);
  emit(log, 6);
  assertEquals([log.subscribers, await take(events, 2)], [0, [4, 5]]);
  await assertRejects(() => events.next(), SlowSubscriber);
});

/** Instance events, and the events that they have emitted. */
function newEvents() {
  const told: unknown[][] = [];
  return { told, events: new InstanceEvents({ emit: (...event) => void told.push(event) }) };
}

const REVISION = newRevision();
const AT = { service: "app", revision: "app-0123456789ab" };

Deno.test("each state of an instance emits an event, with the duration of a cold start or the reason of an end", () => {
  const { told, events } = newEvents();
  const instance = new Instance("one", REVISION, new FakeClock());
  events.changed(instance);
  instance.coldStartMs = 120;
  instance.become("ready");
  events.changed(instance);
  instance.become("draining");
  instance.failure = "the app did not answer any more";
  events.changed(instance);
  instance.become("stopped");
  events.changed(instance);
  const failed = new Instance("one", REVISION, new FakeClock());
  failed.become("failed");
  failed.failure = "exit code 1";
  events.changed(failed);
  const of = { instance: "one", revision: AT.revision };
  assertEquals(told, [
    ["instance.starting", AT.service, of],
    ["instance.ready", AT.service, { ...of, coldStartMs: 120 }],
    ["instance.draining", AT.service, of],
    ["instance.stopped", AT.service, { ...of, reason: "the app did not answer any more" }],
    ["instance.failed", AT.service, { ...of, reason: "exit code 1" }],
  ]);
});

Deno.test("a failing revision emits events from the third failure in a row on, with the app's output", () => {
  const { told, events } = newEvents();
  const failure = { reason: "it ended with code 1", output: "no config\nbye\n", at: new Date(), since: new Date() };
  for (const count of [1, 2, 3, 4]) events.revisionFailed(REVISION, { ...failure, count });
  const data = { revision: AT.revision, reason: failure.reason, output: ["no config", "bye"] };
  assertEquals(told, [3, 4].map((count) => ["revision.failed", AT.service, { ...data, count }]));
});

Deno.test("what is told reaches the present subscribers, and is not kept for later ones", async () => {
  const { log } = newLog();
  log.tell("service.waiting", "app", { n: 1 });
  const events = log.subscribe({ signal: never() });
  log.tell("service.waiting", "app", { n: 2 });
  emit(log, 3);
  const { value } = await events.next();
  assertEquals(value, { id: undefined, at: NOW, type: "service.waiting", service: "app", data: { n: 2 } });
  const later = log.subscribe({ after: 0, signal: never() });
  assertEquals([await take(events, 1), await take(later, 1)], [[3], [3]]);
  await events.return!();
  await later.return!();
});

Deno.test("ticks are for those who asked for them, and only while somebody subscribes", async () => {
  const { clock, log } = newLog();
  let ticks = 0;
  log.onTick(() => ticks++);
  await clock.advance(2000);
  assertEquals([ticks, clock.timers], [0, 0]);
  const events = log.subscribe({ signal: never() });
  await clock.advance(2000);
  assertEquals(ticks, 2);
  await events.return!();
  await clock.advance(2000);
  assertEquals([ticks, clock.timers], [2, 0]);
});
