import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import { ClessError } from "../../src/base/errors.ts";
import { InstanceGone } from "../../src/http/forwarder.ts";
import { Upload, UploadPauses } from "../../src/http/upload.ts";
import { ClientGone, type Info, RequestContext, UnansweredRequests } from "../../src/proxy/request_context.ts";
import { Instance } from "../../src/pool/instance.ts";
import { newRevision } from "../support/kit.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { requestHead } from "../support/request_head.ts";

/** A request whose client can leave; counts how often its signal is read. */
function newRequest() {
  const client = new AbortController();
  let asked = 0;
  const request = {
    get signal() {
      asked++;
      return client.signal;
    },
  } as Request;
  return { request, leave: () => client.abort(), asked: () => asked };
}

function setUp() {
  const clock = new FakeClock();
  const pending = new UnansweredRequests(clock);
  const add = (request: Request, timeoutMs: number) => {
    const context = new RequestContext(request, {} as Info, requestHead(), clock.now(), {
      requestTimeoutMs: timeoutMs,
      clientTimeoutMs: Infinity,
    });
    pending.add(context);
    return context;
  };
  return { clock, pending, add };
}

/** A body that gives 1 KB for each read. */
function endlessBody(): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    type: "bytes",
    pull: (controller) => controller.enqueue(new Uint8Array(1024)),
  }, { highWaterMark: 0 });
}

Deno.test("the signal of a request that is answered before the second tick is never read", async () => {
  const { clock, pending, add } = setUp();
  const { request, asked } = newRequest();
  const one = add(request, 1000);
  await clock.advance(100);
  pending.delete(one);
  await clock.advance(1000);
  assertEquals([asked(), one.signal.aborted, pending.size], [0, false, 0]);
});

Deno.test("no timer runs while no request is pending", async () => {
  const { clock, pending, add } = setUp();
  assertEquals(clock.timers, 0);
  const one = add(newRequest().request, 1000);
  const two = add(newRequest().request, 1000);
  assertEquals(clock.timers, 1);
  pending.delete(one);
  pending.delete(two);
  await clock.advance(100);
  assertEquals(clock.timers, 0);
  add(newRequest().request, 1000);
  assertEquals(clock.timers, 1);
});

Deno.test("a request whose client has left is aborted within two ticks", async () => {
  const { clock, add } = setUp();
  const { request, leave } = newRequest();
  const one = add(request, Infinity);
  leave();
  await clock.advance(200);
  assert(one.signal.reason instanceof ClientGone);
});

Deno.test("a watched request is aborted at once when its client leaves, or has left before", () => {
  const { add } = setUp();
  const { request, leave } = newRequest();
  const one = add(request, Infinity);
  one.watchClient();
  assert(!one.signal.aborted);
  leave();
  assert(one.signal.reason instanceof ClientGone);
  const late = add(request, Infinity);
  late.watchClient();
  assert(late.signal.reason instanceof ClientGone);
});

Deno.test("when the app has ended its response, the request frees its slot; a new request is no suspect", () => {
  const { add } = setUp();
  const one = add(newRequest().request, Infinity);
  one.appEnded(); // it has no slot yet
  const instance = new Instance("one", newRevision(), systemClock);
  const lease = one.lease = instance.claim();
  lease.answered(200);
  one.appEnded();
  assertEquals([instance.inFlight, one.isSuspect, one.failedInstances, one.refusals], [0, false, 0, 0]);
});

Deno.test("a request counts its failed tries on each instance anew", () => {
  const { add } = setUp();
  const one = add(newRequest().request, Infinity);
  const [first, second] = ["one", "two"].map((id) => new Instance(id, newRevision(), systemClock));
  one.sendTo(first!);
  one.failedTries = 1;
  one.sendTo(first!);
  assertEquals([one.failedTries, one.instance], [1, first]);
  one.sendTo(second!);
  assertEquals([one.failedTries, one.instance, one.service], [0, second, "app"]);
});

Deno.test("each attempt of a request can be aborted", () => {
  const { add } = setUp();
  const one = add(newRequest().request, Infinity);
  one.abort(new InstanceGone());
  one.renew();
  assert(!one.signal.aborted);
  one.abort(new ClientGone());
  assert(one.signal.reason instanceof ClientGone);
});

Deno.test("a request is aborted at the first tick after its timeout", async () => {
  const { clock, add } = setUp();
  const one = add(newRequest().request, 1050);
  const never = add(newRequest().request, Infinity);
  await clock.advance(1000);
  assert(!one.signal.aborted);
  await clock.advance(100);
  assert(one.signal.reason instanceof ClessError);
  assertEquals(one.signal.reason.code, "upstream_timeout");
  await clock.advance(1_000_000);
  assert(!never.signal.aborted);
});

