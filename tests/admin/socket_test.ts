import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import { FileReserve } from "../../src/base/file_reserve.ts";
import { Server } from "../../src/http/server.ts";
import { netTest } from "../support/permissions.ts";
import { RawClient } from "../support/raw_client.ts";
import { until } from "../support/until.ts";
import { type Admin, foundService, newAdmin, OWNER } from "./kit.ts";

/** Serves an API on a port of this machine. */
async function withServer(admin: Admin, use: (port: number) => Promise<void>): Promise<void> {
  const handle = (request: Request, { remoteAddr }: Deno.ServeHandlerInfo<Deno.NetAddr>) =>
    admin.handle(request, remoteAddr.hostname);
  const server = new Server({ hostname: "127.0.0.1", port: 0 }, handle, systemClock, new FileReserve(systemClock, 32));
  server.listen();
  try {
    await use(server.endpoint.port);
  } finally {
    await server.shutdown();
  }
}

const AUTHORIZED = [`authorization: Bearer ${OWNER}`, "content-type: application/json"];

function head(line: string, port: number, headers: readonly string[] = AUTHORIZED, host = `127.0.0.1:${port}`): string {
  return [`${line} HTTP/1.1`, `host: ${host}`, ...headers].join("\r\n") + "\r\n\r\n";
}

netTest(
  "over a socket, services are created and read, and foreign names that resolve to this address are refused",
  async () => {
    await withServer(await newAdmin(), async (port) => {
      using client = await RawClient.connect(port);
      const body = '{"image":"web"}';
      const made = await client.ask(
        head("PUT /v1/services/web", port, [...AUTHORIZED, `content-length: ${body.length}`]) + body,
      );
      assertEquals(made.status, 201);
      const read = await client.ask(head("GET /v1/services/web", port));
      assertEquals(read.status, 200);
      for (const host of ["evil.example", `evil.example:${port}`]) {
        assertEquals((await client.ask(head("GET /v1/services", port, AUTHORIZED, host))).status, 403, host);
      }
      assertEquals((await client.ask(head("GET /v1/services/a%2Fb", port))).status, 404);
      const list = await client.ask(head("GET /v1/services", port));
      const withoutBody = await client.ask(head("HEAD /v1/services", port));
      const length = String(list.body.length);
      assertEquals([withoutBody.status, withoutBody.all("content-length")], [200, [length]], "as GET has it");
    });
  },
);

netTest("a chunked body is counted while it is read", async () => {
  await withServer(await newAdmin(), async (port) => {
    using client = await RawClient.connect(port);
    await client.send(head("PUT /v1/services/web", port, [...AUTHORIZED, "transfer-encoding: chunked"]));
    const piece = "10000\r\n" + "a".repeat(0x10000) + "\r\n";
    for (let sent = 0; sent < 40 && await client.send(piece); sent++);
    assertEquals((await client.answer("PUT")).status, 413);
  });
});

netTest("a body whose Content-Length is too large is refused before it arrives", async () => {
  await withServer(await newAdmin(), async (port) => {
    using client = await RawClient.connect(port);
    const answer = await client.ask(head("PUT /v1/services/web", port, [...AUTHORIZED, "content-length: 4000000"]));
    assertEquals(answer.status, 413);
  });
});

netTest("a client that goes away ends its subscription, and one that stays gets its heartbeat", async () => {
  let signal: AbortSignal | undefined;
  const events = {
    async *subscribe(options: { readonly signal: AbortSignal }) {
      signal = options.signal;
      await new Promise<void>((resolve) => options.signal.addEventListener("abort", () => resolve()));
      yield* [];
    },
  };
  const admin = await newAdmin({ events });
  await withServer(admin, async (port) => {
    const client = await RawClient.connect(port);
    try {
      await client.send(head("GET /v1/events", port));
      await until(() => signal !== undefined);
      assert(!signal!.aborted);
      await admin.kit.clock.advance(15_000);
    } finally {
      client[Symbol.dispose]();
    }
    await until(() => signal!.aborted);
  });
});

netTest("a deploy goes on when its client goes away", async () => {
  const started = Promise.withResolvers<void>();
  const ready = Promise.withResolvers<void>();
  const tryStart = () => {
    started.resolve();
    return ready.promise;
  };
  const admin = await newAdmin({ scene: { tryStart } });
  await withServer(admin, async (port) => {
    const client = await RawClient.connect(port);
    const body = '{"image":"web"}';
    await client.send(head("PUT /v1/services/web", port, [...AUTHORIZED, `content-length: ${body.length}`]) + body);
    await started.promise;
    client[Symbol.dispose]();
    ready.resolve();
    await until(() => admin.declared.get("web") !== undefined);
  });
});

netTest("nothing is read in advance for a client that does not read its logs", async () => {
  let made = 0;
  const read = async function* (_: string, { signal }: { readonly signal: AbortSignal }) {
    while (!signal.aborted) {
      made++;
      const text = "x".repeat(10_000);
      yield { instance: "one", revision: "web-1", stream: "stdout" as const, time: undefined, text };
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  };
  const admin = await newAdmin({ logs: { read } });
  admin.found.push(foundService("web"));
  await withServer(admin, async (port) => {
    const client = await RawClient.connect(port);
    try {
      await client.send(head("GET /v1/services/web/logs?follow=true", port));
      let before = -1;
      await until(() => made > 0);
      while (before !== made) { // until the socket's buffers are full
        before = made;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      assert(made < 5000, String(made));
    } finally {
      client[Symbol.dispose]();
    }
  });
});
