import { assertEquals, assertRejects } from "@std/assert";
import { ClessError } from "../../src/base/errors.ts";
import { drain, finish } from "../../src/proxy/drain.ts";
import { type Info, RequestContext, UnansweredRequests } from "../../src/proxy/request_context.ts";
import { settle } from "../support/fake_clock.ts";
import { hostOf, newFront, newKit, newRevision, started } from "../support/kit.ts";
import { requestHead } from "../support/request_head.ts";

/** A program with one service, and a server that ends when the test says so. */
function newScene() {
  const kit = newKit();
  const front = newFront(kit);
  front.images.build("app-docker", "sha256:0123456789abcdef");
  const unanswered = new UnansweredRequests(kit.clock);
  const shutdown = Promise.withResolvers<void>();
  let isClosing = false;
  const servers = [{ shutdown: () => (isClosing = true, shutdown.promise) }];
  const closed: string[] = [];
  const sessions = {
    close(why: string) {
      closed.push(why);
      return Promise.resolve();
    },
  };
  const parts = { servers, activator: front.activator, fleet: kit.fleet, sessions, unanswered };
  return {
    ...{ kit, front, unanswered, shutdown, closed },
    drained: drain.bind(null, parts, kit.clock),
    finished: finish.bind(null, parts, kit.clock),
    /** Whether the server has been told to close its connections. */
    isClosing: () => isClosing,
  };
}

/** Whether a promise has settled. */
function watched(promise: Promise<void>) {
  const state = { isDone: false };
  promise.then(() => state.isDone = true);
  return state;
}

Deno.test("draining ends as soon as all requests in flight are answered and no instance is in use", async () => {
  const { kit, shutdown, drained } = newScene();
  const { lease } = await started(kit, kit.newPool({ ...newRevision(), stopAfterMs: Infinity }), "http://10.0.0.2:80");
  let isDone = false;
  const done = drained(30_000).then(() => isDone = true);
  shutdown.resolve();
  await settle();
  assertEquals(isDone, false); // as with a WebSocket, which has its response and is still in use
  lease.release();
  await done;
  assertEquals(kit.clock.timers, 0);
});

Deno.test("requests that are not answered within the time are refused, also those that wait for an instance", async () => {
  const { kit, front, unanswered, drained } = newScene();
  const waiting = front.activator.hold(hostOf("app"), undefined, new AbortController().signal);
  const refused = assertRejects(() => waiting, ClessError);
  await kit.launcher.nextLaunch();
  const request = new Request("http://app.localhost/");
  const pending = new RequestContext(request, {} as Info, requestHead(), kit.clock.now(), {
    requestTimeoutMs: 60_000,
    clientTimeoutMs: Infinity,
  });
  unanswered.add(pending);
  const done = drained(1000);
  await kit.clock.advance(999);
  assertEquals(pending.signal.aborted, false);
  await kit.clock.advance(1);
  await done;
  assertEquals([(await refused).code, (pending.signal.reason as ClessError).code], ["draining", "draining"]);
});

Deno.test("a request that waits in a pool without an instance is refused too", async () => {
  const { kit, front, drained } = newScene();
  (await front.convention.find("app"))!.main().suspend(0);
  const waiting = front.activator.hold(hostOf("app"), undefined, new AbortController().signal);
  const refused = assertRejects(() => waiting, ClessError);
  await settle();
  const done = drained(1000);
  await kit.clock.advance(1000);
  await done;
  assertEquals((await refused).code, "draining");
});

Deno.test("new requests are refused while it drains", async () => {
  const { front, shutdown, drained } = newScene();
  const done = drained(1000);
  const { code } = await assertRejects(
    () => front.activator.hold(hostOf("app"), undefined, new AbortController().signal),
    ClessError,
  );
  assertEquals(code, "draining");
  shutdown.resolve();
  await done;
});

Deno.test("a superseded process closes no connection while a response or a WebSocket is under way", async () => {
  const { kit, shutdown, finished, isClosing } = newScene();
  const { lease } = await started(kit, kit.newPool({ ...newRevision(), stopAfterMs: Infinity }), "http://10.0.0.2:80");
  const done = watched(finished(30_000));
  await kit.clock.advance(29_000);
  assertEquals([isClosing(), done.isDone], [false, false]);
  lease.release();
  await kit.clock.advance(50);
  assertEquals([isClosing(), done.isDone], [true, false]);
  shutdown.resolve();
  await settle();
  assertEquals([done.isDone, kit.clock.timers], [true, 0]);
});

Deno.test("a superseded process serves for a second what its open connections still bring, and then refuses it", async () => {
  const { kit, front, shutdown, finished } = newScene();
  const hold = () => front.activator.hold(hostOf("app"), undefined, new AbortController().signal);
  shutdown.resolve();
  const done = finished(30_000);
  await kit.clock.advance(999);
  const waiting = hold();
  (await kit.launcher.nextLaunch()).succeed("http://10.0.0.2:80");
  (await waiting).lease.release();
  await kit.clock.advance(1);
  await done;
  assertEquals((await assertRejects(hold, ClessError)).code, "draining");
});

Deno.test("a superseded process closes its connections once they have brought nothing for a second", async () => {
  const { kit, unanswered, finished, isClosing } = newScene();
  finished(30_000);
  await kit.clock.advance(900);
  unanswered.total++;
  await kit.clock.advance(1000);
  assertEquals(isClosing(), false);
  await kit.clock.advance(100);
  assertEquals(isClosing(), true);
});

Deno.test("a superseded process closes its connections after five seconds though they still bring requests", async () => {
  const { kit, unanswered, finished, isClosing } = newScene();
  finished(30_000);
  for (let n = 0; n < 4; n++) {
    unanswered.total++;
    await kit.clock.advance(990);
  }
  unanswered.total++;
  await kit.clock.advance(1000);
  assertEquals(isClosing(), false);
  await kit.clock.advance(50);
  assertEquals(isClosing(), true);
});

Deno.test("a superseded process ends after its timeout, however short, and whatever is under way", async () => {
  for (const timeoutMs of [500, 30_000]) {
    for (const isInUse of [false, true]) {
      const { kit, finished } = newScene();
      if (isInUse) await started(kit, kit.newPool({ ...newRevision(), stopAfterMs: Infinity }), "http://10.0.0.2:80");
      const done = watched(finished(timeoutMs)); // its server never ends
      await kit.clock.advance(timeoutMs - 1);
      assertEquals(done.isDone, false);
      await kit.clock.advance(1);
      assertEquals(done.isDone, true, `${timeoutMs} ms, ${isInUse ? "in use" : "idle"}`);
    }
  }
});

Deno.test("a program that stops closes the sessions of operators at once, before anything else is waited for", async () => {
  const { closed, drained, kit, shutdown } = newScene();
  const over = drained(10_000);
  assertEquals(closed, ["the session is over, since cless is stopping"]);
  shutdown.resolve();
  await settle();
  await kit.clock.advance(10_000);
  await over;
});

Deno.test("a superseded program lets sessions of operators go on until the time is up, as it does requests", async () => {
  const { closed, finished, front, kit, shutdown } = newScene();
  const pool = (await front.activator.resolve(hostOf("app"), new AbortController().signal)).route();
  const { lease } = await started(kit, pool);
  const session = lease.instance.enter({ kind: "operator", name: "ci" });
  lease.release();
  const over = finished(10_000);
  await kit.clock.advance(9_999);
  assertEquals(closed, []);
  await kit.clock.advance(1);
  assertEquals(closed, ["the session is over, since a new process of cless has taken over; it can be opened again"]);
  session.release();
  shutdown.resolve();
  await over;
});
