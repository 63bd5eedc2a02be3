import { assertEquals } from "@std/assert";
import type { Switched } from "../../../src/http/exact/exchange.ts";
import { AppSocket } from "../../../src/http/websocket/app_socket.ts";
import { settle } from "../../support/fake_clock.ts";

/** An empty close frame, as a server sends it. */
const CLOSE = new Uint8Array([0x88, 0]);

Deno.test("the connection of an app that closes is closed once everything before has been sent, and not later", async () => {
  const taken = Promise.withResolvers<void>();
  const opcodes: number[] = [];
  let closed = 0;
  const connection = {
    read: () => Promise.resolve(0),
    write: async (frame: Uint8Array) => {
      await taken.promise;
      opcodes.push(frame[0]! & 15);
    },
  };
  const app = new AppSocket({ connection, begun: CLOSE, close: () => void closed++ } as unknown as Switched);
  app.send("the app is slow to take this");
  const codes: number[] = [];
  await app.listen({ message: () => {}, close: (code) => void codes.push(code) });
  assertEquals([codes, opcodes, closed], [[1005], [], 0]);
  taken.resolve();
  await settle();
  assertEquals([opcodes, closed], [[1, 8], 1]);
});

/** A connection to an app that has sent these bytes and ended, and takes everything. */
function endedApp(begun: Uint8Array) {
  const opcodes: number[] = [];
  let closed = 0;
  const write = (frame: Uint8Array) => Promise.resolve(void opcodes.push(frame[0]! & 15));
  const connection = { read: () => Promise.resolve(0), write };
  const app = new AppSocket({ connection, begun, close: () => void closed++ } as unknown as Switched);
  return { app, opcodes, closed: () => closed };
}

Deno.test("the connection of an app that ends without a close is closed at once", async () => {
  const { app, opcodes, closed } = endedApp(new Uint8Array());
  const codes: number[] = [];
  await app.listen({ message: () => {}, close: (code) => void codes.push(code) });
  assertEquals([codes, opcodes, closed()], [[1006], [], 1]);
});

Deno.test("messages that come before a violation of the protocol are passed on before the end", async () => {
  const invalid = new Uint8Array([0x81, 1, 0x61, 0x82, 1, 7, 0x85, 0]);
  const { app, opcodes, closed } = endedApp(invalid);
  const got: unknown[] = [];
  await app.listen({ message: (data) => void got.push(data), close: (code) => void got.push(code) });
  await settle();
  assertEquals([got, opcodes, closed() > 0], [["a", new Uint8Array([7]), 1006], [8], true]);
});
