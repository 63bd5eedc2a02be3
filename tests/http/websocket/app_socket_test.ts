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
