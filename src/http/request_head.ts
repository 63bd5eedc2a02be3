import { type Hostname, parseHostname } from "../model/host.ts";
import type { Cidr } from "../model/ip.ts";
import { ClessError } from "../base/errors.ts";
import { withoutAdminCookie } from "./admin_cookie.ts";
import { clientAddress } from "./client_address.ts";
import { type Header, listItems, REQUEST_HOP_BY_HOP, splitList } from "./headers.ts";

/** A request as an app gets it, without its body. */
export interface RequestHead {
  readonly hostname: Hostname;
  readonly method: string;
  /** Path and query, unchanged. */
  readonly target: string;
  /** Without `Content-Length` and `Transfer-Encoding`. */
  readonly headers: Header[];
  /** The value of `Content-Length`, if there is one. */
  readonly contentLength: string | undefined;
  /**
   * In bytes: 0 for no body, `Infinity` for an unknown length. `undefined` if no header says whether there is a body.
   */
  readonly bodyLength: number | undefined;
  /** Whether the client asks for a WebSocket. */
  readonly websocket: boolean;
  /** The address of the client: the peer's, unless the peer is a trusted proxy that names another one. */
  readonly client: string;
  /** Whether a trusted proxy says that the client uses HTTPS. */
  readonly secure: boolean;
}

/** The value of `Allow`: the methods that cless passes on. It passes on unknown ones too. */
export const ALLOW = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/** Methods that cless does not pass on. Lower case is refused too, since some apps take `trace` for `TRACE`. */
const REFUSED = /^(?:connect|trace|track)$/i;

/** A token: RFC 9110, section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

// A target must have neither a fragment nor characters beyond ASCII (RFC 9112, section 3.2). Apps disagree on what to
// do with them.
// deno-lint-ignore no-control-regex
const UNSAFE_TARGET = /[#\x00-\x20\x7f-\uffff]/;

/**
 * Reads a request's head and makes the app's headers: adds `X-Forwarded-*`, and removes hop-by-hop headers, headers that
 * an app could mistake for others, and the cookie of the admin API.
 *
 * @param peer The address of the client, or of the proxy before cless.
 * @param trusted Peers whose `X-Forwarded-*` and `Forwarded` are kept.
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
  const isTrusted = trusted.length > 0 && trusted.some((range) => range.contains(peer));
  const headers: Header[] = [];
  for (const header of request.headers) {
    const [name, value] = header;
    switch (name) {
      case "host":
        host = value;
        headers.push(header);
        break;
      case "cookie": {
        const kept = withoutAdminCookie(value);
        if (kept !== undefined) headers.push(kept === value ? header : [name, kept]);
        break;
      }
      case "connection":
        connection = value;
        break;
      case "upgrade":
        upgrade = value;
        break;
      case "content-length": // the forwarder writes it together with the body
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
        // CGI makes the same variable of `a-b` and `a_b`: https://www.rfc-editor.org/rfc/rfc3875#section-4.1.18
        if (REQUEST_HOP_BY_HOP.has(name) || name.includes("_")) break;
        if (isTrusted || !name.startsWith("x-forwarded-")) headers.push(header);
    }
  }

  const path = url.indexOf("/", url.indexOf("//") + 2);
  const authority = url.slice(url.indexOf("//") + 2, path === -1 ? undefined : path);
  if (host === undefined) {
    // HTTP/2 has `:authority` instead. For HTTP/1.1 without a Host, the platform fills in its own name.
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
  if (UNSAFE_TARGET.test(target)) throw badRequest("cless does not pass on a target like that");
  const bodyLength = readBodyLength(length, coding, request);
  // The platform gives no access to the body of a GET or HEAD.
  if (bodyLength !== 0 && (method === "GET" || method === "HEAD")) {
    throw badRequest(`cless does not pass on the body of a ${method}`);
  }
  if (connection !== undefined) dropNamed(headers, connection);

  headers.push(
    ["x-forwarded-for", isTrusted && forwardedFor ? `${forwardedFor}, ${peer}` : peer],
    ["x-forwarded-proto", isTrusted && forwardedProto ? forwardedProto : "http"],
    ["x-forwarded-host", isTrusted && forwardedHost ? forwardedHost : host],
  );
  if (isTrusted && forwarded) headers.push(["forwarded", `${forwarded}, ${forwardedElement(peer, host)}`]);

  const websocket = method === "GET" && upgrade?.toLowerCase() === "websocket" &&
    listItems(connection).includes("upgrade");
  if (websocket) checkWebSocket(request.headers);
  const client = isTrusted ? clientAddress(peer, { forwardedFor, forwarded }, trusted) : peer;
  const secure = isTrusted && isSecure(forwardedProto);
  return { hostname, method, target, headers, contentLength: length, bodyLength, websocket, client, secure };
}

/**
 * Whether a value of `X-Forwarded-Proto` names an encrypted scheme; some proxies write `wss` for a WebSocket. Of a list
 * with one scheme for each proxy, the last one counts: the trusted proxy has added it.
 */
