import type { Cidr } from "../model/cidr.ts";
import { type Hostname, parseHostname } from "../model/hostname.ts";
import { ClessError } from "../base/errors.ts";
import { listItems, splitList } from "./header_list.ts";

/** A header as it goes over the wire. */
export type Header = [name: string, value: string];

/** A request as it is to be sent on, without its body. */
export interface RequestHead {
  readonly hostname: Hostname;
  readonly method: string;
  /** Path and query, as they came. */
  readonly target: string;
  /** What the app gets to see. */
  readonly headers: Header[];
  /** The value of `Content-Length`, where there is one. */
  readonly contentLength: string | undefined;
  /** `0` for no body, `Infinity` for one of unknown length, else its length in bytes; `undefined` where no header tells. */
  readonly bodyLength: number | undefined;
  /** Whether the client asks for a WebSocket. */
  readonly websocket: boolean;
}

/** What is meant for the next hop only: RFC 9110, section 7.6.1, and what it once was. */
const REQUEST_HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

const ALLOW = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/** Methods that are not passed on, in any case: there are apps that do not tell `trace` from `TRACE`. */
const REFUSED = /^(?:connect|trace|track)$/i;

/** RFC 9110, section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

// No request has a fragment, and apps do not agree on what it means where it comes all the same; neither do they on what
// is above ASCII: RFC 9112, section 3.2.
// deno-lint-ignore no-control-regex
const UNSAFE_TARGET = /[#\x00-\x20\x7f-\uffff]/;

/**
 * Reads what a client asks for, and makes the headers for the app: less what is meant for the next hop only and what an
 * app could take for another header, plus `X-Forwarded-*`.
 *
 * @param peer The address that the connection comes from.
 * @param trusted Whose `X-Forwarded-*` and `Forwarded` are believed.
 * @throws {ClessError} `bad_host`, `bad_request` or `method_not_allowed`.
 */
export function readHead(request: Request, peer: string, trusted: readonly Cidr[]): RequestHead {
  const { method, url } = request;
  let host: string | undefined;
  let connection: string | undefined;
  let upgrade: string | undefined;
  let length: string | undefined;
  let coding: string | undefined;
  let forwardedFor: string | undefined;
  let forwardedProto: string | undefined;
  let forwardedHost: string | undefined;
  let forwarded: string | undefined;
  const believed = trusted.length > 0 && trusted.some((range) => range.contains(peer));
  const headers: Header[] = [];
  for (const header of request.headers) {
    const [name, value] = header;
    switch (name) {
      case "host":
        host = value;
        headers.push(header);
        break;
      case "connection":
        connection = value;
        break;
      case "upgrade":
        upgrade = value;
        break;
      case "content-length": // it goes with the body
        length = value;
        break;
      case "transfer-encoding":
        coding = value;
        break;
      case "x-forwarded-for":
        forwardedFor = value;
        break;
      case "x-forwarded-proto":
        forwardedProto = value;
        break;
      case "x-forwarded-host":
        forwardedHost = value;
        break;
      case "forwarded":
        forwarded = value;
        break;
      default:
        // CGI makes one variable of `a-b` and `a_b`: https://www.rfc-editor.org/rfc/rfc3875#section-4.1.18
        if (REQUEST_HOP_BY_HOP.has(name) || name.includes("_")) break;
        if (believed || !name.startsWith("x-forwarded-")) headers.push(header);
    }
  }

  const path = url.indexOf("/", url.indexOf("//") + 2);
  const authority = url.slice(url.indexOf("//") + 2, path === -1 ? undefined : path);
  if (host === undefined) {
    // HTTP/2 has `:authority` instead. Where HTTP/1.1 came without a Host, the platform fills in its own name.
    if (/^localhost(:|$)/.test(authority)) throw badHost();
    host = authority;
    headers.push(["host", host]);
  }
  if (REFUSED.test(method)) {
    throw new ClessError("method_not_allowed", `cless does not pass on ${method}`, { allow: ALLOW });
  }
  const hostname = parseHostname(host);
  if (hostname === undefined) throw badHost();
  if (authority !== host && !sameAuthority(authority, host)) {
    throw badRequest("The target names another host than the header Host");
  }
  const target = path === -1 ? "/" : url.slice(path);
  if (UNSAFE_TARGET.test(target) || (method === "OPTIONS" && target === "/*")) {
    throw badRequest("cless does not pass on a target like that");
  }
  const bodyLength = readBodyLength(length, coding, request);
  // The platform does not give such a body.
  if (bodyLength !== 0 && (method === "GET" || method === "HEAD")) {
    throw badRequest(`cless does not pass on the body of a ${method}`);
  }
  if (connection !== undefined) dropNamed(headers, connection);

  headers.push(
    ["x-forwarded-for", believed && forwardedFor ? `${forwardedFor}, ${peer}` : peer],
    ["x-forwarded-proto", believed && forwardedProto ? forwardedProto : "http"],
    ["x-forwarded-host", believed && forwardedHost ? forwardedHost : host],
  );
  if (believed && forwarded) headers.push(["forwarded", `${forwarded}, ${forwardedElement(peer, host)}`]);

  const websocket = method === "GET" && upgrade !== undefined && upgrade.toLowerCase() === "websocket" &&
    connection !== undefined &&
    listItems(connection).includes("upgrade");
  if (websocket) checkWebSocket(request.headers);
  return { hostname, method, target, headers, contentLength: length, bodyLength, websocket };
}

