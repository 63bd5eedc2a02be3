// A program for the tests: an app that does something more behind each answer, and a client that asks on at once, in one
// event loop, which is not that of cless. It prints the app's port. Asked by that for /run/HABIT/PORT, the client asks
// cless at PORT for a while, and what came to it is the answer.
import { assertEquals } from "@std/assert";
import type { HttpMessage } from "./http_message.ts";
import { Origin, type OriginConnection } from "./origin.ts";
import { RawClient, requestText } from "./raw_client.ts";

/** For how long the client asks, ms. */
const LONG_MS = 1500;
/** How long it waits from one answer to its next request, ms. */
const GAP_MS = 0.5;

/** What came to the client. */
export interface Outcome {
  /** Its own answers. */
  own: number;
  /** Answers of a request before. */
  strays: number;
  failed: number;
}

const answerTo = (token: string) => `HTTP/1.1 200 OK\r\nx-token: ${token}\r\ncontent-length: 2\r\n\r\nok`;

async function serve(connection: OriginConnection): Promise<void> {
  for (let request; (request = await connection.reader.request()) !== undefined;) {
    const [, what, rest] = request.target.split("/");
    if (what === "run") {
      const outcome = JSON.stringify(await run(...request.target.split("/").slice(2) as [string, string]));
      await connection.send(`HTTP/1.1 200 OK\r\ncontent-length: ${outcome.length}\r\n\r\n${outcome}`);
      continue;
    }
    await connection.send(answerTo(rest!));
    if (what === "close") return;
    await connection.send(answerTo("stray"));
  }
}

async function run(habit: string, port: string): Promise<Outcome> {
  const outcome = { own: 0, strays: 0, failed: 0 };
  using client = await RawClient.connect(Number(port));
  const line = habit === "close" ? "POST" : "GET";
  for (let turn = 0, end = performance.now() + LONG_MS; performance.now() < end; turn++) {
    const answer = await client.ask(requestText(`${line} /${habit}/${turn}`));
    outcome[judge(answer, turn)]++;
    for (const next = performance.now() + GAP_MS; performance.now() < next;) await nextTurn();
  }
  return outcome;
}

function judge(answer: HttpMessage, turn: number): keyof Outcome {
  if (answer.status === 502) return "failed";
  assertEquals(answer.status, 200);
  return answer.one("x-token") === `${turn}` ? "own" : "strays";
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

if (import.meta.main) {
  await using app = Origin.serving(serve);
  console.log(new URL(app.url).port);
  for await (const _ of Deno.stdin.readable);
}
