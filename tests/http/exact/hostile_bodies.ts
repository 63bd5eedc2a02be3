import { CHUNKED, cut, END, good, headOf, type HostileAnswer, LENGTH_2, PASSES, refused } from "./hostile_answer.ts";

const LAST = `0${END}`;
/** Longer than a body that is collected before its head goes out. */
const LONG = 100_000;
const LONG_HEAD = headOf([`content-length: ${LONG}`]);
const UNTIL_CLOSE = `HTTP/1.1 200 OK${END}`;
/** A whole answer without a request. */
const EVIL = `HTTP/1.1 200 OK\r\nx-evil: 1\r\ncontent-length: 4${END}evil`;

// If chunks arrive together with the head, nothing has gone out when their fault is noticed.
const CHUNKS: Record<string, string> = {
  "no size": "\r\nok\r\n",
  "an extension and no size": ";a=1\r\nok\r\n",
  "a negative size": "-2\r\nok\r\n",
  "a signed size": "+2\r\nok\r\n",
  "0x before a size": "0x2\r\nok\r\n",
  "a blank before a size": " 2\r\nok\r\n",
  "a blank behind a size": "2 \r\nok\r\n",
  "a tab behind a size": "2\t\r\nok\r\n",
  "a size in letters": "two\r\nok\r\n",
  "a size that overflows 32 bits to 2": "100000000000002\r\nok\r\n",
  "a size that overflows 64 bits to 2": "10000000000000002\r\nok\r\n",
  "a size of 2^53": "20000000000000\r\nok\r\n",
  "a size of a thousand zeros": `${"0".repeat(1000)}2\r\nok\r\n`,
  "a size that ends with a bare LF": "2\nok\r\n",
  "a size that ends with a bare CR": "2\rok\r\n",
  "a bare LF in an extension": "2;a\nb\r\nok\r\n",
  "a NUL in an extension": "2;a\0\r\nok\r\n",
  "a giant extension": `2;${"e".repeat(17 * 1024)}\r\nok\r\n`,
  "no CR LF behind the data": `2\r\nok${LAST}`,
  "a bare LF behind the data": "2\r\nok\n",
  "data that is longer than its size": "2\r\nok!\r\n",
  "data that is shorter than its size": `3\r\nok\r\n${LAST}`,
  "a giant trailer": `2\r\nok\r\n0\r\nx: ${"t".repeat(17 * 1024)}${END}`,
  "giant trailers": `2\r\nok\r\n0\r\n${"x: 1\r\n".repeat(5000)}\r\n`,
  "a bare LF in a trailer": `2\r\nok\r\n0\r\nx: 1\ny: 2${END}`,
  "a bare LF as the end": "2\r\nok\r\n0\r\n\n",
  "an end of another kind": "2\r\nok\r\n0\r\n\rx",
};

const CHUNK_FAULTS: HostileAnswer[] = Object.entries(CHUNKS).flatMap(([name, body]): HostileAnswer[] => [
  {
    name: `chunks: ${name}`,
    pieces: [CHUNKED + body],
    expected: "refused",
    then: "closed",
  },
  { name: `chunks: ${name}, after the head`, pieces: [CHUNKED, body], expected: "cut", then: "closed" },
  {
    name: `chunks: ${name}, after a good one`,
    pieces: [`${CHUNKED}1\r\nx\r\n`, body],
    expected: "cut",
    then: "closed",
  },
]);

const GOOD_CHUNKS = good("chunks", {
  "extensions": `${CHUNKED}1;a\r\no\r\n1;b="c;d"\r\nk\r\n0;e${END}`,
  "trailers": `${CHUNKED}2\r\nok\r\n0\r\nx-sum: 1\r\ncontent-length: 7\r\nx-evil: 1${END}`,
  "leading zeros": `${CHUNKED}002\r\nok\r\n000${END}`,
});

