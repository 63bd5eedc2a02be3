import { assertEquals } from "@std/assert";
import { FakeClock } from "../support/fake_clock.ts";
import { Harness } from "../support/harness.ts";
import { Origin } from "../support/origin.ts";
import { netTest } from "../support/permissions.ts";
import { until } from "../support/until.ts";
import { askFor } from "../support/websocket_pair.ts";
import { acceptance } from "../support/websocket_peer.ts";

netTest("an app that refuses a WebSocket keeps no connection, since no other request would use it", async () => {
  let open = 0;
  await using app = Origin.serving(async (connection) => {
    open++;
    await connection.reader.head();
    await connection.send("HTTP/1.1 403 x\r\ncontent-length: 2\r\n\r\nno");
    await connection.ended();
    open--;
  });
  // Its clock stands still: connections that wait for use would wait for ever.
  await using cless = await Harness.warm({ origin: app, clock: new FakeClock() });
  for (let turn = 0; turn < 20; turn++) {
    using client = await askFor(cless);
    assertEquals((await client.answer()).status, 403);
  }
  await until(() => open === 0);
  assertEquals(app.connections, 20);
});

netTest("an app that agrees to a WebSocket with a header that HTTP does not know is a 502", async () => {
  await using app = Origin.serving(async (connection) => {
    const request = await connection.reader.head();
    await connection.send(await acceptance(request?.one("sec-websocket-key") ?? "", ["x y: 1"]));
    await connection.ended();
  });
  await using cless = await Harness.warm({ origin: app });
  using client = await askFor(cless);
  const answer = await client.answer();
  assertEquals([answer.status, answer.one("cless-error")], [502, "upstream_failed"]);
  await cless.idle();
});