/** How long the body is, where its framing is beyond doubt. */
function readBodyLength(
  length: string | undefined,
  coding: string | undefined,
  request: Request,
): number | undefined {
  if (coding !== undefined && coding.toLowerCase() !== "chunked") {
    throw badRequest("cless passes on no Transfer-Encoding but chunked");
  }
  if (length !== undefined && !/^\d{1,15}$/.test(length)) throw badRequest("Content-Length is not one number");
  if (coding !== undefined) return Infinity;
  if (length !== undefined) return Number(length);
  // The platform gives no body with the others.
  return request.method === "GET" || request.method === "HEAD" || request.body === null ? 0 : undefined;
}

/** Refuses what no app could agree to: RFC 6455, section 4.2.1. */
function checkWebSocket(headers: Headers): void {
  const protocols = splitList(headers.get("sec-websocket-protocol"));
  if (
    headers.get("sec-websocket-version") !== "13" ||
    !/^[A-Za-z0-9+/]{22}==$/.test(headers.get("sec-websocket-key") ?? "") ||
    new Set(protocols).size < protocols.length || !protocols.every((protocol) => TOKEN.test(protocol))
  ) throw badRequest("The request for a WebSocket is not one of version 13");
}

/** Drops the headers that `Connection` names, but for those that a client must not be able to take away. */
function dropNamed(headers: Header[], connection: string): void {
  const named = listItems(connection);
  for (let at = headers.length - 1; at >= 0; at--) {
    const name = headers[at]![0];
    if (name !== "host" && named.includes(name)) headers.splice(at, 1);
  }
}

/** Whether two authorities mean the same place; port 80 may be left out. */
function sameAuthority(a: string, b: string): boolean {
  const [first, second] = [parseHostname(a)?.name, parseHostname(b)?.name];
  const port = (authority: string) => /:(\d+)$/.exec(authority)?.[1] ?? "80";
  return first !== undefined && first === second && port(a) === port(b);
}

/** One element of `Forwarded`: RFC 7239, section 4. */
function forwardedElement(peer: string, host: string): string {
  const node = peer.includes(":") ? `"[${peer}]"` : peer;
  return `for=${node};host="${host}";proto=http`;
}

function badHost(): ClessError {
  return new ClessError("bad_host", "The request needs one valid hostname in the header Host, such as NAME.localhost");
}

function badRequest(message: string): ClessError {
  return new ClessError("bad_request", message);
}