// For every framing: surplus bytes behind the answer, in the same write and in a later one.
const LEFTOVERS: HostileAnswer[] = [
  { name: "a length", whole: `${LENGTH_2}ok` },
  { name: "a length of 0", whole: headOf(["content-length: 0"]), body: "" },
  { name: "chunks", whole: `${CHUNKED}2\r\nok\r\n${LAST}` },
  { name: "no chunk but the last", whole: CHUNKED + LAST, body: "" },
  { name: "204", whole: headOf([], "HTTP/1.1 204 x"), status: 204, body: "" },
  { name: "304", whole: headOf(["content-length: 5"], "HTTP/1.1 304 x"), status: 304, body: "" },
  { name: "HEAD", whole: headOf(["content-length: 5"]), method: "HEAD", body: "" },
  { name: "HEAD with chunks", whole: CHUNKED, method: "HEAD", body: "" },
].flatMap(({ name, whole, method, status = 200, body = "ok" }) =>
  Object.entries({ "a byte": "x", "a line's end": "\r\n", "an answer": EVIL, "half an answer": EVIL.slice(0, 50) })
    .flatMap(([what, more]): HostileAnswer[] => [
      {
        name: `leftovers: ${what} behind ${name}`,
        pieces: [whole + more],
        expected: "refused",
        then: "closed",
        ...method === undefined ? {} : { method },
      },
      {
        name: `leftovers: ${what} a bit after ${name}`,
        pieces: [whole, more],
        expected: { status, body },
        then: "closed",
        ...method === undefined ? {} : { method },
      },
    ])
);

const LONG_LEFTOVERS = cut("leftovers", {
  "behind a long body": [LONG_HEAD, "x".repeat(LONG) + EVIL],
  "behind a long body that began with its head": [`${LONG_HEAD}xxx`, "x".repeat(LONG - 3) + EVIL],
  "behind chunks after the head": [CHUNKED, `2\r\nok\r\n${LAST}${EVIL}`],
});

const BODILESS: HostileAnswer[] = [
  ...refused("no body", {
    "204 with one": `${headOf(["content-length: 2"], "HTTP/1.1 204 x")}ok`,
    "304 with one": `${headOf(["content-length: 2"], "HTTP/1.1 304 x")}ok`,
    "204 with chunks": `${headOf(["transfer-encoding: chunked"], "HTTP/1.1 204 x")}2\r\nok\r\n${LAST}`,
    "304 without a length and with a body": `${headOf([], "HTTP/1.1 304 x")}ok`,
  }),
  ...refused("no body", { "HEAD with one": `${LENGTH_2}ok` }, "HEAD"),
  ...good("no body", { "204": headOf([], "HTTP/1.1 204 x") }, { status: 204, body: "" }),
  ...good("no body", { "304 with a length": headOf(["content-length: 9"], "HTTP/1.1 304 x") }, {
    status: 304,
    body: "",
  }),
  // Node.js sends a last chunk, although there must be no body.
  ...[
    ["a length of 0", headOf(["content-length: 0"], "HTTP/1.1 205 x")],
    ["no length", headOf([], "HTTP/1.1 205 x")],
    ["chunks", `${headOf(["transfer-encoding: chunked"], "HTTP/1.1 205 x")}${LAST}`],
    ["a body", `${headOf(["content-length: 2"], "HTTP/1.1 205 x")}ok`],
  ].map(([what, answer]): HostileAnswer => ({
    name: `no body: 205 with ${what}`,
    pieces: [answer!],
    expected: { status: 204, body: "" },
    then: "closed",
  })),
  {
    name: "no body: 205 with chunks a bit later",
    pieces: [headOf(["transfer-encoding: chunked"], "HTTP/1.1 205 x"), LAST],
    expected: { status: 204, body: "" },
    then: "closed",
  },
  {
    name: "no body: HEAD",
    pieces: [LENGTH_2],
    expected: { status: 200, body: "" },
    then: "used again",
    method: "HEAD",
  },
];

