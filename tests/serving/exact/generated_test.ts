import { assertEquals } from "@std/assert";
import { Harness } from "../../support/harness.ts";
import { type HttpMessage, sameBytes } from "../../support/http_message.ts";
import { Origin } from "../../support/origin.ts";
import { netTest } from "../../support/permissions.ts";
import { RawClient } from "../../support/raw_client.ts";
import { generate, type GeneratedExchange, type Header, type Side } from "./generated.ts";
import { turns } from "./until.ts";

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

/** Headers in lower case, in an order of their own. */
function sorted(headers: readonly Header[]): Header[] {
  return headers.map(([name, value]) => [name.toLowerCase(), value] as const)
    .toSorted((a, b) => a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0);
}

/** What is left of headers when the named ones are taken out. */
function without(names: readonly string[], { headers }: HttpMessage): Header[] {
  return sorted(headers).filter(([name]) => !names.includes(name));
}

/** Like `assertEquals`, on one line. */
function same(what: string, seen: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(seen), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: ${a}, not ${b}`);
}

/** The app must be sent what the client has sent. */
function checkRequest({ method, target, request }: GeneratedExchange, seen: HttpMessage): void {
  same("start line", seen.startLine, `${method} ${target} HTTP/1.1`);
  // The platform joins what is repeated, but for what is empty at the start.
  const joined = new Map<string, string>();
  for (const [name, value] of sorted(request.headers)) {
    joined.set(name, joined.get(name) ? `${joined.get(name)}, ${value}` : value);
  }
  const expected: Header[] = [
    ...[...joined].map(([name, value]) => [name, value.trim()] as const),
    ["host", "app.localhost"],
    ["x-forwarded-for", "127.0.0.1"],
    ["x-forwarded-host", "app.localhost"],
    ["x-forwarded-proto", "http"],
  ];
  same("headers", without(["content-length", "transfer-encoding"], seen), sorted(expected));
  same(
    "framing",
    [seen.all("content-length"), seen.all("transfer-encoding")],
    [request.framing === "length" ? [`${request.body.length}`] : [], request.framing === "chunked" ? ["chunked"] : []],
  );
  same("same body", sameBytes(seen.body, request.body), true);
}

/** The client must be sent what the app has sent. */
function checkAnswer({ status, answer }: GeneratedExchange, seen: HttpMessage): void {
  same("answer", [seen.status, seen.complete, seen.body.length], [status, true, answer.body.length]);
  same("same body", sameBytes(seen.body, answer.body), true);
  const dated = answer.headers.some(([name]) => name.toLowerCase() === "date");
  same(
    "headers",
    without(["content-length", "transfer-encoding", ...dated ? [] : ["date"]], seen),
    sorted(answer.headers),
  );
  if (!dated) same("dates", seen.all("date").length, 1);
  const [length, coding] = [seen.one("content-length"), seen.one("transfer-encoding")];
  if (answer.framing === "length") same("framing", [length, coding], [`${answer.body.length}`, undefined]);
  else if (answer.framing === "none") same("framing", coding === undefined || seen.status === 200, true);
  else {same(
      "framing",
      length === undefined ? coding : length,
      length === undefined ? "chunked" : `${answer.body.length}`,
    );}
}

netTest(`${COUNT} exchanges pass as they are`, async () => {
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
        // The platform writes no length for a 205, and a reader that goes by RFC 9112, section 6.3, would wait for more.
        const answer = await client.answer(exchange.status === 205 ? "HEAD" : exchange.method);
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
