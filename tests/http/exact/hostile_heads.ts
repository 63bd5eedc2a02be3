import { CHUNKED, END, good, headOf, type HostileAnswer, LENGTH_2, PASSES, refused } from "./hostile_answer.ts";

/** Limit for the head of an answer, in bytes. */
const MOST_HEAD = 64 * 1024;

/** A good answer with one more header line. */
function withLine(line: string): string {
  return `${headOf(["content-length: 2", line])}ok`;
}

/** A good answer whose head has exactly this many bytes. */
function ofHeadLength(length: number): string {
  const rest = headOf(["content-length: 2", "x-own: "]).length;
  return withLine(`x-own: ${"v".repeat(length - rest)}`);
}

function statusLine(line: string): string {
  return `${headOf(["content-length: 2"], line)}ok`;
}

const STATUS_LINES = refused("status line", {
  "none": "content-length: 2\r\n\r\nok",
  "only a blank line": "\r\n\r\n",
  "a blank line before it": `\r\n${LENGTH_2}ok`,
  "HTTP/0.9, which has none": "<html>hello</html>\r\n\r\n",
  "HTTP/2.0": statusLine("HTTP/2.0 200 OK"),
  "HTTP/2": statusLine("HTTP/2 200"),
  "HTTP/1.2": statusLine("HTTP/1.2 200 OK"),
  "ICY": statusLine("ICY 200 OK"),
  "lower case": statusLine("http/1.1 200 OK"),
  "RTSP": statusLine("RTSP/1.0 200 OK"),
  "a banner of SSH": `SSH-2.0-OpenSSH_9.2${END}`,
  "the preface of HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "a request": `GET / HTTP/1.1\r\nhost: x${END}`,
  "status 99": statusLine("HTTP/1.1 99 x"),
  "status 099": statusLine("HTTP/1.1 099 x"),
  "status 000": statusLine("HTTP/1.1 000 x"),
  "status 600": statusLine("HTTP/1.1 600 x"),
  "status 999": statusLine("HTTP/1.1 999 x"),
  "status 1000": statusLine("HTTP/1.1 1000 x"),
  "status 2e2": statusLine("HTTP/1.1 2e2 x"),
  "status -200": statusLine("HTTP/1.1 -200 x"),
  "no status": statusLine("HTTP/1.1 OK"),
  "no blank before the reason": statusLine("HTTP/1.1 200OK"),
  "two blanks before the status": statusLine("HTTP/1.1  200 OK"),
  "a tab before the status": statusLine("HTTP/1.1\t200 OK"),
  "a blank before it": statusLine(" HTTP/1.1 200 OK"),
  "a NUL in the reason": statusLine("HTTP/1.1 200 O\0K"),
  "a bare CR in the reason": statusLine("HTTP/1.1 200 O\rK"),
  "a bare CR as its end": `HTTP/1.1 200 OK\rcontent-length: 2${END}ok`,
  "101 that nobody asked for": headOf(["connection: upgrade", "upgrade: websocket"], "HTTP/1.1 101 Switching"),
  "101 with an answer behind": `HTTP/1.1 101 Switching${END}${LENGTH_2}ok`,
});

const GOOD_STATUS_LINES: HostileAnswer[] = [
  ...good("status line", {
    "no reason": statusLine("HTTP/1.1 200"),
    "an empty reason": statusLine("HTTP/1.1 200 "),
    "a reason of Latin-1": statusLine("HTTP/1.1 200 caf\xe9"),
    "a reason that looks like a status": statusLine("HTTP/1.1 200 404 Not Found"),
  }),
  ...good("status line", { "a status that nobody knows": statusLine("HTTP/1.1 599 x") }, { status: 599, body: "ok" }),
  ...good("status line", { "a status that looks like an error": statusLine("HTTP/1.1 502 x") }, {
    status: 502,
    body: "ok",
  }),
];

