import { concat } from "@std/bytes/concat";
import type { Clock } from "../base/clock.ts";
import { plainMessageOf } from "../base/errors.ts";
import { isLocalName } from "../model/host.ts";

/** A request to a server that an operator has named. */
export interface ServerRequest {
  readonly method?: string;
  readonly headers: Iterable<[string, string]>;
  readonly body?: string | undefined;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal?: AbortSignal | undefined;
}

/** The limits of an answer. */
export interface AnswerLimits {
  readonly timeoutMs: number;
  /** The largest body, bytes. */
  readonly maxBytes: number;
}

/**
 * Sends a request to a server that an operator has named, such as one for sign-in, and reads its whole answer. Follows
 * no redirect, and decodes no body that the server has compressed.
 *
 * @throws {Error} If there is no whole answer within the limits; the message says why in a few words.
 * @throws The signal's reason, if it is aborted.
 */
export async function askServer(
  url: URL,
  { method = "GET", headers, body, signal }: ServerRequest,
  { timeoutMs, maxBytes }: AnswerLimits,
  clock: Pick<Clock, "after">,
): Promise<Response> {
  const late = new AbortController();
  const cancel = clock.after(timeoutMs, () => late.abort(new Error(`no answer within ${timeoutMs / 1000} s`)));
  // This machine's resolver may not know names below `localhost`.
  const isLocal = isLocalName(url.hostname);
  using client = isLocal ? Deno.createHttpClient({ allowHost: true, http2: false }) : undefined;
  const own: [string, string][] = [
    ["accept-encoding", "identity"],
    ...isLocal ? [["host", url.host] as [string, string]] : [],
  ];
  try {
    const response = await fetch(isLocal ? onLoopback(url) : url, {
      ...{ method, redirect: "manual", headers: [...own, ...headers] },
      body: body ?? null,
      signal: AbortSignal.any([late.signal, ...signal === undefined ? [] : [signal]]),
      ...client === undefined ? {} : { client },
    });
    if (response.status < 200) throw new Error(`it answered with ${response.status}, which is no whole answer`);
    const bytes = await readAtMost(response, maxBytes);
    return new Response(bytes.length > 0 ? bytes : null, response);
  } catch (error) {
    signal?.throwIfAborted();
    late.signal.throwIfAborted();
    throw error instanceof TypeError && error.cause instanceof Error ? new Error(reasonOf(error.cause)) : error;
  } finally {
    cancel();
  }
}

/** The end of a platform's message such as `error sending request for url (…): client error (Connect): dns error: …`. */
function reasonOf(cause: Error): string {
  return plainMessageOf(cause).replace(/^.*client error \(\w+\): /, "");
}

function onLoopback(url: URL): URL {
  const local = new URL(url);
  local.hostname = "127.0.0.1";
  return local;
}

/** @throws {RangeError} If the body is larger. */
async function readAtMost({ body }: Response, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of body ?? []) {
    length += part.length;
    if (length > maxBytes) throw new RangeError(`its answer is larger than ${maxBytes} bytes`);
    parts.push(part);
  }
  return concat(parts);
}
