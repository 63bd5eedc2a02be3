import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { MAX_PIECE_BYTES, WINDOW_BYTES } from "../../../src/control/exec/messages.ts";
import { ReceiveWindow, SendWindow } from "../../../src/control/exec/window.ts";
import { settle } from "../../support/fake_clock.ts";

Deno.test("a sender stops when the window is full, and goes on when the receiver has taken enough", async () => {
  const window = new SendWindow();
  for (let sent = 0; sent < WINDOW_BYTES; sent += MAX_PIECE_BYTES) assert(await window.take(MAX_PIECE_BYTES));
  let isThrough = false;
  const taking = window.take(100).then(() => isThrough = true);
  await settle();
  window.give(99);
  await settle();
  assertEquals(isThrough, false);
  window.give(1);
  await taking;
});

Deno.test("a sender that waits is let go when the window is closed", async () => {
  const window = new SendWindow();
  await window.take(WINDOW_BYTES);
  const waiting = window.take(1);
  window.close();
  assertEquals([await waiting, await window.take(1)], [false, false]);
});

Deno.test("a receiver that is told of more than it has taken gives no more room than the window has", async () => {
  const window = new SendWindow();
  window.give(10 * WINDOW_BYTES);
  await window.take(WINDOW_BYTES);
  let isThrough = false;
  const waiting = window.take(1).then(() => isThrough = true);
  await settle();
  assertEquals(isThrough, false);
  window.close();
  await waiting;
});

Deno.test("a receiver notices a sender that sends more than it may", () => {
  const window = new ReceiveWindow();
  assert(window.arrived(WINDOW_BYTES));
  assert(!window.arrived(1));
});

Deno.test("pieces of any size pass, never more than the window at once, however slowly they are taken", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: MAX_PIECE_BYTES }), { minLength: 40, maxLength: 80 }),
      async (sizes) => {
        const [sender, receiver] = [new SendWindow(), new ReceiveWindow()];
        const queue: number[] = [];
        let isOver = false;
        const sending = (async () => {
          for (const size of sizes) {
            assert(await sender.take(size));
            assert(receiver.arrived(size));
            queue.push(size);
          }
          isOver = true;
        })();
        let taken = 0;
        while (!isOver || queue.length > 0) {
          await settle();
          const size = queue.shift();
          if (size === undefined) continue;
          taken += size;
          const report = receiver.took(size);
          if (report > 0) sender.give(report);
        }
        await sending;
        assertEquals(taken, sizes.reduce((sum, size) => sum + size, 0));
      },
    ),
    { numRuns: 20 },
  );
});
