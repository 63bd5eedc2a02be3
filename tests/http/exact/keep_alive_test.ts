import { assertEquals } from "@std/assert";
import { parseHead } from "../../../src/http/exact/response_head.ts";

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
