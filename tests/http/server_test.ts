import { FileReserve } from "../../src/base/file_reserve.ts";
import { type Handler, ListenError, Server } from "../../src/http/server.ts";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import { netTest } from "../support/permissions.ts";
import { RawClient, requestText } from "../support/raw_client.ts";

function newServer(handler: Handler = () => new Response("ok"), port = 0, hostname = "127.0.0.1"): Server {
  return new Server({ hostname, port }, handler, systemClock, new FileReserve(systemClock, 32));
}

async function ask(port: number, hostname?: string) {
  using client = await RawClient.connect(port, hostname);
  return await client.ask(requestText());
}

netTest("a server on port 0 knows its actual port, and serves there", async () => {
  const server = newServer();
  server.listen();
  const { hostname, port } = server.endpoint;
  assertEquals(hostname, "127.0.0.1");
  assert(port > 0);
  assertEquals((await ask(port)).text, "ok");
  await server.shutdown();
});

netTest("a server listens on an IPv6 address", async () => {
  const server = newServer(undefined, 0, "::1");
  server.listen();
  assertEquals((await ask(server.endpoint.port, "::1")).text, "ok");
  await server.shutdown();
});

netTest("a handler gets the address of the client", async () => {
  const server = newServer((_, info) => new Response(info.remoteAddr.hostname));
  server.listen();
  assertEquals((await ask(server.endpoint.port)).text, "127.0.0.1");
  await server.shutdown();
});

netTest("the error for a port in use has the address and the reason", async () => {
  const first = newServer();
  first.listen();
  const { port } = first.endpoint;
  const error = assertThrows(() => newServer(undefined, port).listen(), ListenError);
  assertEquals(error.message, `cannot listen on 127.0.0.1:${port}: the address is in use`);
  assertEquals(error.endpoint, { hostname: "127.0.0.1", port });
  await first.shutdown();
});

netTest("the error for an address of another machine has a reason", () => {
  const error = assertThrows(() => newServer(undefined, 0, "192.0.2.1").listen(), ListenError);
  assert(error.message.startsWith("cannot listen on 192.0.2.1:0: "));
  return Promise.resolve();
});

netTest("a handler that throws causes a 500 without details, and the next request is served", async () => {
  const server = newServer((request) => {
    if (request.url.endsWith("/sync")) throw new Error("secret");
    if (request.url.endsWith("/async")) return Promise.reject(new Error("secret"));
    return new Response("ok");
  });
  server.listen();
  using client = await RawClient.connect(server.endpoint.port);
  for (const path of ["/sync", "/async"]) {
    const answer = await client.ask(requestText(`GET ${path}`));
    assertEquals([answer.status, answer.one("cless-error")], [500, "internal"]);
    assert(!answer.text.includes("secret"), answer.text);
  }
  assertEquals((await client.ask(requestText())).text, "ok");
  client[Symbol.dispose]();
  await server.shutdown();
});

netTest("a shutdown waits for the requests in flight, and accepts no new connections", async () => {
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<Response>();
  const server = newServer(() => {
    asked.resolve();
    return answer.promise;
  });
  server.listen();
  const { port } = server.endpoint;
  using client = await RawClient.connect(port);
  const answered = client.ask(requestText());
  await asked.promise;
  let down = false;
  const shutdown = server.shutdown().then(() => void (down = true));
  while (await RawClient.connect(port).then((late) => late[Symbol.dispose](), () => "refused") !== "refused");
  assertEquals(down, false);
  answer.resolve(new Response("ok"));
  assertEquals((await answered).text, "ok");
  await shutdown;
});

netTest("a shutdown does not wait for idle connections", async () => {
  const server = newServer();
  server.listen();
  using silent = await RawClient.connect(server.endpoint.port);
  using idle = await RawClient.connect(server.endpoint.port);
  await idle.ask(requestText());
  await server.shutdown();
  assertEquals((await idle.reader.some()).length, 0);
  assertEquals((await silent.reader.some()).length, 0);
});
