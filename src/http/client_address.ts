import { type Cidr, isLoopback, parseIp, withoutMapping } from "../model/ip.ts";
import { splitList } from "./headers.ts";

/** The client's address if a trusted proxy names a client, but not by an address. It is in no range. */
const UNKNOWN_CLIENT = "unknown";

/** What trusted proxies say about the way of a request. */
export interface Hops {
  /** The value of `X-Forwarded-For`. */
  readonly forwardedFor: string | undefined;
  /** The value of `Forwarded` (RFC 7239). It counts only if there is no `X-Forwarded-For`. */
  readonly forwarded: string | undefined;
}

/**
 * The address of the client that a chain of trusted proxies names. Reads the list from the right: each proxy adds the
 * address that it got the request from, so everything left of the first address that is not trusted may be made up.
 *
 * A loopback address is on the machine of the proxy that names it. If that proxy is on another machine, the proxy itself
 * counts as the client, so that no other machine's client is taken for one of this machine.
 *
 * @param peer The address of a trusted proxy, the last before cless.
 * @returns An address, or `unknown` if a trusted proxy names a client by something else.
 */
export function clientAddress(peer: string, { forwardedFor, forwarded }: Hops, trusted: readonly Cidr[]): string {
  const hops = forwardedFor === undefined ? forwardedNodes(forwarded ?? "") : splitList(forwardedFor);
  let client = peer;
  while (hops.length > 0 && trusted.some((range) => range.contains(client))) {
    const next = addressOf(hops.pop()!);
    if (next === undefined) return UNKNOWN_CLIENT;
    if (isLoopback(next) && !isLoopback(client)) return client;
    client = next;
  }
  return client;
}

/**
 * Whether headers name any client or proxy that is not on this machine. No trust is needed: who makes such a header up
 * only loses by it.
 */
export function namesOtherMachines(headers: Headers): boolean {
  const [forwardedFor, realIp, forwarded] = ["x-forwarded-for", "x-real-ip", "forwarded"].map((name) =>
    headers.get(name) ?? ""
  );
  const nodes = [...splitList(forwardedFor!), ...splitList(realIp!), ...forwardedNodes(forwarded!)];
  return !nodes.every((node) => isLoopback(addressOf(node) ?? node));
}

/** The nodes that the elements of a `Forwarded` header name with `for`; an element without one names an unknown node. */
function forwardedNodes(value: string): string[] {
  // Commas and semicolons may be in quoted strings.
  const elements = value.match(/(?:[^,"]|"(?:[^"\\]|\\.)*"?)+/g) ?? [];
  return elements.filter((element) => element.trim() !== "").map((element) =>
    /(?:^|;)\s*for\s*=\s*(?:"([^"]*)"|([^\s;",]+))\s*(?:;|$)/i.exec(element)?.slice(1).find(Boolean) ?? UNKNOWN_CLIENT
  );
}

/** The address of a node, which may have a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`. */
function addressOf(node: string): string | undefined {
  const [, v6, v4] = /^(?:\[([^\]]*)\](?::\w+)?|(\d+\.\d+\.\d+\.\d+):\w+)$/.exec(node) ?? [];
  const address = v6 ?? v4 ?? node;
  return parseIp(address) === undefined ? undefined : withoutMapping(address.toLowerCase());
}