const FRAMINGS = refused("framing", {
  "two lengths": `${headOf(["content-length: 2", "content-length: 3"])}ok!`,
  "two lengths of one value, written in two ways": `${headOf(["content-length: 2", "content-length: 02"])}ok`,
  "a list of equal lengths": `${headOf(["content-length: 2, 2"])}ok`,
  "a list of different lengths": `${headOf(["content-length: 2, 3"])}ok!`,
  "no length": `${headOf(["content-length:"])}ok`,
  "a negative length": `${headOf(["content-length: -2"])}ok`,
  "a signed length": `${headOf(["content-length: +2"])}ok`,
  "a hexadecimal length": `${headOf(["content-length: 0x2"])}ok`,
  "a length with a fraction": `${headOf(["content-length: 2.0"])}ok`,
  "a length in words": `${headOf(["content-length: two"])}ok`,
  "a length of 2^53": `${headOf(["content-length: 9007199254740992"])}ok`,
  "a length of 2^63": `${headOf(["content-length: 9223372036854775808"])}ok`,
  "a length of 2^64 + 2": `${headOf(["content-length: 18446744073709551618"])}ok`,
  "a length of a thousand digits": `${headOf([`content-length: ${"0".repeat(999)}2`])}ok`,
  "a length and chunks": `${headOf(["content-length: 2", "transfer-encoding: chunked"])}2\r\nok\r\n0${END}`,
  "chunks and a length": `${headOf(["transfer-encoding: chunked", "content-length: 2"])}2\r\nok\r\n0${END}`,
  "gzip": `${headOf(["transfer-encoding: gzip"])}ok`,
  "gzip, chunked": `${headOf(["transfer-encoding: gzip, chunked"])}2\r\nok\r\n0${END}`,
  "chunked, chunked": `${headOf(["transfer-encoding: chunked, chunked"])}2\r\nok\r\n0${END}`,
  "chunked, identity": `${headOf(["transfer-encoding: chunked, identity"])}2\r\nok\r\n0${END}`,
  "xchunked": `${headOf(["transfer-encoding: xchunked"])}2\r\nok\r\n0${END}`,
  "chunked with a parameter": `${headOf(["transfer-encoding: chunked;q=1"])}2\r\nok\r\n0${END}`,
  "chunked in quotes": `${headOf(['transfer-encoding: "chunked"'])}2\r\nok\r\n0${END}`,
  "chunked after a vertical tab": `${headOf(["transfer-encoding: \x0bchunked"])}2\r\nok\r\n0${END}`,
  "chunked after a no-break space": `${headOf(["transfer-encoding: \xa0chunked"])}2\r\nok\r\n0${END}`,
  "chunked in two lines": `${headOf(["transfer-encoding: chunked", "transfer-encoding: chunked"])}2\r\nok\r\n0${END}`,
  "gzip and chunked in two lines": `${
    headOf(["transfer-encoding: gzip", "transfer-encoding: chunked"])
  }2\r\nok\r\n0${END}`,
  "an empty coding": `${headOf(["transfer-encoding:"])}ok`,
  "chunked in HTTP/1.0": `${headOf(["transfer-encoding: chunked"], "HTTP/1.0 200 OK")}2\r\nok\r\n0${END}`,
  "chunked with a blank before the colon": `${headOf(["transfer-encoding : chunked"])}2\r\nok\r\n0${END}`,
  "a length with a blank before the colon": `${headOf(["content-length : 2"])}ok`,
  "a folded length": `${headOf(["content-length:", " 2"])}ok`,
  "a folded coding": `${headOf(["transfer-encoding:", "\tchunked"])}2\r\nok\r\n0${END}`,
});

const GOOD_FRAMINGS = good("framing", {
  "equal lengths in two lines": `${headOf(["content-length: 2", "Content-Length: 2"])}ok`,
  "a length with blanks around": `${headOf(["content-length: \t 2\t "])}ok`,
  "chunks in odd case": `${headOf(["TRANSFER-encoding:CHUNKED"])}2\r\nok\r\n0${END}`,
  "a length that Connection names": `${headOf(["content-length: 2", "connection: content-length"])}ok`,
});

