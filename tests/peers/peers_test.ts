import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import type { Clock } from "../../src/base/clock.ts";
import { ClessError } from "../../src/base/errors.ts";
import { makeIdentity, type PeerIdentity } from "../../src/peers/identity.ts";
import { PeerClient } from "../../src/peers/peer_client.ts";
import { PeerAway, PeerRefused } from "../../src/peers/peer_error.ts";
import type { Endpoint } from "../../src/model/host.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { freePorts } from "../support/free_ports.ts";
import { netTest, noNet } from "../support/permissions.ts";
import { until } from "../support/until.ts";
import { type PeerAnswers, TestPeer } from "./kit.ts";

const identity = await makeIdentity();
const NODE = "node-b";
const STATUS = { version: "1.2.3", instances: 4, memoryBytes: 5 };

/** A client that knows one peer. */
function clientOf(endpoint: Endpoint, own: PeerIdentity = identity, clock: Clock = systemClock): PeerClient {
  return new PeerClient(own, new Map([[NODE, endpoint]]), clock);
}

/** A test with a peer and a client of it. */
function peerTest(
  name: string,
  answers: PeerAnswers,
  fn: (client: PeerClient, peer: TestPeer) => Promise<void>,
): void {
  netTest(name, async () => {
    await using peer = new TestPeer(identity, answers);
    using client = clientOf(peer.endpoint);
    await fn(client, peer);
  });
}

/** Sends a request that no client would send, and reads the answer. */
async function raw({ hostname, port }: Endpoint, text: string): Promise<string> {
  const tcp = await Deno.connect({ hostname, port });
  using conn = await Deno.startTls(tcp, { hostname: "cless-peer", caCerts: [identity.certificate] });
  await conn.write(new TextEncoder().encode(text));
  const buffer = new Uint8Array(4096);
  const count = await conn.read(buffer) ?? 0;
  return new TextDecoder().decode(buffer.subarray(0, count));
}

function request(path: string, secret: string | undefined, body = "null", method = "POST"): string {
  const proof = secret === undefined ? "" : `authorization: Bearer ${secret}\r\n`;
  return `${method} ${path} HTTP/1.1\r\nhost: cless-peer\r\n${proof}content-length: ${body.length}\r\n\r\n${body}`;
}

peerTest("a message is answered by its handler, with what it was given", {
  handlers: {
    status: () => Promise.resolve(STATUS),
    hello: (facts) => Promise.resolve({ ...facts, version: "its" }),
  },
}, async (client) => {
  assertEquals(await client.ask(NODE, "status", null), STATUS);
  const facts = { nodeId: "ä node", address: "127.0.0.1:1", version: "mine" };
  assertEquals(await client.ask(NODE, "hello", facts), { ...facts, version: "its" });
});

peerTest("messages one after the other use one connection, and many at once are all answered", {
  handlers: { instance: (body) => Promise.resolve({ echo: body }) },
}, async (client) => {
  for (let n = 0; n < 20; n++) assertEquals(await client.ask(NODE, "instance", n), { echo: n });
  const large = "x".repeat(300_000);
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, n) => client.ask(NODE, "instance", `${n}${large}`)),
  );
  assertEquals(answers, Array.from({ length: 10 }, (_, n) => ({ echo: `${n}${large}` })));
});

netTest("a stranger with another certificate is refused, and gets no secret", async () => {
  const stranger = await makeIdentity();
  const seen: unknown[] = [];
  await using peer = new TestPeer({ ...stranger, secret: identity.secret }, {
    handlers: {
      status: () => {
        seen.push("asked");
        return Promise.resolve(STATUS);
      },
    },
  });
  using client = clientOf(peer.endpoint);
  const error = await assertRejects(() => client.ask(NODE, "status", null), PeerAway);
  assertStringIncludes(error.message, "cannot be reached: invalid peer certificate");
  await assertRejects(() => client.open(NODE, "engine-pieces", { path: "/events", kinds: {} }), PeerAway);
  assertEquals(seen, []);
});

netTest("the certificate is for the name of peers alone, and for no address", async () => {
  await using peer = new TestPeer(identity);
  const { hostname, port } = peer.endpoint;
  const tcp = await Deno.connect({ hostname, port });
  using conn = await Deno.startTls(tcp, { hostname, caCerts: [identity.certificate] });
  await assertRejects(() => conn.handshake(), Error, "not valid for name");
});

peerTest("nothing is answered without the secret, and nothing of a body is handled", {
  handlers: {
    status: () => {
      throw new Error("it was handled");
    },
  },
}, async (_client, { endpoint }) => {
  for (const secret of [undefined, "", "wrong", identity.secret.slice(1), `${identity.secret}x`]) {
    const answer = await raw(endpoint, request("/peer/status", secret));
    assertStringIncludes(answer, "HTTP/1.1 401 ");
    assert(!answer.includes(identity.secret));
  }
  assertStringIncludes(await raw(endpoint, request("/", undefined, "", "GET")), "HTTP/1.1 401 ");
});

