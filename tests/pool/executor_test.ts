import { assertEquals } from "@std/assert";
import { type Lag, NO_LAG } from "../../src/base/lag.ts";
import { Executor, type Started } from "../../src/pool/executor.ts";
import { Instance } from "../../src/pool/instance.ts";
import { EngineAway } from "../../src/pool/launcher.ts";
import { NotReady, type Probed } from "../../src/pool/probe.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { FakeLauncher } from "../support/fake_launcher.ts";
import { newRevision, NO_SLOTS, untilAborted } from "../support/kit.ts";

const ORIGIN = "http://10.0.0.2:8080";

/** An executor over a fake engine, with one instance; the app is ready when the test says so. */
function newExecutor({ ask = () => Promise.resolve<Probed>(200), lag = NO_LAG, startTimeoutMs = 30_000 } = {}) {
  const clock = new FakeClock();
  const launcher = new FakeLauncher();
  const asked: string[] = [];
  const deleted: Instance[] = [];
  const ready = Promise.withResolvers<void>();
  const untilReady = (url: string, _clock: unknown, signal: AbortSignal) => {
    asked.push(url);
    const late = untilAborted(signal).catch((reason) => Promise.reject(new NotReady("silent", reason)));
    return Promise.race([ready.promise, late]);
  };
  const fleet = { get: () => undefined, delete: (instance: Instance) => void deleted.push(instance) };
  const executor = new Executor(launcher, clock, fleet, { untilReady, ask, lag });
  const instance = new Instance("one", { ...newRevision(), readinessPath: "/ready", startTimeoutMs }, clock);
  return { clock, launcher, executor, instance, asked, ready, deleted };
}

/** An instance whose container is paused. */
function newPaused(options: Parameters<typeof newExecutor>[0] = {}) {
  const parts = newExecutor(options);
  const { instance, launcher } = parts;
  launcher.put(instance, "paused");
  instance.origin = ORIGIN;
  instance.become("ready");
  instance.become("paused");
  return parts;
}

Deno.test("a start probes the app only once its container runs, and tells how long each of these two steps took", async () => {
  const { asked, clock, executor, instance, launcher, ready } = newExecutor();
  const starting = executor.start(instance);
  await clock.advance(200);
  assertEquals(asked, []);
  (await launcher.nextLaunch()).succeed(ORIGIN);
  await settle();
  assertEquals(asked, [`${ORIGIN}/ready`]);
  await clock.advance(300);
  ready.resolve();
  assertEquals(await starting, { createMs: 200, readyMs: 300 });
  assertEquals([instance.origin, instance.coldStartMs, clock.timers], [ORIGIN, 500, 0]);
});

Deno.test("a failed start leaves no timer, and its container is removed once its output is read", async () => {
  const { clock, deleted, executor, instance, launcher } = newExecutor();
  const starting = executor.start(instance);
  (await launcher.nextLaunch()).fail(new Error("no such image"));
  const started = await starting as Extract<Started, { error: unknown }>;
  assertEquals([started.error.detail, started.blame, clock.timers], ["no such image", "app", 0]);
  await executor.settled();
  assertEquals(deleted, [instance]);
  assertEquals(launcher.calls.map(({ method }) => method), ["launch", "output", "remove", "forget"]);
});

Deno.test("an adopted app that has used up its start timeout gets 5 s more, is then given up, and nobody is blamed", async () => {
  const { clock, executor, instance } = newExecutor();
  const adopting = executor.adopt(instance, 60_000);
  await clock.advance(5000);
  const started = await adopting as Extract<Started, { error: unknown }>;
  assertEquals([started.error.code, started.blame], ["start_timeout", "nobody"]);
  assertEquals(started.error.detail?.includes("within 5s"), true, started.error.detail);
  assertEquals(clock.timers, 0);
});

