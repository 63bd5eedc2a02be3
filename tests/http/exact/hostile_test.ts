import { assert, assertEquals } from "@std/assert";
import { Harness } from "../../support/harness.ts";
import type { HttpMessage } from "../../support/http_message.ts";
import { OK, Origin } from "../../support/origin.ts";
import { netTest } from "../../support/permissions.ts";
import { requestText } from "../../support/raw_client.ts";
import type { Expected, HostileAnswer } from "./hostile_answer.ts";
import { HOSTILE_BODIES } from "./hostile_bodies.ts";
import { HOSTILE_HEADS } from "./hostile_heads.ts";
import { turns, until } from "../../support/until.ts";

/** An app that gives a hostile answer, and a good one for `/good`. */
class HostileApp implements AsyncDisposable {
  /** The connection of each request. */
  readonly served: number[] = [];
  /** The connections that have been closed. */
  readonly ended = new Set<number>();
  readonly origin: Origin;

  constructor({ pieces, then }: HostileAnswer) {
    this.origin = Origin.serving(async (connection) => {
      for (let request; (request = await connection.reader.request()) !== undefined;) {
        this.served.push(connection.number);
        if (request.target === "/good") {
          await connection.send(OK);
          continue;
        }
        for (const piece of pieces) {
          if (pieces.length > 1) await turns(2);
          await connection.send(piece);
        }
        if (then === "app closes") break;
      }
      this.ended.add(connection.number);
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.origin[Symbol.asyncDispose]();
  }
}

/** What a client got. */
function outcome(answer: HttpMessage, expected: Expected): Expected {
  if (answer.one("cless-error") === "upstream_failed" && answer.status === 502) return "refused";
  if (!answer.complete) return "cut";
  const headers = typeof expected === "object" ? expected.headers : undefined;
  return {
    status: answer.status,
    body: answer.text,
    ...headers === undefined
      ? {}
      : { headers: headers.map(([name]) => [name, answer.one(name) ?? "missing"] as const) },
  };
}

/** A text, shortened for a message. */
function short(expected: Expected): unknown {
  return typeof expected === "object" && expected.body.length > 1000 ? { ...expected, body: "(long)" } : expected;
}

/** Checks what becomes of a hostile answer, of its connection, and of the next request. */
async function check(hostile: HostileAnswer): Promise<void> {
  const { expected, then, method = "GET" } = hostile;
  await using app = new HostileApp(hostile);
  await using cless = await Harness.warm({ forward: "exact", origin: app.origin });
  using client = await cless.connect();
  await client.send(requestText(`${method} /hostile`));
  const answer = await client.answer(method);
  assertEquals(short(outcome(answer, expected)), short(expected));
  assertEquals(answer.all("x-evil"), []);
  await cless.idle();
  assertEquals(app.served, [0], "it is not asked again");
  if (then !== "used again") await until(() => app.ended.has(0));
  else await turns(3);
  const next = await cless.ask(requestText("GET /good"));
  assertEquals([next.status, next.text], [200, "ok"]);
  assertEquals(app.served, [0, then === "used again" ? 0 : 1]);
  assertEquals(app.origin.connections, then === "used again" ? 1 : 2);
}

for (const hostile of [...HOSTILE_HEADS, ...HOSTILE_BODIES]) {
  const { name, expected } = hostile;
  netTest(`${typeof expected === "string" ? expected : "passes"}: ${name}`, () => check(hostile));
}

netTest("a header's name must be a token, and its value keeps every byte that is allowed", async () => {
  let line = "";
  await using app = Origin.answering((request) =>
    request.target === "/good" ? OK : `HTTP/1.1 200 OK\r\n${line}\r\ncontent-length: 2\r\n\r\nok`
  );
  await using cless = await Harness.warm({ forward: "exact", origin: app });
  for (let code = 0; code < 256; code++) {
    const character = String.fromCharCode(code);
    line = `x${character}y: 1`;
    const named = await cless.ask(requestText());
    // A colon ends the name.
    assertEquals(named.status, /[!#$%&'*+.^_`|~0-9A-Za-z:-]/.test(character) ? 200 : 502, `a name with ${code}`);
    line = `x: a${character}b`;
    const valued = await cless.ask(requestText());
    if (code < 32 && code !== 9 || code === 127) assertEquals(valued.status, 502, `a value with ${code}`);
    else assertEquals([valued.status, valued.one("x")], [200, `a${character}b`], `a value with ${code}`);
  }
  assertEquals((await cless.ask(requestText("GET /good"))).status, 200);
});

netTest("a connection that ends at any place of an answer leads to a 502, a cut, or the whole answer", async () => {
  for (const body of ["content-length: 5\r\n\r\nhello", "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]) {
    const whole = `HTTP/1.1 200 OK\r\n${body}`;
    const head = whole.indexOf("\r\n\r\n") + 4;
    let length = 0;
    await using app = Origin.serving(async (connection) => {
      await connection.reader.request();
      await connection.send(whole.slice(0, length));
    });
    await using cless = await Harness.warm({ forward: "exact", origin: app });
    for (length = 0; length <= whole.length; length++) {
      // A GET would be repeated.
      const answer = await cless.ask(requestText("POST /"));
      const state = answer.status === 502 ? answer.one("cless-error") : answer.complete ? answer.text : "cut";
      // A short body of known length is collected before the head goes out.
      const early = length < head || !whole.includes("chunked");
      assertEquals(state, length === whole.length ? "hello" : early ? "upstream_failed" : "cut", `${length} bytes`);
      assertEquals(app.connections, length + 1);
    }
  }
});

netTest(
  "an answer that comes before the request was sent completely ends the upload, and the connection is closed",
  async () => {
    const ended: number[] = [];
    const early = "HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig";
    await using app = Origin.serving(async (connection) => {
      let head = await connection.reader.head();
      for (; head?.target === "/good"; head = await connection.reader.head()) await connection.send(OK);
      if (head !== undefined) await connection.send(early);
      await connection.ended();
      ended.push(connection.number);
    });
    await using cless = await Harness.warm({ forward: "exact", origin: app });
    for (const framing of ["content-length: 1000000", "transfer-encoding: chunked"]) {
      using client = await cless.connect();
      await client.send(requestText("POST /", [framing]) + "5\r\nhello\r\n");
      const answer = await client.answer();
      assertEquals([answer.status, answer.text], [413, "big"]);
      await until(() => ended.length === app.connections);
      assertEquals((await cless.ask(requestText("GET /good"))).status, 200);
    }
  },
);

netTest("bytes that an app sends before the request are no answer", async () => {
  await using app = Origin.serving(async (connection) => {
    if (connection.number === 0) await connection.send("220 mail.example ESMTP\r\n\r\n");
    for (; await connection.reader.request() !== undefined;) await connection.send(OK);
  });
  await using cless = await Harness.warm({ forward: "exact", origin: app });
  const answers = [await cless.ask(requestText()), await cless.ask(requestText())];
  assertEquals(answers.map(({ status }) => status), [502, 200]);
  assert(answers[0]!.text.includes("upstream_failed"));
});
