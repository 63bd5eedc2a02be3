/** A header line. */
export type Header = [name: string, value: string];

/** Headers of a response that are meant for one hop only: RFC 9110, section 7.6.1, and RFC 2616, section 13.5.1. */
export const RESPONSE_HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Headers of a request that are meant for one hop only. */
export const REQUEST_HOP_BY_HOP: ReadonlySet<string> = new Set([
  ...RESPONSE_HOP_BY_HOP,
  ...["proxy-authenticate", "proxy-authorization", "te"],
]);

/** A response's headers without those for one hop, and without those that the value of `Connection` names. */
export function endToEnd(headers: Iterable<Header>, connection: string | null | undefined): Header[] {
  const named = listItems(connection);
  return [...headers].filter(([name]) => {
    const lower = name.toLowerCase();
    return !RESPONSE_HOP_BY_HOP.has(lower) && !named.includes(lower);
  });
}

/** The items of a header that is a list, such as Connection: in lower case, trimmed. */
export function listItems(value: string | null | undefined): string[] {
  return splitList(value?.toLowerCase());
}

/** The items of a header that is a list: in their own case, trimmed. */
export function splitList(value: string | null | undefined): string[] {
  return (value ?? "").split(",").map((item) => item.trim()).filter(Boolean);
}