Deno.test("one lag gives a start five more seconds, and not twice its time", async () => {
  let laggedMs = -Infinity;
  const lag: Lag = { watch: () => () => {}, wasLate: (sinceMs) => laggedMs >= sinceMs };
  const { clock, executor, instance, launcher } = newExecutor({ lag, startTimeoutMs: 20_000 });
  const starting = executor.start(instance);
  (await launcher.nextLaunch()).succeed(ORIGIN);
  await clock.advance(1000);
  laggedMs = clock.now();
  let isOver = false;
  starting.then(() => isOver = true);
  await clock.advance(23_999);
  assertEquals(isOver, false);
  await clock.advance(1);
  assertEquals(isOver, true);
  const started = await starting as Extract<Started, { error: unknown }>;
  assertEquals([started.error.code, started.blame, clock.timers], ["start_timeout", "app", 0]);
});

Deno.test("a resume leaves no timer, whether it succeeds or fails", async () => {
  const { clock, executor, instance, launcher } = newPaused();
  assertEquals(await executor.resume(instance, 3), { type: "resumed", id: "one", attempt: 3 });
  assertEquals(clock.timers, 0);
  launcher.on.resume = () => {
    throw new Error("no");
  };
  assertEquals(await executor.resume(instance, 4), { type: "resume failed", id: "one", attempt: 4, error: undefined });
  assertEquals(clock.timers, 0);
});

Deno.test("a resume that the engine does not carry out is not tried again once its time is up or the instance is gone", async () => {
  for (const ends of ["late", "gone"] as const) {
    const { clock, executor, instance, launcher } = newPaused();
    launcher.on.resume = () => {
      throw new EngineAway("no daemon");
    };
    const resuming = executor.resume(instance, 1);
    await clock.advance(ends === "late" ? 30_000 : 100);
    if (ends === "gone") instance.become("stopped");
    const event = await resuming;
    assertEquals(event.type, "resume failed");
    assertEquals("error" in event && event.error?.code, ends === "late" ? "start_timeout" : undefined);
    const { length } = launcher.calls;
    await clock.advance(60_000);
    assertEquals([launcher.calls.length, clock.timers], [length, 0]);
  }
});

Deno.test("while the engine is away, a call is repeated after 0.1 s, then after twice as long each time, up to 1 s", async () => {
  const { clock, executor, instance, launcher } = newPaused();
  const began = clock.now();
  const at: number[] = [];
  launcher.on.resume = () => {
    at.push(clock.now() - began);
    if (at.length < 8) throw new EngineAway("no daemon");
  };
  const resuming = executor.resume(instance, 1);
  await clock.advance(10_000);
  assertEquals((await resuming).type, "resumed");
  assertEquals(at, [0, 100, 300, 700, 1500, 2500, 3500, 4500]);
});

Deno.test("a failed pause is undone, and the instance counts as running only if that has succeeded or the engine is away", async () => {
  for (
    const [resume, runs] of [
      [undefined, true],
      [new EngineAway("no daemon"), true],
      [new Error("no"), false],
    ] as const
  ) {
    const { executor, instance, launcher } = newPaused();
    launcher.on.pause = () => {
      throw new Error("cannot freeze");
    };
    launcher.on.resume = () => {
      if (resume !== undefined) throw resume;
    };
    assertEquals(await executor.pause(instance), { type: "pause failed", id: "one", runs });
  }
});

Deno.test("a resume after a finished pause calls the engine at once, and does not probe the app", async () => {
  const { executor, instance, launcher } = newPaused({ ask: () => Promise.reject(new Error("asked")) });
  await executor.pause(instance);
  assertEquals((await executor.resume(instance, 1)).type, "resumed");
  assertEquals(launcher.called("resume"), ["one"]);
});

Deno.test("a resume during a pause waits for the end of the pause before it calls the engine", async () => {
  const { clock, executor, instance, launcher } = newPaused();
  const frozen = Promise.withResolvers<void>();
  launcher.on.pause = () => frozen.promise;
  const pausing = executor.pause(instance);
  const resuming = executor.resume(instance, 1);
  await clock.advance(999);
  assertEquals(launcher.called("resume"), []);
  frozen.resolve();
  assertEquals([(await pausing).type, (await resuming).type], ["paused", "resumed"]);
  assertEquals([launcher.called("resume"), clock.timers], [["one"], 0]);
});