peerTest("after ten wrong secrets an address is told to wait, and the right one is still accepted", {
  clock: new FakeClock(),
  handlers: { status: () => Promise.resolve(STATUS) },
}, async (client, { endpoint }) => {
  using other = clientOf(endpoint, { ...identity, secret: "w".repeat(43) });
  for (let n = 0; n < 10; n++) {
    await assertRejects(() => other.ask(NODE, "status", null), PeerRefused, "The secret is missing or wrong");
  }
  await assertRejects(() => other.ask(NODE, "status", null), PeerRefused, "Too many wrong secrets");
  assertEquals(await client.ask(NODE, "status", null), STATUS);
});

peerTest("strangers who connect and say nothing, or no TLS, keep nobody waiting", {
  handlers: { status: () => Promise.resolve(STATUS) },
}, async (client, { endpoint: { hostname, port } }) => {
  const strangers = await Promise.all(Array.from({ length: 50 }, () => Deno.connect({ hostname, port })));
  try {
    for (const stranger of strangers.slice(25)) {
      await stranger.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
    }
    assertEquals(await client.ask(NODE, "status", null), STATUS);
  } finally {
    for (const stranger of strangers) stranger.close();
  }
});

peerTest("a message that the peer does not know is refused with its version, and other paths are not there", {
  handlers: { status: () => Promise.resolve(STATUS) },
}, async (client, { endpoint }) => {
  const error = await assertRejects(() => client.ask(NODE, "instance", {}), PeerRefused);
  assertStringIncludes(error.message, "does not know the message instance");
  assertStringIncludes(await raw(endpoint, request("/peer/toString", identity.secret)), "HTTP/1.1 404 ");
  assertStringIncludes(await raw(endpoint, request("/peer/status", identity.secret, "", "GET")), "HTTP/1.1 404 ");
  assertStringIncludes(await raw(endpoint, request("/v1/services", identity.secret)), "HTTP/1.1 404 ");
  assertStringIncludes(await raw(endpoint, request("/peer/status", identity.secret, "{")), "HTTP/1.1 400 ");
});

peerTest("a body that is too large is refused", {
  handlers: { instance: () => Promise.resolve(null) },
}, async (client) => {
  await assertRejects(() => client.ask(NODE, "instance", "x".repeat(2 * 1024 * 1024)), PeerRefused, "at most 2 MiB");
  assertEquals(await client.ask(NODE, "instance", "x"), null);
});

peerTest("a refusal of an engine keeps its kind, for a message and for a stream", {
  handlers: { engine: () => Promise.reject(Object.assign(new Error("out of sequence"), { kind: "stale" })) },
  streams: { "engine-pieces": () => Promise.reject(Object.assign(new Error("no such thing"), { kind: "gone" })) },
}, async (client) => {
  const asking = () => client.ask(NODE, "engine", { method: "GET", path: "/nodes", kinds: {} });
  assertEquals((await assertRejects(asking, PeerRefused, "out of sequence")).kind, "stale");
  const opening = () => client.open(NODE, "engine-pieces", { path: "/events", kinds: {} });
  assertEquals((await assertRejects(opening, PeerRefused, "no such thing")).kind, "gone");
});

peerTest("the reason of a refusal is told, and the connection stays of use", {
  handlers: {
    instance: () => Promise.reject(new ClessError("conflict", "It is in use")),
    status: () => Promise.resolve(STATUS),
  },
}, async (client) => {
  await assertRejects(() => client.ask(NODE, "instance", {}), PeerRefused, "It is in use");
  assertEquals(await client.ask(NODE, "status", null), STATUS);
});

netTest("a node that is not known, and a port where nobody listens, are away at once", async () => {
  using client = clientOf({ hostname: "127.0.0.1", port: freePorts(1) });
  await assertRejects(() => client.ask("other", "status", null), PeerAway, "no cless is known on the node other");
  await assertRejects(() => client.ask(NODE, "status", null), PeerAway, "Connection refused");
});

netTest(
  "a machine that accepts and says nothing is away after a second, however long the answer may take",
  async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const clock = new FakeClock();
    using client = clientOf({ hostname: "127.0.0.1", port: listener.addr.port }, identity, clock);
    const asked = client.ask(NODE, "status", null, { timeoutMs: 600_000 });
    const error = await assertRejects(() => clock.until(asked), PeerAway);
    assertStringIncludes(error.message, "does not answer within 1 s");
    assert(clock.now() < 60_000, `${clock.now()}`);
    (await listener.accept()).close();
  },
);

netTest("a peer that works on an answer for long is heard all the time", async () => {
  const done = Promise.withResolvers<void>();
  await using peer = new TestPeer(identity, {
    handlers: { status: () => done.promise.then(() => STATUS) },
  });
  using client = clientOf(peer.endpoint);
  const asked = client.ask(NODE, "status", null, { timeoutMs: 600_000 });
  const timer = setTimeout(done.resolve, 4000); // longer than a peer may be silent
  assertEquals(await asked, STATUS);
  clearTimeout(timer);
});

