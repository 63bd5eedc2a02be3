import { assertEquals } from "@std/assert";
import { Harness } from "../support/harness.ts";
import { Origin } from "../support/origin.ts";
import { netTest } from "../support/permissions.ts";
import { requestText } from "../support/raw_client.ts";

for (const [lines, status] of [[1024, 200], [1025, 502]] as const) {
  netTest(
    `exact: an answer with ${lines} header lines is a ${status}: each more would hold up all others longer`,
    async () => {
      const own = Array.from({ length: lines - 1 }, (_, n) => `x-${n}: 1\r\n`).join("");
      await using app = Origin.answering(`HTTP/1.1 200 OK\r\n${own}content-length: 2\r\n\r\nok`);
      await using cless = await Harness.warm({ forward: "exact", origin: app });
      assertEquals((await cless.ask(requestText())).status, status);
    },
  );
}
