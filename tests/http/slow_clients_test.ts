import { assert, assertEquals } from "@std/assert";
import type { Forward } from "../../src/base/config.ts";
import type { Peer } from "../../src/http/client_sockets.ts";
import { SlowClients, type WatchedAnswer } from "../../src/http/slow_clients.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { forwardTest } from "../support/forwarders.ts";
import { Harness } from "../support/harness.ts";
import { OK, Origin } from "../support/origin.ts";
import { type RawClient, requestText } from "../support/raw_client.ts";

const MANY = 50;

/** Has many clients misbehave, and checks that others are served meanwhile. */
async function othersAreServed(forward: Forward, misbehave: (client: RawClient) => Promise<unknown>): Promise<void> {
  await using app = Origin.serving(async (connection) => {
    for (
      let request = await connection.reader.head();
      request !== undefined;
      request = await connection.reader.head()
    ) {
      if (request.target === "/large") {
        await connection.send(`HTTP/1.1 200 OK\r\ncontent-length: ${1 << 30}\r\n\r\n`);
        while (await connection.send(new Uint8Array(1 << 20)));
      } else if (request.startLine.startsWith("GET")) {
        await connection.send(OK);
      } else {
        await connection.ended();
      }
    }
  });
  await using cless = await Harness.warm({ forward, origin: app });
  const clients = await Promise.all(Array.from({ length: MANY }, () => cless.connect()));
  try {
    await Promise.all(clients.map(misbehave));
    for (let turn = 0; turn < 20; turn++) assertEquals((await cless.ask(requestText())).status, 200);
  } finally {
    for (const client of clients) client[Symbol.dispose]();
  }
  await cless.idle();
}

forwardTest("clients that connect and say nothing do not hold up others", async (forward) => {
  await othersAreServed(forward, () => Promise.resolve());
});

forwardTest("clients that send half a request and then nothing do not hold up others", async (forward) => {
  await othersAreServed(forward, (client) => client.send("GET / HTTP/1.1\r\nhost: app.loc"));
});

forwardTest("clients that send their headers byte by byte do not hold up others", async (forward) => {
  await othersAreServed(forward, async (client) => {
    for (const byte of "GET / HTTP/1.1\r\nhost: app.localhost\r\nx-") await client.send(byte);
  });
});

forwardTest("clients whose body stops do not hold up others", async (forward) => {
  await othersAreServed(forward, (client) => client.send(requestText("POST /", ["content-length: 1000"], "x")));
});

forwardTest("clients that never read do not hold up others", async (forward) => {
  await othersAreServed(forward, (client) => client.send(requestText("GET /large")));
});

forwardTest("a client that sends its request byte by byte is answered", async (forward) => {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ forward, origin: app });
  using client = await cless.connect();
  for (const byte of requestText("POST /", ["content-length: 5"], "hello")) await client.send(byte);
  assertEquals((await client.answer()).status, 200);
  assertEquals(app.last.text, "hello");
});

forwardTest("known: a client that closes its sending side may count as gone", async (forward) => {
  await using app = Origin.answering();
  await using cless = await Harness.warm({ forward, origin: app });
  using client = await cless.connect();
  await client.send(requestText());
  await client.closeWrite();
  const answer = await client.reader.response();
  assert(answer === undefined || answer.status === 200);
  await cless.idle();
});

const TIMEOUT_MS = 10_000;

/** A client whose connection ends when the test says so. It counts how often its address is read. */
function newClient(port: number) {
  const completed = Promise.withResolvers<void>();
  completed.promise.catch(() => {});
  const client = {
    looks: 0,
    service: "app",
    clientTimeoutMs: TIMEOUT_MS,
    appEnded: () => {},
    leave: completed.resolve,
    breakOff: () => completed.reject(new Error("broken off")),
    info: {
      completed: completed.promise,
      get remoteAddr() {
        client.looks++;
        return { transport: "tcp" as const, hostname: "10.0.0.1", port };
      },
    },
  };
  return client;
}

/** An answer that waits for its client, unless the test says otherwise. */
class FakeAnswer implements WatchedAnswer {
  moves = 0;
  waits = true;
  isUploadStopped = false;
  slowed = 0;
  cuts = 0;

  waitsForClient(): boolean {
    return this.waits;
  }