const LINES = refused("header line", {
  "an empty name": withLine(": 1"),
  "no colon": withLine("x-own 1"),
  "a blank before the colon": withLine("x-own : 1"),
  "a tab before the colon": withLine("x-own\t: 1"),
  "a blank in the name": withLine("x own: 1"),
  "a quote in the name": withLine('"x": 1'),
  "a bracket in the name": withLine("x(y): 1"),
  "Latin-1 in the name": withLine("caf\xe9: 1"),
  "a NUL in the name": withLine("x\0y: 1"),
  "a control character in the name": withLine("x\x01y: 1"),
  "DEL in the name": withLine("x\x7fy: 1"),
  "a NUL in the value": withLine("x-own: a\0b"),
  "a control character in the value": withLine("x-own: a\x08b"),
  "DEL in the value": withLine("x-own: a\x7fb"),
  "a bare CR in the value": withLine("x-own: a\rb"),
  "a bare CR at the end": withLine("x-own: a\r"),
  "a bare LF in the value": withLine("x-own: a\nb"),
  "a bare LF as the end": "HTTP/1.1 200 OK\r\nx-own: a\ncontent-length: 2\r\n\r\nok",
  "bare LFs everywhere": "HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
  "a bare LF as the blank line": "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\nok",
  "folded": withLine("x-own: a\r\n b"),
  "folded with a tab": withLine("x-own: a\r\n\tb"),
  "folded right behind the status line": "HTTP/1.1 200 OK\r\n x: 1\r\ncontent-length: 2\r\n\r\nok",
  "a blank line of blanks": "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n  \r\n\r\nok",
});

const GOOD_LINES: HostileAnswer[] = [
  ...good("header line", {
    "no blank behind the colon": withLine("x-own:1"),
    "an empty value": withLine("x-own:"),
    "a value of blanks": withLine("x-own: \t "),
    "a name of every kind of character": withLine("!#$%&'*+-.^_`|~0aZ: 1"),
    "Connection names nonsense": withLine("connection: , ,x y,\xe9,"),
  }),
  ...good("header line", { "tabs and Latin-1 within a value": withLine("x-own: \xe9\t\xff\x80") }, {
    ...PASSES,
    headers: [["x-own", "\xe9\t\xff\x80"]],
  }),
  ...good("header line", { "a colon in the value": withLine("x-own: a:b: c") }, {
    ...PASSES,
    headers: [["x-own", "a:b: c"]],
  }),
];

const SIZES: HostileAnswer[] = [
  ...good("size", {
    "a head of just not too many bytes": ofHeadLength(MOST_HEAD),
    "a head that fills what is read at once": ofHeadLength(32 * 1024),
    "a head and body that fill what is read at once": ofHeadLength(32 * 1024 - 2),
    "100 headers": headOf(["content-length: 2", ...Array.from({ length: 100 }, (_, n) => `x-${n}: ${n}`)]) + "ok",
    "1000 headers": headOf(["content-length: 2", ...Array.from({ length: 1000 }, (_, n) => `x-${n}: ${n}`)]) + "ok",
  }),
  ...refused("size", {
    "a head of one byte too many": ofHeadLength(MOST_HEAD + 1),
    "a head of a megabyte": ofHeadLength(1 << 20),
    "a status line of 300 KB": statusLine(`HTTP/1.1 200 ${"x".repeat(300 * 1024)}`),
    "a head without an end": `HTTP/1.1 200 OK\r\n${"x-own: 1\r\n".repeat(40_000)}`,
  }),
];

const CONTINUE = `HTTP/1.1 100 Continue${END}`;
const HINTS = `HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload${END}`;

const INFORMATIONAL: HostileAnswer[] = [
  ...good("1xx", {
    "one": `${CONTINUE}${LENGTH_2}ok`,
    "several": `${CONTINUE}${HINTS}${CONTINUE}${CHUNKED}2\r\nok\r\n0${END}`,
    "with a length, which means nothing": `${headOf(["content-length: 5"], "HTTP/1.1 103 x")}${LENGTH_2}ok`,
    "sixteen": `${HINTS.repeat(16)}${LENGTH_2}ok`,
    "one that nobody knows": `HTTP/1.1 199 x${END}${LENGTH_2}ok`,
  }),
  ...refused("1xx", {
    "without end": HINTS.repeat(1000),
    "two lengths": `${headOf(["content-length: 1", "content-length: 2"], "HTTP/1.1 103 x")}${LENGTH_2}ok`,
    "101 among them": `${HINTS}HTTP/1.1 101 Switching\r\nupgrade: x${END}${LENGTH_2}ok`,
    "a body behind one": `${headOf(["content-length: 5"], "HTTP/1.1 103 x")}hello${LENGTH_2}ok`,
  }),
];

/** Hostile heads, each in one piece. */
export const HOSTILE_HEADS: readonly HostileAnswer[] = [
  ...STATUS_LINES,
  ...GOOD_STATUS_LINES,
  ...FRAMINGS,
  ...GOOD_FRAMINGS,
  ...LINES,
  ...GOOD_LINES,
  ...SIZES,
  ...INFORMATIONAL,
];
