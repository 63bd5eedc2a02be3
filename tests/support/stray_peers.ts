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
/** How long it takes from what the app does to the next request, ms: less than a timer can wait. */
const GAP_MS = 0.3;

/** One request of the client's. */
class Turn {
  /** The client has its answer. */
  readonly answered = Promise.withResolvers<void>();
  /** The app has done what it does. */
  readonly done = Promise.withResolvers<void>();
}

const turns: Turn[] = [];

async function serve(connection: OriginConnection): Promise<void> {
  for (let request; (request = await connection.reader.request()) !== undefined;) {
    const [what, habit, number] = request.target.slice(1).split("/") as ["run" | "turn", Habit, string];
    if (what === "run") {
      const outcome = JSON.stringify(await run(habit, Number(number)));
      await connection.send(`HTTP/1.1 200 OK\r\ncontent-length: ${outcome.length}\r\n\r\n${outcome}`);
      continue;
    }
    await connection.send(answerTo(number));
    const { answered, done } = turns[Number(number)]!;
    await answered.promise;
    if (habit === "close") connection.close();
    else await connection.send(answerTo("stray"));
    done.resolve();
  }
}

function answerTo(token: string): string {
  return `HTTP/1.1 200 OK\r\nx-token: ${token}\r\ncontent-length: 2\r\n\r\nok`;
}

async function run(habit: Habit, port: number): Promise<Outcome> {
  const outcome = { own: 0, stray: 0, error: 0 };
  using client = await RawClient.connect(port);
  const method = habit === "close" ? "POST" : "GET";
  for (const end = performance.now() + LONG_MS; performance.now() < end;) {
    const turn = new Turn();
    const number = turns.push(turn) - 1;
    const what = judge(await client.ask(requestText(`${method} /turn/${habit}/${number}`)), number);
    outcome[what]++;
    turn.answered.resolve();
    if (what === "own") await turn.done.promise; // else the app may not have had the request
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
