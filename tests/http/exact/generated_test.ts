import { assertEquals } from "@std/assert";
import { Harness } from "../../support/harness.ts";
import { type HttpMessage, sameBytes, withoutBlanks } from "../../support/http_message.ts";
import { Origin } from "../../support/origin.ts";
import { netTest } from "../../support/permissions.ts";
import { RawClient } from "../../support/raw_client.ts";
import { generate, type GeneratedExchange, type Header, type Side } from "./generated.ts";
import { turns } from "../../support/until.ts";

const SEED = 20261124;
const COUNT = 10_000;
const CLIENTS = 16;

/** Sends one side of an exchange. */
async function write(to: { send(data: Uint8Array): Promise<boolean> }, { pieces, pause }: Side): Promise<void> {
  for (const [n, piece] of pieces.entries()) {
    if (n > 0 && pause === "turn") await turns(1);
    if (n > 0 && pause === "ms") await new Promise((resolve) => setTimeout(resolve, 1));
    if (!await to.send(piece)) return;
  }
}

/** Like `assertEquals`, but with a message of one line. */
function same(what: string, seen: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(seen), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: ${a}, not ${b}`);
}

/** Checks that the app got what the client sent. */
function checkRequest({ method, target, request }: GeneratedExchange, seen: HttpMessage): void {
  same("start line", seen.startLine, `${method} ${target} HTTP/1.1`);
  // The platform writes names in lower case, sorts them, and joins repeated headers, except empty ones at the start.
  const joined = new Map([["host", "app.localhost"]]);
  for (const [name, value] of request.headers) {
    const before = joined.get(name.toLowerCase());
    joined.set(name.toLowerCase(), before ? `${before}, ${value}` : value);
  }
  same("headers", seen.headers, [
    ...[...joined].toSorted(([a], [b]) => a < b ? -1 : 1).map(([name, value]) => [name, withoutBlanks(value)]),
    ["x-forwarded-for", "127.0.0.1"],
    ["x-forwarded-proto", "http"],
    ["x-forwarded-host", "app.localhost"],
    ...framingAtApp(request),
  ]);
  same("same body", sameBytes(seen.body, request.body), true);
}

/** The framing headers that the app must get. */
function framingAtApp({ framing, body }: Side): Header[] {
  switch (framing) {
    case "length":
      return [["content-length", `${body.length}`]];
    case "chunked":
      return [["transfer-encoding", "chunked"]];
    default:
      return [];
  }
}

/** Checks that the client got what the app sent. */
function checkAnswer({ status, answer }: GeneratedExchange, seen: HttpMessage): void {
  const expected = status === 205 ? 204 : status; // see forward_known_test.ts
  same("answer", [seen.status, seen.complete, seen.body.length], [expected, true, answer.body.length]);
  same("same body", sameBytes(seen.body, answer.body), true);
  const own = likeTheFirst(answer.headers);
  const isDate = ([name]: Header) => name.toLowerCase() === "date";
  // The framing headers come after the app's own lines, and then the date, which is added if it is missing.
  const date = own.find(isDate)?.[1] ?? seen.one("date") ?? "missing";
  same("headers", seen.headers, [
    ...own.filter((header) => !isDate(header)),
    ...framingAtClient(answer, seen),
    ["date", date],
  ]);
}

/** Headers as the platform writes them: names that differ only in case like the first of them. */
function likeTheFirst(headers: readonly Header[]): Header[] {
  const first = new Map<string, string>();
  return headers.map(([name, value]) => {
    const lower = name.toLowerCase();
    if (!first.has(lower)) first.set(lower, name);
    return [first.get(lower)!, value];
  });
}

/** The framing headers that the client must get. */
function framingAtClient({ framing, body }: Side, seen: HttpMessage): Header[] {
  const length: Header = ["content-length", `${body.length}`];
  const chunked: Header = ["transfer-encoding", "chunked"];
  switch (framing) {
    case "none":
      return [];
    case "length":
      return [length];
    case "close":
      return [chunked];
    case "chunked": // a body that arrives with its head may get a length instead
      return [seen.one("content-length") === undefined ? chunked : length];
  }
}

netTest(`${COUNT} random exchanges pass unchanged, except for known changes of the platform`, async () => {
  const failures: string[] = [];
  const check = (number: number, what: () => void) => {
    try {
      what();
    } catch (error) {
      failures.push(`seed ${SEED}, number ${number}: ${error instanceof Error ? error.message : error}`);
    }
  };
  await using app = Origin.serving(async (connection) => {
    for (let seen; (seen = await connection.reader.request()) !== undefined;) {
      const number = Number(seen.target.split("/")[1]);
      const exchange = generate(SEED, number);
      check(number, () => checkRequest(exchange, seen));
      await write(connection, exchange.answer);
      if (exchange.answer.framing === "close") return;
    }
  });
  await using cless = await Harness.warm({ forward: "exact", origin: app });
  let next = 0;
  await Promise.all(Array.from({ length: CLIENTS }, async () => {
    let client: RawClient | undefined;
    for (let number; (number = next++) < COUNT && failures.length < 10;) {
      client ??= await cless.connect();
      const exchange = generate(SEED, number);
      const written = write(client, exchange.request);
      try {
        const answer = await client.answer(exchange.method);
        check(number, () => checkAnswer(exchange, answer));
        if (answer.one("connection") === "close") throw new Error("closed");
      } catch (error) {
        check(number, () => {
          throw error;
        });
        client[Symbol.dispose]();
        client = undefined;
      }
      await written;
    }
    client?.[Symbol.dispose]();
  }));
  assertEquals(failures.join("\n"), "");
});
