import { assertEquals, assertThrows } from "@std/assert";
import { headEnd, Malformed, parseHead, requestText } from "../../../src/http/exact/message_head.ts";
import type { RequestHead } from "../../../src/http/request_head.ts";
import { toBytes } from "../../support/http_message.ts";
import { requestHead } from "../../support/request_head.ts";

/** Where the head ends if it arrives in pieces, searched as `Exchange` does; -1 if it is incomplete. */
function endInPieces(text: string, cuts: readonly number[]): number {
  const bytes = toBytes(text);
  let looked = 0;
  for (const to of [...cuts, bytes.length]) {
    const end = headEnd(bytes, looked, to);
    if (end !== -1) return end;
    looked = Math.max(0, to - 1);
  }
  return -1;
}

/** A head with these lines. */
function headOf(lines: readonly string[], statusLine = "HTTP/1.1 200 OK"): string {
  return [statusLine, ...lines, "", ""].join("\r\n");
}

/** The framing of an answer with these header lines. */
function framing(lines: readonly string[], { method = "GET", statusLine = "HTTP/1.1 200 OK" } = {}) {
  return parseHead(headOf(lines, statusLine), method).framing;
}

Deno.test("the end of a head is found wherever its pieces are cut", () => {
  const head = headOf(["a: 1", "b:\t2\xff"]);
  const text = `${head}body\r\n\r\n\0\n`;
  assertEquals(headEnd(toBytes(text), 0, text.length), head.length);
  for (let first = 0; first <= text.length; first++) {
    assertEquals(endInPieces(text, [first]), head.length, `cut at ${first}`);
    for (let second = first; second <= head.length; second++) {
      assertEquals(endInPieces(text, [first, second]), head.length, `cut at ${first} and ${second}`);
    }
  }
  for (let length = 0; length < head.length; length++) {
    assertEquals(headEnd(toBytes(head), 0, length), -1, `the first ${length}`);
  }
});

Deno.test("a control character in a head is refused wherever its pieces are cut", () => {
  for (let code = 0; code < 256; code++) {
    const wrong = code < 32 && code !== 9 || code === 127;
    const text = `HTTP/1.1 200 OK\r\nx: a${String.fromCharCode(code)}b\r\n\r\n`;
    if (!wrong) {
      assertEquals(endInPieces(text, []), text.length, `code ${code}`);
      continue;
    }
    for (let cut = 0; cut <= text.length; cut++) {
      assertThrows(() => endInPieces(text, [cut]), Malformed, undefined, `code ${code}, cut at ${cut}`);
    }
  }
});

Deno.test("a line of a head must end with CR LF", () => {
  for (const text of ["\n", "a\nb", "a\r\n\n", "a\r\r\n", "a\rb\r\n", "\n\r\n\r\n", "HTTP/1.1 200 OK\n\n"]) {
    for (let cut = 0; cut <= text.length; cut++) {
      assertThrows(() => endInPieces(text, [cut]), Malformed, undefined, JSON.stringify([text, cut]));
    }
  }
});

Deno.test("a head is parsed without changes", () => {
  const head = parseHead(
    headOf(["X-Own:  a b\t", "x-own:", "SET-cookie:c\xe9=1", "Content-Length: 3", "a:b:c", "x:\xa0y\xa0"]),
    "GET",
  );
  assertEquals(head, {
    status: 200,
    headers: [
      ["X-Own", "a b"],
      ["x-own", ""],
      ["SET-cookie", "c\xe9=1"],
      ["Content-Length", "3"],
      ["a", "b:c"],
      ["x", "\xa0y\xa0"], // only spaces and tabs are trimmed
    ],
    hopByHop: false,
    connection: undefined,
    framing: 3,
    keepAlive: true,
  });
});

