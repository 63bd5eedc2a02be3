// A program for the tests: an app and a client of it, in one event loop, which is not that of cless. The client asks, and
// as soon as it has its answer the app does something to the connection that cless has kept, and the client asks on. The
// program prints the app's port; when it is asked there for /run/HABIT/PORT, the client asks cless at PORT for a while, and
// what came to it is the answer.
import type { HttpMessage } from "./http_message.ts";
import { Origin, type OriginConnection } from "./origin.ts";
import { RawClient, requestText } from "./raw_client.ts";

/** What the app does behind an answer that has reached its client: sends another one, or closes the connection. */
export type Habit = "stray" | "close";

/** How often each came to the client: the answer to its request, that to another, and an error of cless. */
export interface Outcome {
  own: number;
  stray: number;
  error: number;
}

/** For how long the client asks, ms. */
const LONG_MS = 1500;
/** How long it takes from the app's habit to the next request, ms; timers are too coarse for that. */
const GAP_MS = 0.3;

let answered = Promise.withResolvers<void>();
let done = Promise.withResolvers<void>();

async function serve(connection: OriginConnection): Promise<void> {
  for (let request; (request = await connection.reader.request()) !== undefined;) {
    const [, what, rest] = request.target.split("/");
    if (what === "run") {
      const outcome = JSON.stringify(await run(...request.target.split("/").slice(2) as [Habit, string]));
      await connection.send(`HTTP/1.1 200 OK\r\ncontent-length: ${outcome.length}\r\n\r\n${outcome}`);
      continue;
    }
    await connection.send(answerTo(rest!));
    await answered.promise;
    if (what === "close") connection.close();
    else await connection.send(answerTo("stray"));
    done.resolve();
  }
}

const answerTo = (token: string) => `HTTP/1.1 200 OK\r\nx-token: ${token}\r\ncontent-length: 2\r\n\r\nok`;

async function run(habit: string, port: string): Promise<Outcome> {
  const outcome = { own: 0, stray: 0, error: 0 };
  using client = await RawClient.connect(Number(port));
  const line = habit === "close" ? "POST" : "GET";
  for (let turn = 0, end = performance.now() + LONG_MS; performance.now() < end; turn++) {
    answered = Promise.withResolvers<void>();
    done = Promise.withResolvers<void>();
    const answer = await client.ask(requestText(`${line} /${habit}/${turn}`));
    const j = judge(answer, turn);
    outcome[j]++;
    if (j !== "own") continue;
    answered.resolve();
    await done.promise;
    for (const next = performance.now() + GAP_MS; performance.now() < next;);
  }
  return outcome;
}

function judge(answer: HttpMessage, turn: number): keyof Outcome {
  if (answer.status !== 200) return "error";
  return answer.one("x-token") === `${turn}` ? "own" : "stray";
}

if (import.meta.main) {
  await using app = Origin.serving(serve);
  console.log(new URL(app.url).port);
  for await (const _ of Deno.stdin.readable);
}
