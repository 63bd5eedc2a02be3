import { assertEquals, assertRejects } from "@std/assert";
import { OperatorError } from "../../src/base/errors.ts";
import { Client } from "../../src/cli/client.ts";
import { Progress } from "../../src/cli/progress.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { freePorts } from "../support/free_ports.ts";
import { netTest } from "../support/permissions.ts";

const SCREEN = { line: () => {}, live: () => {}, clear: () => {} };

function clientOf(port: number): Client {
  return new Client({ server: `http://127.0.0.1:${port}`, token: () => Promise.resolve({ text: "secret" }) });
}

netTest("a deploy does not wait for events that a proxy holds back", async () => {
  const clock = new FakeClock();
  const asked = Promise.withResolvers<void>();
  const over = Promise.withResolvers<Response>();
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    asked.resolve();
    return over.promise;
  });
  using client = clientOf(server.addr.port);
  const starting = Progress.start(client, "web", SCREEN, clock);
  await asked.promise;
  await clock.advance(2000);
  {
    await using _ = await starting;
  }
  over.resolve(new Response("too late"));
});

netTest("an API that does not answer is reported at once", async () => {
  const port = freePorts(1);
  using client = clientOf(port);
  const { message } = await assertRejects(() => Progress.start(client, "web", SCREEN), OperatorError);
  assertEquals(message.includes("does not answer"), true);
});
