import { assertEquals, assertRejects } from "@std/assert";
import { ClessError } from "../../src/base/errors.ts";
import { ForwardError, InstanceGone } from "../../src/http/forwarder.ts";
import type { Upload } from "../../src/http/upload.ts";
import { Instance, type Lease } from "../../src/pool/instance.ts";
import { ClientGone, type Info, RequestContext } from "../../src/proxy/request_context.ts";
import { Retries } from "../../src/proxy/retries.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { newRevision } from "../support/kit.ts";
import { requestHead } from "../support/request_head.ts";

const REFUSED = new ForwardError("unsent", "cannot connect");
const UNANSWERED = new ForwardError("unanswered", "the connection was closed");

/** Instances that note what they are suspected of, and whose apps answer probes if the test says so. */
function setUp() {
  const clock = new FakeClock();
  const noted: string[] = [];
  const app = { answers: true, asked: [] as number[] };
  const owner = {
    moved: () => {},
    suspect: ({ inFlight }: Instance, why: string) => void noted.push(`${why} ${inFlight}`),
    answers: (_: Instance, ms: number) => {
      app.asked.push(ms);
      return app.answers ? Promise.resolve(true) : new Promise<boolean>(() => {});
    },
    claimed: () => {},
    freed: () => {},
    isOurs: () => true,
    answeredAfterWake: () => {},
    unansweredAfterWake: () => {},
  };
  const newInstance = (id = "one") => {
    const instance = new Instance(id, newRevision(), clock, owner);
    instance.become("ready");
    return instance;
  };
  const retries = new Retries(clock, { suspect: () => void noted.push("reconcile") });
  const newContext = (method = "GET") => {
    const limits = { requestTimeoutMs: 10_000, clientTimeoutMs: 10_000 };
    return new RequestContext({} as Request, {} as Info, requestHead({ method }), clock.now(), limits);
  };
  /** Sends a request to an instance, where it fails; tells after how many ms it may be sent again, or why not. */
  const fail = async (context: RequestContext, instance: Instance, error: unknown): Promise<number | unknown> => {
    const began = clock.now();
    const lease = send(context, instance);
    const prepared = retries.prepare(context, lease, error).then(() => clock.now() - began, (error) => error);
    await settle();
    for (let ms = 0; ms < 2000 && instance.leases.includes(lease); ms++) await clock.advance(1);
    const outcome = await clock.until(prepared.then((outcome) => [outcome]));
    assertEquals(instance.leases.includes(lease), false);
    return outcome[0];
  };
  return { clock, noted, app, newInstance, newContext, retries, fail };
}

function send(context: RequestContext, instance: Instance): Lease {
  const lease = instance.claim();
  context.sendTo(instance);
  lease.holder = context;
  return lease;
}

/** An instance's container ends by itself. */
function crash(instance: Instance): void {
  instance.exitCode = 1;
  instance.become("stopped");
}

Deno.test("a refused connection is tried again eleven times with growing pauses; the first two and those from the eighth on count against the instance", async () => {
  const { clock, noted, newInstance, newContext, retries } = setUp();
  const instance = newInstance();
  const context = newContext();
  const counted: number[] = [];
  for (let n = 1; n <= 11; n++) {
    noted.length = 0;
    const lease = send(context, instance);
    const pauseMs = n === 1 ? 0 : Math.min(500, 50 * 4 ** (n - 2));
    let isOver = false;
    const prepared = retries.prepare(context, lease, REFUSED).then(() => isOver = true);
    assertEquals(instance.inFlight, 0, "the slot is free while the request waits");
    await clock.advance(Math.max(0, pauseMs - 1));
    assertEquals(isOver, n === 1, `${n}`);
    await clock.advance(1);
    await prepared;
    if (noted.includes("unreachable 1")) counted.push(n);
    assertEquals(noted.includes("reconcile"), n > 1);
  }
  assertEquals(counted, [1, 2, 8, 9, 10, 11]);
  await assertRejects(() => retries.prepare(context, send(context, instance), REFUSED), ForwardError);
  assertEquals([context.failedTries, context.failedInstances, clock.timers], [0, 0, 0]);
});

