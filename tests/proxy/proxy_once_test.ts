import { assertEquals } from "@std/assert";
import { forwardTest } from "../support/forwarders.ts";
import { Harness } from "../support/harness.ts";
import { Origin } from "../support/origin.ts";
import { requestText } from "../support/raw_client.ts";

for (const method of ["POST", "PATCH", "PURGE"]) {
  forwardTest(
    `a ${method} without a body is delivered once, even if a reused connection breaks`,
    async (forward) => {
      const asked: string[] = [];
      await using app = Origin.serving(async (connection) => {
        for (let head = await connection.reader.head(); head !== undefined; head = await connection.reader.head()) {
          const line = head.startLine;
          asked.push(line);
          if (!line.startsWith("GET")) return;
          await connection.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
      });
      await using cless = await Harness.warm({ forward, origin: app });
      assertEquals((await cless.ask(requestText("GET /"))).status, 200);
      assertEquals((await cless.ask(requestText(`${method} /`))).status, 502);
      assertEquals(asked.filter((line) => !line.startsWith("GET")).length, 1);
      await cless.idle();
    },
  );
}