  slowDown(): void {
    this.slowed++;
  }

  uploadStopped(): boolean {
    return this.isUploadStopped;
  }

  cut(): Promise<void> {
    this.cuts++;
    return Promise.resolve();
  }
}

/** Slow clients whose kernel says what the test says, at once or when the test says so. */
function newClients() {
  const clock = new FakeClock();
  const queues = new Map<string, number>();
  const kernel = { looks: 0, answered: Promise.resolve(), isSilent: false };
  const destroyed: number[][] = [];
  const sockets = {
    async queues() {
      kernel.looks++;
      await kernel.answered;
      return kernel.isSilent ? undefined : queues;
    },
    destroy(peers: readonly Peer[]) {
      destroyed.push(peers.map(({ port }) => port));
      return Promise.resolve();
    },
  };
  const counted: string[] = [];
  const order: string[] = [];
  const metrics = {
    clientStopped: (service: string | undefined, what: string) => {
      counted.push(`${service} ${what}`);
      order.push("counted");
    },
    stuckClients: (count: number) => void counted.push(`${count} stuck`),
  };
  const clients = new SlowClients(clock, sockets, metrics);
  /** Watches an answer to a client, until it is cut. */
  const watch = (port: number) => {
    const client = newClient(port);
    const answer = new FakeAnswer();
    const unwatch = clients.watch(client, answer);
    const cut = () => {
      unwatch();
      order.push("cut");
      return FakeAnswer.prototype.cut.call(answer);
    };
    return { client, answer: Object.assign(answer, { cut }), unwatch };
  };
  return { clock, queues, kernel, destroyed, counted, order, clients, watch };
}

Deno.test("an answer that waits for its client for the whole timeout is cut, and the client's connection closed", async () => {
  const { clients, clock, counted, destroyed, order, watch } = newClients();
  const { answer, client } = watch(1);
  await clock.advance(TIMEOUT_MS - 1);
  assertEquals([answer.cuts, answer.slowed, counted], [0, 9, []]);
  await clock.advance(1);
  assertEquals([answer.cuts, counted, destroyed], [1, ["app answer", "1 stuck"], [[1]]]);
  assertEquals(order, ["cut", "counted"]); // the app is left first
  client.leave();
  await clock.advance(1000);
  assertEquals([counted.at(-1), clock.timers], ["0 stuck", 0]);
  clients[Symbol.dispose]();
});

Deno.test("each movement, and each time that the app has to act, gives a client its whole timeout again", async () => {
  for (const begin of ["a piece", "the app"] as const) {
    const { clients, clock, watch } = newClients();
    const { answer } = watch(1);
    for (let turn = 0; turn < 3; turn++) {
      await clock.advance(TIMEOUT_MS - 1000);
      if (begin === "a piece") answer.moves++;
      else answer.waits = false;
      await clock.advance(1000);
      answer.waits = true;
    }
    await clock.advance(TIMEOUT_MS - 1000);
    assertEquals(answer.cuts, 0, begin);
    await clock.advance(1000);
    assertEquals(answer.cuts, 1, begin);
    clients[Symbol.dispose]();
  }
});

Deno.test("an answer whose upload has stopped is cut once nothing else has moved for the timeout either", async () => {
  const { clients, clock, watch } = newClients();
  const { answer } = watch(1);
  answer.waits = false;
  await clock.advance(3 * TIMEOUT_MS);
  assertEquals(answer.cuts, 0);
  answer.moves++;
  answer.isUploadStopped = true;
  await clock.advance(TIMEOUT_MS);
  assertEquals(answer.cuts, 0);
  await clock.advance(1000);
  assertEquals([answer.cuts, answer.slowed], [1, 0]);
  clients[Symbol.dispose]();
});

Deno.test("a client keeps its answer while the kernel's queue moves, but not for more than ten timeouts", async () => {
  const { clients, clock, queues, watch } = newClients();
  const { answer } = watch(1);
  let passedMs = 0;
  for (; answer.cuts === 0 && passedMs < 20 * TIMEOUT_MS; passedMs += 1000) {
    queues.set("10.0.0.1 1", 1e9 - Math.floor(passedMs / 8000)); // not at every look
    await clock.advance(1000);
  }
  assert(passedMs > 10 * TIMEOUT_MS && passedMs <= 12 * TIMEOUT_MS, `${passedMs} ms`);
  clients[Symbol.dispose]();
});