Deno.test("each connection to a host that does not answer counts against the instance", async () => {
  const { clock, noted, newInstance, newContext, retries } = setUp();
  const [instance, context] = [newInstance(), newContext()];
  const cause = new Deno.errors.TimedOut("nobody answers");
  for (let n = 1; n <= 3; n++) {
    await clock.until(retries.prepare(context, send(context, instance), new ForwardError("unsent", "no", { cause })));
  }
  assertEquals(noted.filter((what) => what === "unreachable 1").length, 3);
});

Deno.test("a refused connection does not count while this machine has no descriptors, and no pause goes on once the instance is no longer ready", async () => {
  const { clock, noted, newInstance, newContext, retries } = setUp();
  const [instance, context] = [newInstance(), newContext()];
  const exhausted = new ForwardError("unsent", "cannot connect: Too many open files (os error 24)");
  for (let n = 0; n < 2; n++) {
    const prepared = retries.prepare(context, send(context, instance), exhausted);
    await clock.advance(n * 50);
    await prepared;
  }
  assertEquals(noted, ["reconcile"]);
  const prepared = retries.prepare(context, send(context, instance), REFUSED);
  await settle();
  instance.become("draining");
  await prepared;
  await retries.prepare(context, send(context, instance), REFUSED); // it is not ready anyway
  assertEquals([noted, clock.timers], [["reconcile", "reconcile"], 0]);
});

Deno.test("a request that must not be sent twice fails once it got no answer, and the instance is suspected once the slot is free", async () => {
  const { app, noted, newInstance, newContext, fail } = setUp();
  const [instance, context] = [newInstance(), newContext("POST")];
  assertEquals(await fail(context, instance, UNANSWERED), UNANSWERED);
  assertEquals([noted, app.asked], [["closed 0"], []]);
  const late = new ClessError("upstream_timeout", "too late");
  assertEquals(await fail(newContext(), instance, late), late);
  assertEquals(noted, ["closed 0", "late 0"]);
  const garbled = new ForwardError("garbled", "no HTTP");
  assertEquals(await fail(newContext(), instance, garbled), garbled);
  assertEquals(noted.length, 2);
});

Deno.test("a request without an answer is sent again as soon as the app answers a probe, or after 0.25 s", async () => {
  const { app, clock, noted, newInstance, newContext, fail } = setUp();
  const [instance, context] = [newInstance(), newContext()];
  const before = context.signal;
  assertEquals([await fail(context, instance, UNANSWERED), app.asked], [0, [250]]);
  assertEquals([context.failedTries, context.failedInstances, context.signal === before], [1, 1, false]);
  app.answers = false;
  assertEquals(await fail(newContext(), newInstance(), UNANSWERED), 250);
  assertEquals([noted, clock.timers], [[], 0]);
});

Deno.test("a request that waits for news of its instance learns of the instance's end at once, and is not aborted by it", async () => {
  const { app, clock, newInstance, newContext, retries } = setUp();
  app.answers = false;
  const [instance, context] = [newInstance(), newContext()];
  const other = instance.claim();
  const lease = send(context, instance);
  const prepared = retries.prepare(context, lease, UNANSWERED);
  await clock.advance(100);
  const { signal } = context;
  assertEquals([instance.inFlight, lease.holder], [2, undefined]);
  crash(instance);
  await prepared;
  assertEquals([signal.aborted, context.isSuspect, clock.timers], [false, true, 0]);
  other.release();
});

Deno.test("a request whose client leaves while it waits is not sent again, and waits no longer", async () => {
  const { app, clock, newInstance, newContext, retries } = setUp();
  app.answers = false;
  const [instance, context] = [newInstance(), newContext()];
  const prepared = assertRejects(() => retries.prepare(context, send(context, instance), UNANSWERED), ClientGone);
  await settle();
  context.abort(new ClientGone());
  await prepared;
  assertEquals([instance.inFlight, clock.timers], [0, 0]);
  context.renew();
  context.refusals = 5;
  const refused = assertRejects(() => retries.prepare(context, send(context, instance), REFUSED), ClientGone);
  await settle();
  context.abort(new ClientGone());
  await refused;
  assertEquals(clock.timers, 0);
});