Deno.test("a status line has three digits, and perhaps a reason", () => {
  for (
    const [line, status] of [
      ["HTTP/1.1 200 OK", 200],
      ["HTTP/1.1 200 ", 200],
      ["HTTP/1.1 200", 200],
      ["HTTP/1.0 404 Not  here \xe9", 404],
      ["HTTP/1.1 100 x", 100],
      ["HTTP/1.1 999 x", 999],
    ] as const
  ) assertEquals(parseHead(headOf([], line), "GET").status, status, line);
  for (
    const line of [
      "",
      " HTTP/1.1 200 OK",
      "HTTP/1.1  200 OK",
      "HTTP/1.1\t200 OK",
      "HTTP/1.1 20 OK",
      "HTTP/1.1 2000 OK",
      "HTTP/1.1 200OK",
      "HTTP/1.1 200\tOK",
      "HTTP/1.1 099 OK",
      "HTTP/1.1 +20 OK",
      "HTTP/1.1 2e1 OK",
      "HTTP/1.2 200 OK",
      "HTTP/1.11 200 OK",
      "HTTP/0.9 200 OK",
      "HTTP/2 200",
      "HTTP/2.0 200 OK",
      "http/1.1 200 OK",
      "ICY 200 OK",
      "HTTP/1.1",
      "HTTP/1.1 ",
      "200 OK",
      "content-length: 5",
    ]
  ) assertThrows(() => parseHead(headOf([], line), "GET"), Malformed, undefined, line);
});

Deno.test("the framing of a body follows RFC 9112, section 6.3", () => {
  const CHUNKED = "transfer-encoding: chunked";
  assertEquals(framing([]), "close");
  assertEquals(framing(["content-length: 0"]), 0);
  assertEquals(framing(["content-length: 5"]), 5);
  assertEquals(framing(["Content-LENGTH:5", "content-length: 5"]), 5);
  assertEquals(framing(["content-length: 005"]), 5);
  assertEquals(framing([`content-length: ${"9".repeat(15)}`]), 999_999_999_999_999);
  assertEquals(framing([CHUNKED]), "chunked");
  assertEquals(framing(["Transfer-Encoding:\tCHUNKED "]), "chunked");
  for (const line of ["content-length: 5", CHUNKED]) {
    assertEquals(framing([line], { method: "HEAD" }), 0);
    assertEquals(framing([line], { method: "head" }) === 0, false); // methods are case-sensitive
    for (const code of [100, 103, 204, 304]) {
      assertEquals(framing([line], { statusLine: `HTTP/1.1 ${code} x` }), 0, `${code}`);
    }
  }
});

Deno.test("an ambiguous framing is refused, whatever the method and status", () => {
  for (
    const lines of [
      ["content-length: 5", "content-length: 6"],
      ["content-length: 5", "content-length: 05"],
      ["content-length: 5, 5"],
      ["content-length: 5,"],
      ["content-length:"],
      ["content-length: -1"],
      ["content-length: +1"],
      ["content-length: 1.0"],
      ["content-length: 1e3"],
      ["content-length: 0x10"],
      ["content-length: 1 1"],
      ["content-length: \xb2"],
      ["content-length: five"],
      [`content-length: ${"1".repeat(16)}`],
      ["content-length: 5", "transfer-encoding: chunked"],
      ["transfer-encoding: chunked", "content-length: 0"],
      ["transfer-encoding: chunked", "transfer-encoding: chunked"],
      ["transfer-encoding:", "transfer-encoding: chunked"],
      ["transfer-encoding: gzip"],
      ["transfer-encoding: gzip, chunked"],
      ["transfer-encoding: chunked, chunked"],
      ["transfer-encoding: chunked;q=1"],
      ["transfer-encoding: xchunked"],
      ["transfer-encoding: \xa0chunked"],
      ["transfer-encoding: identity"],
      ["transfer-encoding:"],
    ]
  ) {
    for (const method of ["GET", "HEAD"]) {
      for (const statusLine of ["HTTP/1.1 200 OK", "HTTP/1.1 304 x", "HTTP/1.1 204 x"]) {
        assertThrows(() => framing(lines, { method, statusLine }), Malformed, undefined, `${lines}`);
      }
    }
  }
  assertThrows(() => framing(["transfer-encoding: chunked"], { statusLine: "HTTP/1.0 200 OK" }), Malformed);
});

