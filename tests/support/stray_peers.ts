// A program for the tests: an app and its clients, in one event loop, which is not that of cless. In each round every client
// asks, then the app does something to the connections that cless has kept, and at once the clients ask again. The program
// prints the app's port; when it is asked there for /run/HABIT/CLIENTS/REQUESTS/PORT, it does so with the cless at that
// port, and what came to the clients is the answer.
import type { HttpMessage } from "./http_message.ts";
import { Origin, type OriginConnection } from "./origin.ts";
import { RawClient, requestText } from "./raw_client.ts";

/** What the app does to a connection between two rounds: sends an answer that nobody has asked for, or closes it. */
export type Habit = "stray" | "close";

/** How often each came to a client: the answer to its request, that to another, and an error of cless. */
export interface Outcome {
  own: number;
  stray: number;
  error: number;
}

/** How long it takes from what the app does to the next requests, ms: less than a timer can wait. */
const GAP_MS = 0.3;

/** The connections that have carried an answer in this round, and the end of each. */
const used = new Map<OriginConnection, Promise<void>>();

async function serve(connection: OriginConnection): Promise<void> {
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  for (let request; (request = await connection.reader.request()) !== undefined;) {
    const [what, habit, ...numbers] = request.target.slice(1).split("/");
    if (what === "run") {
      const [clients, requests, port] = numbers.map(Number) as [number, number, number];
      const outcome = JSON.stringify(await run(habit as Habit, clients, requests, port));
      await connection.send(`HTTP/1.1 200 OK\r\ncontent-length: ${outcome.length}\r\n\r\n${outcome}`);
    } else {
      used.set(connection, ended);
      await connection.send(answerTo(what!));
    }
  }
  end();
}

function answerTo(token: string): string {
  return `HTTP/1.1 200 OK\r\nx-token: ${token}\r\ncontent-length: 2\r\n\r\nok`;
}

async function run(habit: Habit, count: number, requests: number, port: number): Promise<Outcome> {
  const outcome = { own: 0, stray: 0, error: 0 };
  const clients = await Promise.all(Array.from({ length: count }, () => RawClient.connect(port)));
  const method = habit === "close" ? "POST" : "GET";
  for (let sent = 0; sent < requests; sent += count) {
    await Promise.all(clients.map(async (client, n) => {
      const token = `${sent + n}`;
      outcome[judge(await client.ask(requestText(`${method} /${token}`)), token)]++;
    }));
    for (const [connection, ended] of used) {
      if (habit === "stray") {
        await connection.send(answerTo("stray"));
      } else {
        connection.close();
        await ended; // before that the platform has not closed it
      }
    }
    used.clear();
    for (const end = performance.now() + GAP_MS; performance.now() < end;);
  }
  for (const client of clients) client[Symbol.dispose]();
  return outcome;
}

function judge(answer: HttpMessage, token: string): keyof Outcome {
  if (answer.status !== 200) return "error";
  return answer.one("x-token") === token ? "own" : "stray";
}

if (import.meta.main) {
  await using app = Origin.serving(serve);
  console.log(new URL(app.url).port);
  for await (const _ of Deno.stdin.readable);
}