Deno.test("each way to stop an instance makes its own call, and only that for an ended instance reads the output first", async () => {
  for (
    const [how, ...expected] of [
      ["stop", { method: "stop", id: "one" }],
      ["stop soon", { method: "stop", id: "one", graceS: 2 }],
      ["kill", { method: "remove", id: "one" }],
      ["clear", { method: "output", id: "one" }, { method: "remove", id: "one" }],
    ] as const
  ) {
    const { deleted, executor, instance, launcher } = newPaused();
    await executor.stop(instance, how);
    assertEquals<unknown>(launcher.calls, [...expected, { method: "forget", id: "one" }]);
    assertEquals(deleted, [instance]);
  }
});

Deno.test("the container of an ended instance is removed only once its output is read", async () => {
  const { executor, instance, launcher } = newPaused();
  const read = Promise.withResolvers<string>();
  launcher.output = () => read.promise;
  const stopping = executor.stop(instance, "clear");
  await settle();
  assertEquals(launcher.called("remove"), []);
  read.resolve("bye");
  await stopping;
  assertEquals([launcher.called("remove"), await executor.written(instance)], [["one"], "bye"]);
});

Deno.test("an instance whose container cannot be removed is forgotten all the same, its address once its requests have ended", async () => {
  const { deleted, executor, instance, launcher } = newPaused();
  const lease = instance.claim();
  launcher.on.remove = () => {
    throw new Error("in use");
  };
  await executor.stop(instance, "kill");
  await executor.settled();
  assertEquals([deleted, launcher.called("forget")], [[instance], []]);
  lease.release();
  await settle();
  assertEquals(launcher.called("forget"), ["one"]);
});

Deno.test("the executor is settled only when no container is being removed", async () => {
  const { executor, instance, launcher } = newPaused();
  await executor.settled();
  const removed = Promise.withResolvers<void>();
  launcher.on.remove = () => removed.promise;
  executor.stop(instance, "kill");
  let isSettled = false;
  const settled = executor.settled().then(() => isSettled = true);
  await settle();
  assertEquals(isSettled, false);
  removed.resolve();
  await settled;
});

Deno.test("a start that is repeated since the engine was away first removes the container that the engine may have created", async () => {
  const { clock, executor, instance, launcher, ready } = newExecutor();
  let attempts = 0;
  launcher.on.launch = () => {
    if (attempts++ < 2) throw new EngineAway("no daemon");
    return { origin: ORIGIN };
  };
  ready.resolve();
  await clock.until(executor.start(instance));
  assertEquals(launcher.calls.map(({ method }) => method), ["launch", "remove", "launch", "remove", "launch"]);
});

Deno.test("a start of a shared container that is repeated removes nothing: another cless may use what there is", async () => {
  const { clock, executor, instance, launcher, ready } = newExecutor();
  launcher.sharing = {
    isOurs: () => true,
    find: () => Promise.resolve(undefined),
    mayEnd: () => Promise.resolve(),
    runsOn() {},
    usesAgain() {},
    slots: NO_SLOTS,
  };
  let attempts = 0;
  launcher.on.launch = () => {
    if (attempts++ < 2) throw new EngineAway("no leader");
    return { origin: ORIGIN };
  };
  ready.resolve();
  await clock.until(executor.start(instance));
  assertEquals(launcher.calls.map(({ method }) => method), ["launch", "launch", "launch"]);
});

Deno.test("a container that somebody has paused is resumed, and an engine that refuses that is no error", async () => {
  const { executor, instance, launcher } = newPaused();
  executor.undoPause(instance);
  await settle();
  assertEquals(launcher.containers.get("one")?.state, "running");
  launcher.on.resume = () => {
    throw new Error("no");
  };
  executor.undoPause(instance);
  await settle();
  assertEquals(launcher.called("resume"), ["one", "one"]);
});

Deno.test("the output of an app is read once, and is empty if it cannot be read", async () => {
  const { executor, instance, launcher } = newPaused();
  launcher.written = "hello";
  assertEquals([await executor.written(instance), await executor.written(instance)], ["hello", "hello"]);
  assertEquals(launcher.called("output"), ["one"]);
  const other = newPaused();
  other.launcher.output = () => Promise.reject(new Error("no"));
  assertEquals(await other.executor.written(other.instance), "");
  other.launcher.processorTime = () => Promise.reject(new Error("no"));
  assertEquals(await other.executor.processorTime(other.instance), undefined);
});