const BROKEN_OFF: HostileAnswer[] = [
  ...[`${LENGTH_2}o`, LENGTH_2].map((answer, n): HostileAnswer => ({
    name: `broken off: ${n + 1} bytes too few of 2`,
    pieces: [answer],
    expected: "refused",
    then: "app closes",
    method: "POST", // a GET would be repeated, since nothing of its answer has gone out
  })),
  ...[
    ["in a long body", `${LONG_HEAD}${"x".repeat(LONG - 1)}`],
    ["behind the head of a long body", LONG_HEAD],
    ["in a body of 10^15 bytes", `${headOf([`content-length: ${"9".repeat(15)}`])}ok`],
    ["behind the head of chunks", CHUNKED],
    ["in a chunk's size", `${CHUNKED}2\r\nok\r\n1`],
    ["behind a chunk's size", `${CHUNKED}2\r\nok\r\n1\r\n`],
    ["in a chunk", `${CHUNKED}9\r\nok`],
    ["behind a chunk", `${CHUNKED}2\r\nok\r\n`],
    ["in the last chunk", `${CHUNKED}2\r\nok\r\n0`],
    ["before the last line", `${CHUNKED}2\r\nok\r\n0\r\n`],
    ["in the last line", `${CHUNKED}2\r\nok\r\n0\r\n\r`],
    ["in a trailer", `${CHUNKED}2\r\nok\r\n0\r\nx: `],
  ].map(([where, answer]): HostileAnswer => ({
    name: `broken off: ${where}`,
    pieces: [answer!],
    expected: "cut",
    then: "app closes",
  })),
];

const CLOSING: HostileAnswer[] = [
  ...[
    ["until the end of the connection", `${UNTIL_CLOSE}ok`],
    ["until the end, in HTTP/1.0", `HTTP/1.0 200 OK${END}ok`],
    ["until the end, although the app says that it stays open", `HTTP/1.1 200 OK\r\nconnection: keep-alive${END}ok`],
    ["with a length, and the end", `${LENGTH_2}ok`],
    ["in chunks, and the end", `${CHUNKED}2\r\nok\r\n${LAST}`],
  ].map(([name, answer]): HostileAnswer => ({
    name: `the end: ${name}`,
    pieces: [answer!],
    expected: PASSES,
    then: "app closes",
  })),
  {
    name: "the end: nothing of a body",
    pieces: [UNTIL_CLOSE],
    expected: { status: 200, body: "" },
    then: "app closes",
  },
  {
    name: "the end: an answer that looks like two",
    pieces: [UNTIL_CLOSE, EVIL],
    expected: { status: 200, body: EVIL },
    then: "app closes",
  },
  ...[
    ["a length and close", headOf(["content-length: 2", "connection: close"]) + "ok"],
    ["chunks and close", headOf(["transfer-encoding: chunked", "Connection: x, Close"]) + `2\r\nok\r\n${LAST}`],
    ["HTTP/1.0 with a length", headOf(["content-length: 2"], "HTTP/1.0 200 OK") + "ok"],
  ].map(([name, answer]): HostileAnswer => ({
    name: `the end: ${name}, and the app does not close`,
    pieces: [answer!],
    expected: PASSES,
    then: "closed",
  })),
  ...good("the end", {
    "HTTP/1.0 that stays open": headOf(["content-length: 2", "connection: keep-alive"], "HTTP/1.0 200 OK") + "ok",
  }),
];

const SLOW: HostileAnswer[] = [`${LENGTH_2}ok`, `${CHUNKED}1;a\r\no\r\n1\r\nk\r\n0\r\nx: 1${END}`].map(
  (answer, n): HostileAnswer => ({
    name: `slow: byte by byte, ${n === 0 ? "with a length" : "in chunks"}`,
    pieces: [...answer],
    expected: PASSES,
    then: "used again",
  }),
);

/** Hostile bodies, and hostile bytes behind them. */
export const HOSTILE_BODIES: readonly HostileAnswer[] = [
  ...CHUNK_FAULTS,
  ...GOOD_CHUNKS,
  ...LEFTOVERS,
  ...LONG_LEFTOVERS,
  ...BODILESS,
  ...BROKEN_OFF,
  ...CLOSING,
  ...SLOW,
];
