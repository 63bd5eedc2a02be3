/** What a request is sent to. */
export interface Target {
  /** The host that it was meant for, in small letters, with its port where it has one. */
  readonly host: string;
  /** As it came: nothing in it is decoded. */
  readonly path: string;
  readonly query: string;
}

/** Reads a request's target. By hand, since the platform's URL refuses what a client may send as its host. */
export function targetOf({ headers, url }: Pick<Request, "headers" | "url">): Target {
  const [, authority = "", path = "", query = ""] = /^[^:]*:\/\/([^/?#]*)([^?#]*)\??([^#]*)/.exec(url) ?? [];
  return { host: (headers.get("host") ?? authority).toLowerCase(), path: path || "/", query };
}
