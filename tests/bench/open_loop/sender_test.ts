import { assert, assertEquals, assertMatch } from "@std/assert";
import { GoSender } from "../support/go_sender.ts";
import { TOOLS, versionOf } from "../support/tool.ts";
import { noNet, noRead, noRun, noWrite } from "../../support/permissions.ts";
import { SENDER, sendWhenDue, type Sent } from "./sender.ts";

const ignore = noNet || noRead || noRun || noWrite || await versionOf(TOOLS.go) === undefined;
const HOSTS = ["one.localhost", "two.localhost"];
const RIGHT = "hello, bench";

/** Has the sender send for half a second to a server with that handler. */
async function sendTo(handler: (request: Request) => Response | Promise<Response>): Promise<Sent> {
  const folder = await Deno.makeTempDir();
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler);
  try {
    const { signal } = new AbortController();
    const sender = await GoSender.build(SENDER, folder, signal);
    const options = { hosts: HOSTS, warmUpSeconds: 0, seconds: 0.5, seed: 1 };
    return await sendWhenDue(sender, `http://127.0.0.1:${server.addr.port}/`, options, signal);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test({
  name: "the open loop's sender goes on sending while nothing is answered, and counts how long that was",
  ignore,
  fn: async () => {
    const held: ((response: Response) => void)[] = [];
    let [first, released] = [NaN, NaN];
    const { failures, lateMicros, micros } = await sendTo(() => {
      if (!Number.isNaN(released)) return new Response(RIGHT);
      if (held.length === 0) first = performance.now();
      const { promise, resolve } = Promise.withResolvers<Response>();
      // Whoever waited for an answer first would wait for ever.
      if (held.push(resolve) === 100) {
        released = performance.now();
        for (const answer of held) answer(new Response(RIGHT));
      }
      return promise;
    });
    assertEquals(failures, 0);
    assertEquals(lateMicros.length, micros.length);
    // It was due before any came, and answered after all were.
    assert(micros[0]! >= Math.floor((released - first) * 1000));
  },
});

Deno.test({
  name: "the open loop's sender asks for each of the hosts, and counts every answer that is not the app's",
  ignore,
  fn: async () => {
    const asked = new Set<string | null>();
    let count = 0;
    const { failure, failures, lateMicros, micros } = await sendTo(({ headers }) => {
      asked.add(headers.get("host"));
      count++;
      return count === 10
        ? new Response("no")
        : count === 20
        ? new Response(RIGHT, { status: 500 })
        : new Response(RIGHT);
    });
    assertEquals([...asked].sort(), HOSTS);
    assertEquals(failures, 2);
    assertMatch(failure, /^wrong answer: status (200, "no"|500, "hello, bench")$/);
    assertEquals(lateMicros.length, count);
    assertEquals(micros.length, count - 2);
  },
});