Deno.test("if the client leaves while its request waits for news of the instance, the error is that the client has gone", async () => {
  const { newInstance, newContext, fail, retries } = setUp();
  const [instance, context] = [newInstance(), newContext()];
  await fail(context, instance, UNANSWERED);
  const prepared = assertRejects(() => retries.prepare(context, send(context, instance), UNANSWERED), ClientGone);
  await settle();
  context.abort(new ClientGone());
  await prepared;
  assertEquals(context.failedTries, 2);
});

Deno.test("the second time without an answer, a request fails unless its instance leaves the state ready within a second", async () => {
  const { clock, noted, newInstance, newContext, fail, retries } = setUp();
  const [instance, context] = [newInstance(), newContext()];
  await fail(context, instance, UNANSWERED);
  const began = clock.now();
  assertEquals(await fail(context, instance, UNANSWERED), UNANSWERED);
  assertEquals([clock.now() - began >= 1000, noted], [true, ["closed 0", "reconcile"]]);
  const again = newContext();
  await fail(again, instance, UNANSWERED);
  const prepared = retries.prepare(again, send(again, instance), UNANSWERED);
  await clock.advance(500);
  instance.become("draining");
  await prepared;
  assertEquals([again.failedTries, again.failedInstances], [2, 1]);
});

Deno.test("a request fails once two instances have left it without an answer", async () => {
  const { newInstance, newContext, fail } = setUp();
  const context = newContext();
  assertEquals(typeof await fail(context, newInstance("one"), UNANSWERED), "number");
  assertEquals(await fail(context, newInstance("two"), UNANSWERED), UNANSWERED);
  assertEquals(context.failedInstances, 2);
});

Deno.test("a request that was alone on an instance that crashed is not sent again", async () => {
  const { newInstance, newContext, fail } = setUp();
  const [instance, context] = [newInstance(), newContext()];
  crash(instance);
  const gone = new InstanceGone();
  assertEquals([await fail(context, instance, gone), context.broken], [gone, undefined]);
  const [stopped, other] = [newInstance(), newContext()];
  stopped.byHand = true;
  crash(stopped);
  assertEquals(typeof await fail(other, stopped, gone), "number"); // somebody has stopped it
});

Deno.test("a request that was on a crashed instance with others is sent again once", async () => {
  const { newInstance, newContext, fail } = setUp();
  const context = newContext();
  const gone = new InstanceGone();
  for (const [id, outcome] of [["one", "number"], ["two", "object"]] as const) {
    const instance = newInstance(id);
    instance.claim();
    instance.claim();
    crash(instance);
    context.failedInstances = 0;
    assertEquals(typeof await fail(context, instance, gone), outcome, id);
    assertEquals(context.isSuspect, true);
  }
});

Deno.test("requests that break within a second count as in flight together, but a request does not count twice", async () => {
  const suspectAfter = async (ms: number, isSame: boolean) => {
    const { clock, newInstance, newContext, fail } = setUp();
    const [instance, first] = [newInstance(), newContext()];
    const brokeAt = clock.now();
    await fail(first, instance, UNANSWERED);
    await clock.advance(Math.max(0, brokeAt + ms - clock.now()));
    const second = isSame ? first : newContext();
    crash(instance);
    const outcome = await fail(second, instance, UNANSWERED);
    return [typeof outcome === "number", second.isSuspect];
  };
  assertEquals(await suspectAfter(1000, false), [true, true]);
  assertEquals(await suspectAfter(1001, false), [false, true]);
  assertEquals(await suspectAfter(0, true), [false, true]);
});

Deno.test("a request is sent again with its body if all of that is kept, and not otherwise", async () => {
  const { newInstance, newContext, fail } = setUp();
  const instance = newInstance();
  const body = { replayable: true, abandoned: 0, abandon: () => void body.abandoned++ };
  const context = newContext("PUT");
  context.upload = body as unknown as Upload;
  assertEquals([typeof await fail(context, instance, UNANSWERED), body.abandoned], ["number", 1]);
  body.replayable = false;
  assertEquals([await fail(context, instance, REFUSED), body.abandoned], [REFUSED, 1]);
});