netTest("a peer that falls silent in the middle of its work is away after three seconds", async () => {
  const stuck = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  await using peer = new TestPeer(identity, {
    clock: new FakeClock(), // its time stands still, and with it its signs of life
    handlers: {
      status: () => {
        begun.resolve();
        return stuck.promise.then(() => STATUS);
      },
    },
  });
  const clock = new FakeClock();
  using client = clientOf(peer.endpoint, identity, clock);
  const asked = client.ask(NODE, "status", null, { timeoutMs: 600_000 });
  asked.catch(() => {});
  await begun.promise;
  await assertRejects(() => clock.until(asked), PeerAway, "has said nothing for 3 s");
  stuck.resolve();
});

netTest("an answer that takes too long is given up, and the peer is told", async () => {
  const gone = Promise.withResolvers<void>();
  await using peer = new TestPeer(identity, {
    handlers: {
      status: (_, signal) =>
        new Promise((resolve) =>
          signal.addEventListener("abort", () => {
            gone.resolve();
            resolve(STATUS);
          })
        ),
    },
  });
  using client = clientOf(peer.endpoint);
  await assertRejects(
    () => client.ask(NODE, "status", null, { timeoutMs: 100 }),
    PeerAway,
    "does not answer status in",
  );
  await gone.promise;
});

netTest("whoever asked can break off, and gets its own reason", async () => {
  const stuck = Promise.withResolvers<void>();
  await using peer = new TestPeer(identity, { handlers: { status: () => stuck.promise.then(() => STATUS) } });
  using client = clientOf(peer.endpoint);
  const ended = new AbortController();
  const asked = client.ask(NODE, "status", null, { signal: ended.signal });
  ended.abort(new Error("not needed any more"));
  await assertRejects(() => asked, Error, "not needed any more");
  stuck.resolve();
});

netTest("a peer that was started anew is asked again over a new connection", async () => {
  const handlers = { status: () => Promise.resolve(STATUS) };
  const first = new TestPeer(identity, { handlers });
  const { port } = first.endpoint;
  using client = clientOf(first.endpoint);
  assertEquals(await client.ask(NODE, "status", null), STATUS);
  await first[Symbol.asyncDispose]();
  await using second = new TestPeer(identity, { handlers, port });
  assertEquals(second.endpoint.port, port);
  assertEquals(await client.ask(NODE, "status", null), STATUS);
});

netTest("a message to an engine is never sent twice", async () => {
  let count = 0;
  // Takes the request, and ends the connection without an answer.
  using listener = Deno.listenTls({
    hostname: "127.0.0.1",
    port: 0,
    cert: identity.certificate,
    key: identity.key,
  });
  const serving = (async () => {
    for await (const conn of listener) {
      count++;
      await conn.read(new Uint8Array(4096));
      conn.close();
    }
  })().catch(() => {});
  using client = clientOf({ hostname: "127.0.0.1", port: listener.addr.port });
  await assertRejects(
    () => client.ask(NODE, "engine", { method: "POST", path: "/services/create", kinds: {} }),
    PeerAway,
  );
  assertEquals(count, 1);
  listener.close();
  await serving;
});

netTest("a stream is passed on as it comes, until its reader or its signal ends it", async () => {
  let ended = 0;
  const controllers: ReadableStreamDefaultController<Uint8Array>[] = [];
  await using peer = new TestPeer(identity, {
    streams: {
      "engine-pieces": ({ path }) =>
        Promise.resolve(
          new ReadableStream<Uint8Array>({
            start: (controller) => {
              controllers.push(controller);
              controller.enqueue(new TextEncoder().encode(path));
            },
            cancel: () => void ended++,
          }),
        ),
    },
  });
  using client = clientOf(peer.endpoint);
  const whole = await client.open(NODE, "engine-pieces", { path: "/one", kinds: {} });
  controllers[0]!.enqueue(new TextEncoder().encode(" more"));
  controllers[0]!.close();
  assertEquals(await new Response(whole).text(), "/one more");

  const left = (await client.open(NODE, "engine-pieces", { path: "/two", kinds: {} })).getReader();
  assertEquals(new TextDecoder().decode((await left.read()).value), "/two");
  await left.cancel();
  await until(() => ended === 1);

  const signal = new AbortController();
  const cut = (await client.open(NODE, "engine-pieces", { path: "/three", kinds: {} }, signal.signal)).getReader();
  await cut.read();
  const next = cut.read();
  signal.abort();
  await assertRejects(() => next);
  await until(() => ended === 2);
});

Deno.test({
  name: "a stream that the peer refuses says why",
  ignore: noNet,
  fn: async () => {
    await using peer = new TestPeer(identity, {
      streams: { "engine-pieces": () => Promise.reject(new ClessError("forbidden", "Not that path")) },
    });
    using client = clientOf(peer.endpoint);
    const opening = () => client.open(NODE, "engine-pieces", { path: "/x", kinds: {} });
    await assertRejects(opening, PeerRefused, "Not that path");
  },
});