Deno.test("what the kernel had queued before a piece moved does not count as movement after it", async () => {
  const { clients, clock, queues, watch } = newClients();
  const { answer } = watch(1);
  queues.set("10.0.0.1 1", 500);
  await clock.advance(TIMEOUT_MS - 1000);
  answer.moves++;
  queues.set("10.0.0.1 1", 900); // the piece
  await clock.advance(1000);
  await clock.advance(TIMEOUT_MS);
  assertEquals(answer.cuts, 1);
  clients[Symbol.dispose]();
});

Deno.test("the kernel is asked only from half a timeout on, every two seconds, and not while it has not answered", async () => {
  const { clients, clock, kernel, watch } = newClients();
  const { unwatch } = watch(1);
  await clock.advance(4999);
  assertEquals(kernel.looks, 0);
  await clock.advance(1);
  assertEquals(kernel.looks, 1);
  await clock.advance(1999);
  assertEquals(kernel.looks, 1);
  const answered = Promise.withResolvers<void>();
  kernel.answered = answered.promise;
  await clock.advance(2001);
  assertEquals(kernel.looks, 2);
  answered.resolve();
  kernel.isSilent = true;
  await clock.advance(1000);
  unwatch();
  watch(2);
  await clock.advance(5000);
  assertEquals(kernel.looks, 3); // also after it could not tell
  clients[Symbol.dispose]();
});

Deno.test("a second client in doubt does not ask the kernel while the first one's question is open", async () => {
  const { clients, clock, kernel, watch } = newClients();
  const answered = Promise.withResolvers<void>();
  kernel.answered = answered.promise;
  watch(1);
  await clock.advance(3000);
  watch(2);
  await clock.advance(6000);
  assertEquals(kernel.looks, 1);
  answered.resolve();
  await clock.advance(1000);
  assertEquals(kernel.looks, 2);
  clients[Symbol.dispose]();
});

Deno.test("the kernel's answer counts for those that were in doubt, and for nobody that is done or moves again", async () => {
  const { clients, clock, kernel, watch } = newClients();
  const answered = Promise.withResolvers<void>();
  kernel.answered = answered.promise;
  const [done, moving] = [watch(1), watch(2)];
  await clock.advance(5000);
  done.unwatch();
  moving.answer.moves++;
  answered.resolve();
  await settle();
  assertEquals([done.client.looks, moving.client.looks], [0, 1]);
  const other = watch(3);
  await clock.advance(4000);
  moving.answer.moves++;
  await clock.advance(1000);
  assertEquals([kernel.looks, moving.client.looks, other.client.looks], [2, 1, 1]);
  clients[Symbol.dispose]();
});

Deno.test("clients that stop at the same time are disconnected together, and later ones too", async () => {
  const { clients, clock, destroyed } = newClients();
  for (const ports of [[1, 2], [3, 4]]) {
    for (const port of ports) clients.stopped(newClient(port), "websocket");
    await clock.advance(0);
  }
  assertEquals(destroyed, [[1, 2], [3, 4]]);
});

Deno.test("a client that stopped its upload is disconnected a second after it was answered, unless it has left", async () => {
  const { clients, clock, counted, destroyed } = newClients();
  const [stays, leaves] = [newClient(1), newClient(2)];
  clients.stopped(stays, "upload");
  clients.stopped(leaves, "upload");
  await clock.advance(5000);
  assertEquals(destroyed, []);
  stays.leave(); // its answer has gone out
  leaves.breakOff();
  await clock.advance(999);
  assertEquals(destroyed, []);
  await clock.advance(1);
  assertEquals([destroyed, counted], [[[1]], ["app upload", "app upload"]]);
});

Deno.test("stuck clients are counted until their connections end, however those end", async () => {
  const { clients, counted } = newClients();
  const [one, two] = [newClient(1), newClient(2)];
  clients.stopped(one, "answer");
  clients.stopped(two, "websocket");
  one.leave();
  await settle();
  two.breakOff();
  await settle();
  assertEquals(counted, ["app answer", "1 stuck", "app websocket", "2 stuck", "1 stuck", "0 stuck"]);
});