function isSecure(forwardedProto: string | undefined): boolean {
  const scheme = listItems(forwardedProto).at(-1);
  return scheme === "https" || scheme === "wss";
}

/** Whether the target is the whole server: `OPTIONS *`, RFC 9110, section 9.3.7. The platform gives it as `/*`. */
export function isServerWide({ method, target }: RequestHead): boolean {
  return method === "OPTIONS" && target === "/*";
}

/** The length of the body in bytes, as in {@linkcode RequestHead}. @throws {ClessError} If the framing is ambiguous. */
function readBodyLength(length: string | undefined, coding: string | undefined, request: Request): number | undefined {
  if (coding !== undefined && coding.toLowerCase() !== "chunked") {
    throw badRequest("The only Transfer-Encoding that cless passes on is chunked");
  }
  if (length !== undefined && !/^\d{1,15}$/.test(length)) throw badRequest("Content-Length is not one number");
  if (coding !== undefined) return Infinity;
  if (length !== undefined) return Number(length);
  // In HTTP/2, no header announces a body. The platform gives no access to the body of a GET or HEAD.
  return request.method === "GET" || request.method === "HEAD" || request.body === null ? 0 : undefined;
}

/** Refuses a handshake that every app would refuse: RFC 6455, section 4.2.1. */
function checkWebSocket(headers: Headers): void {
  const protocols = splitList(headers.get("sec-websocket-protocol"));
  if (
    headers.get("sec-websocket-version") !== "13" ||
    !/^[A-Za-z0-9+/]{22}==$/.test(headers.get("sec-websocket-key") ?? "") ||
    new Set(protocols).size < protocols.length || !protocols.every((protocol) => TOKEN.test(protocol))
  ) throw badRequest("The handshake of the WebSocket is not a valid one of version 13");
}

/** Removes the headers that `Connection` names. */
function dropNamed(headers: Header[], connection: string): void {
  const named = listItems(connection);
  for (let at = headers.length - 1; at >= 0; at--) {
    const name = headers[at]![0];
    if (name !== "host" && named.includes(name)) headers.splice(at, 1); // an app must always get the Host
  }
}

function sameAuthority(a: string, b: string): boolean {
  const [first, second] = [parseHostname(a)?.name, parseHostname(b)?.name];
  const port = (authority: string) => /:(\d+)$/.exec(authority)?.[1] ?? "80";
  return first !== undefined && first === second && port(a) === port(b);
}

/** An element of `Forwarded`: RFC 7239, section 4. */
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

/** A target without its query. Only this part may be logged, since a query may hold secrets. */
export function pathOf(target: string): string {
  const query = target.indexOf("?");
  return query === -1 ? target : target.slice(0, query);
}

/** The value of `Host`: the name under which the client knows the service, with its port. */
export function hostOf({ headers, hostname }: RequestHead): string {
  return headers.find(([name]) => name === "host")?.[1] ?? hostname.name;
}
