import { assertEquals, assertRejects } from "@std/assert";
import { OperatorError } from "../../src/base/errors.ts";
import { Client } from "../../src/cli/client.ts";
import { Progress } from "../../src/cli/progress.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { freePorts } from "../support/free_ports.ts";
import { netTest } from "../support/permissions.ts";
import { apiTest, events } from "./fake_api.ts";

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

apiTest("the progress of a pull is gone from the screen when the deploy is over, however it ends", {
  "GET /v1/events": events(["revision.pulling", { image: "web:1", done: 1, total: 3 }]),
}, async (api) => {
  const shown: string[] = [];
  const seen = Promise.withResolvers<void>();
  const screen = {
    line: (text: string) => void shown.push(text),
    live: (text: string) => (shown.push(text), seen.resolve()),
    clear: () => void shown.push("clear"),
  };
  using client = new Client({ server: api.url, token: () => Promise.resolve({ text: "secret" }) });
  {
    await using _ = await Progress.start(client, "web", screen);
    await seen.promise;
  }
  assertEquals(shown, ["pulling web:1", "  1 of 3 layers", "clear"]);
});
