import type { RequestHead } from "../request_head.ts";

/**
 * A request's head as it goes to an app, one character for each byte: RFC 9112, section 3.
 *
 * @param inChunks Whether a body of unknown length follows.
 */
export function requestText({ method, target, headers, contentLength }: RequestHead, inChunks = false): string {
  let text = `${method} ${target} HTTP/1.1\r\n`;
  for (const [name, value] of headers) text += `${name}: ${value}\r\n`;
  if (inChunks) text += "transfer-encoding: chunked\r\n";
  else if (contentLength !== undefined) text += `content-length: ${contentLength}\r\n`;
  return text + "\r\n";
}
