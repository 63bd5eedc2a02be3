import type { RequestHead } from "../../src/http/request_head.ts";

/** The head of a request as the proxy hands it on: a plain GET, unless told otherwise. */
export function requestHead(parts: Partial<RequestHead> = {}): RequestHead {
  return {
    hostname: { name: "app.localhost", label: "app" },
    method: "GET",
    target: "/",
    headers: [["host", "app.localhost"]],
    contentLength: undefined,
    bodyLength: 0,
    websocket: false,
    client: "192.0.2.1",
    secure: false,
    ...parts,
  };
}