Deno.test("header lines that are folded or without a colon are refused", () => {
  for (const line of [" x: 1", "\tx: 1", " folded", "x", "x 1", ""]) {
    const text = `HTTP/1.1 200 OK\r\na: b\r\n${line}\r\nc: d\r\n\r\n`;
    if (line === "") assertEquals(parseHead(text, "GET").headers, [["a", "b"]]);
    else assertThrows(() => parseHead(text, "GET"), Malformed, undefined, line);
  }
  // The colon of the next line does not count.
  assertThrows(() => parseHead("HTTP/1.1 200 OK\r\nfirst\r\nsecond: 2\r\n\r\n", "GET"), Malformed);
});

Deno.test("a connection stays open unless the app says otherwise, or speaks HTTP/1.0", () => {
  const keepAlive = (lines: readonly string[], minor = 1) =>
    parseHead(headOf(lines, `HTTP/1.${minor} 200 OK`), "GET").keepAlive;
  assertEquals(keepAlive([]), true);
  assertEquals(keepAlive(["connection: close"]), false);
  assertEquals(keepAlive(["Connection: x, CLOSE"]), false);
  assertEquals(keepAlive(["connection: x", "connection: close"]), false);
  assertEquals(keepAlive(["connection: closed"]), true);
  assertEquals(keepAlive([], 0), false);
  assertEquals(keepAlive(["connection: Keep-Alive"], 0), true);
  assertEquals(parseHead(headOf(["connection: a", "connection: b, c"]), "GET").connection, "a, b, c");
});

// RFC 9112, section 9.3.
for (
  const [version, connection, keeps] of [
    ["1.1", undefined, true],
    ["1.1", "keep-alive", true],
    ["1.1", "Close", false],
    ["1.1", "keep-alive, close", false],
    ["1.0", undefined, false],
    ["1.0", "Keep-Alive", true],
    ["1.0", "close", false],
    ["1.0", "keep-alive, close", false],
    ["1.0", "x-own", false],
  ] as const
) {
  Deno.test(`HTTP/${version} with Connection: ${connection ?? "nothing"} ${keeps ? "keeps" : "ends"} the connection`, () => {
    const line = connection === undefined ? "" : `Connection: ${connection}\r\n`;
    assertEquals(parseHead(`HTTP/${version} 200 OK\r\n${line}content-length: 0\r\n\r\n`, "GET").keepAlive, keeps);
  });
}

/** A request without a body, unless told otherwise. */
function head(parts: Partial<RequestHead> = {}): RequestHead {
  return requestHead({
    target: "/a?b=%20",
    headers: [["host", "app.localhost"], ["x-own", "c\xe9"], ["x-own", ""]],
    ...parts,
  });
}

const START = "/a?b=%20 HTTP/1.1\r\nhost: app.localhost\r\nx-own: c\xe9\r\nx-own: \r\n";

Deno.test("a request without a body gets no framing headers", () => {
  assertEquals(requestText(head()), `GET ${START}\r\n`);
  assertEquals(requestText(head({ method: "pOsT" })), `pOsT ${START}\r\n`);
});

Deno.test("a Content-Length is passed on as it was written, also one of 0", () => {
  for (const contentLength of ["0", "5", "0005"]) {
    assertEquals(
      requestText(head({ method: "PUT", contentLength })),
      `PUT ${START}content-length: ${contentLength}\r\n\r\n`,
    );
  }
});

Deno.test("a body of unknown length is sent in chunks, without a Content-Length", () => {
  const expected = `POST ${START}transfer-encoding: chunked\r\n\r\n`;
  assertEquals(requestText(head({ method: "POST" }), true), expected);
  assertEquals(requestText(head({ method: "POST", contentLength: "5" }), true), expected);
});

Deno.test("a request without headers is valid", () => {
  assertEquals(requestText(head({ headers: [], target: "/" })), "GET / HTTP/1.1\r\n\r\n");
});
