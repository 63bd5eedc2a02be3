import { assertEquals } from "@std/assert";
import { requestText } from "../../../src/http/exact/request_text.ts";
import type { RequestHead } from "../../../src/http/request_head.ts";
import { requestHead } from "../../support/request_head.ts";

/** A request without a body, unless told otherwise. */
function head(parts: Partial<RequestHead> = {}): RequestHead {
  return requestHead({
    target: "/a?b=%20",
    headers: [["host", "app.localhost"], ["x-own", "c\xe9"], ["x-own", ""]],
    ...parts,
  });
}

const START = "/a?b=%20 HTTP/1.1\r\nhost: app.localhost\r\nx-own: c\xe9\r\nx-own: \r\n";

Deno.test("a request without a body says nothing about one", () => {
  assertEquals(requestText(head()), `GET ${START}\r\n`);
  assertEquals(requestText(head({ method: "pOsT" })), `pOsT ${START}\r\n`);
});

Deno.test("a length is passed on as it was written, also that of no body", () => {
  for (const contentLength of ["0", "5", "0005"]) {
    assertEquals(
      requestText(head({ method: "PUT", contentLength })),
      `PUT ${START}content-length: ${contentLength}\r\n\r\n`,
    );
  }
});

Deno.test("a body of unknown length goes in chunks, and has no length beside", () => {
  const expected = `POST ${START}transfer-encoding: chunked\r\n\r\n`;
  assertEquals(requestText(head({ method: "POST" }), true), expected);
  assertEquals(requestText(head({ method: "POST", contentLength: "5" }), true), expected);
});

Deno.test("a request without headers of its own is still one", () => {
  assertEquals(requestText(head({ headers: [], target: "/" })), "GET / HTTP/1.1\r\n\r\n");
});