Deno.test("the timeout stands still in each tick in which the upload makes progress", async () => {
  const { clock, add } = setUp();
  const one = add(newRequest().request, 1000);
  one.upload = new Upload(endlessBody(), Infinity, new UploadPauses(systemClock));
  const next = one.upload.begin();
  for (let turn = 0; turn < 50; turn++) {
    await next();
    await clock.advance(100);
  }
  assert(!one.signal.aborted);
  await clock.advance(900);
  assert(!one.signal.aborted);
  await clock.advance(100);
  assert(one.signal.aborted);
  await one.upload.end();
});

Deno.test("an upload that makes progress again gives back none of the timeout that has passed", async () => {
  const { clock, add } = setUp();
  const one = add(newRequest().request, 1000);
  one.upload = new Upload(endlessBody(), Infinity, new UploadPauses(systemClock));
  const next = one.upload.begin();
  await clock.advance(500);
  for (let turn = 0; turn < 10; turn++) {
    await next();
    await clock.advance(100);
  }
  await clock.advance(400);
  assert(!one.signal.aborted);
  await clock.advance(100);
  assert(one.signal.aborted);
  await one.upload.end();
});

/** An instance that is suspected 1 s after its last answer, and what it was suspected of. */
function newSilent() {
  const suspicions: string[] = [];
  const revision = { ...newRevision(), hangAfterMs: 1000 };
  const instance = new Instance("one", revision, systemClock, {
    moved: () => {},
    suspect: (_, why) => void suspicions.push(why),
    answers: () => Promise.resolve(true),
    claimed: () => {},
    freed: () => {},
    isOurs: () => true,
    answeredAfterWake: () => {},
    unansweredAfterWake: () => {},
  });
  return { instance, suspicions };
}

Deno.test("an instance that has begun no answer for hangAfter is suspected, again and again", async () => {
  const { clock, add } = setUp();
  const { instance, suspicions } = newSilent();
  const [one, two] = [add(newRequest().request, Infinity), add(newRequest().request, Infinity)];
  await clock.advance(5000); // while they wait for an instance
  for (const context of [one, two]) context.sendTo(instance);
  await clock.advance(1000);
  assertEquals(suspicions, []);
  await clock.advance(100);
  assertEquals(suspicions, ["silent", "silent"]);
  await clock.advance(1000);
  assertEquals(suspicions.length, 4);
});

Deno.test("an instance that answers another request, or waits for the rest of an upload, is not suspected", async () => {
  const { clock, add } = setUp();
  const { instance, suspicions } = newSilent();
  const one = add(newRequest().request, Infinity);
  one.sendTo(instance);
  for (let n = 0; n < 4; n++) {
    instance.answers++;
    await clock.advance(900);
  }
  one.upload = new Upload(new ReadableStream(), 10, new UploadPauses(systemClock));
  one.upload.begin()().catch(() => {});
  await clock.advance(5000);
  assertEquals(suspicions, []);
  one.upload = undefined;
  one.renew(); // it waits for another instance
  await clock.advance(5000);
  assertEquals(suspicions, []);
  one.sendTo(instance);
  await clock.advance(1100);
  assertEquals(suspicions, ["silent"]);
});

Deno.test("requests that are removed during a tick do not hide others from it", async () => {
  const { clock, pending, add } = setUp();
  const all = Array.from({ length: 20 }, (_, n) => add(newRequest().request, n % 2 === 0 ? 100 : Infinity));
  for (const one of all) one.signal.addEventListener("abort", () => pending.delete(one));
  await clock.advance(100);
  assertEquals(all.map(({ signal }) => signal.aborted), all.map((_, n) => n % 2 === 0));
  assertEquals(pending.size, 10);
});

Deno.test("removing a request twice removes no other", () => {
  const { pending, add } = setUp();
  const [one, two, three] = [1, 2, 3].map(() => add(newRequest().request, 1000));
  pending.delete(one!);
  pending.delete(one!);
  assertEquals(pending.size, 2);
  pending.delete(three!);
  pending.delete(two!);
  assertEquals(pending.size, 0);
});

Deno.test("all requests can be aborted at once", () => {
  const { pending, add } = setUp();
  const all = [1, 2, 3].map(() => add(newRequest().request, 1000));
  for (const one of all) one.signal.addEventListener("abort", () => pending.delete(one));
  const reason = new Error("that is all");
  pending.abortAll(reason);
  assertEquals(all.map(({ signal }) => signal.reason), [reason, reason, reason]);
  assertEquals(pending.size, 0);
});
