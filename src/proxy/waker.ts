import { pathOf, type RequestHead } from "../http/request_head.ts";
import { defined } from "../model/defined.ts";
import { prefixOf } from "../model/ip.ts";
import type { RequestWaker } from "../model/waker.ts";
import { isKnownRobot } from "../routing/known_robots.ts";

/**
 * What is kept of a request that wakes a service. `path`: its target without the query, and the client's network.
 * `full`: the whole target, and the client's address. `off`: only that it was a request.
 */
export type WakeLogDetail = "off" | "path" | "full";

/** Longer texts are cut off: clients choose them. */
const MAX_LENGTH = 200;
/** The first bits of a client's address that are kept: what a provider usually gives to several, or to one, customer. */
const NETWORK_BITS = { v4: 24, v6: 48 };

/** What is kept of a request that wakes a service. */
export function wakerOf(head: RequestHead, detail: WakeLogDetail): RequestWaker {
  if (detail === "off") return { kind: "request" };
  const { client, headers, hostname, method, target } = head;
  const userAgent = headers.find(([name]) => name === "user-agent")?.[1];
  return {
    kind: "request",
    method: cut(method),
    host: cut(hostname.name),
    path: cut(detail === "full" ? target : pathOf(target)),
    network: cut(detail === "full" ? client : prefixOf(client, NETWORK_BITS)),
    ...defined({
      userAgent: userAgent === undefined ? undefined : cut(userAgent),
      robot: userAgent !== undefined && isKnownRobot(userAgent) ? true as const : undefined,
    }),
  };
}

function cut(text: string): string {
  return text.length <= MAX_LENGTH ? text : `${text.slice(0, MAX_LENGTH - 1)}…`;
}
