import { concat } from "@std/bytes/concat";
import { InvalidError } from "../control/schema/invalid.ts";
import { ClessError } from "../base/errors.ts";

/** The limit for a request's body, bytes. */
const MAX_BODY_BYTES = 1024 * 1024;
const COMMON_HEADERS = { "cache-control": "no-store", "x-content-type-options": "nosniff" };
const encoder = new TextEncoder();

/** Refuses a too large Content-Length. @throws {ClessError} `too_large` */
export function checkLength(headers: Headers): void {
  if (Number(headers.get("content-length") ?? 0) > MAX_BODY_BYTES) throw tooLarge();
}

/** Reads a request's body as JSON. @throws {ClessError} `too_large`, `unsupported_type` @throws {InvalidError} */
export async function readJson(request: Request, maxBytes = MAX_BODY_BYTES): Promise<unknown> {
  if (request.body === null) throw new InvalidError([], "is missing, and must be JSON");
  checkType(request.headers, ["application/json"]);
  const bytes = await readBytes(request, maxBytes);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new InvalidError([], "must be text in UTF-8");
  }
  if (text.trim() === "") throw new InvalidError([], "is empty, and must be JSON");
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidError([], `is not JSON${jsonProblem(error)}`);
  }
}

/** Refuses a body that is of none of these types. Text must be UTF-8. @throws {ClessError} `unsupported_type` */
export function checkType(headers: Headers, types: readonly string[]): void {
  const [type = "", ...parameters] = (headers.get("content-type") ?? "").toLowerCase().split(";").map((s) => s.trim());
  const charset = parameters.find((parameter) => parameter.startsWith("charset="))?.slice(8).replaceAll('"', "");
  if (types.includes(type) && (charset === undefined || charset === "utf-8" || charset === "us-ascii")) return;
  throw new ClessError("unsupported_type", `The body's content-type must be ${types.join(" or ")}, in UTF-8`);
}

/** Reads a body to its end. Stops when it is too large. @throws {ClessError} `too_large` */
export async function readBytes(request: Request, maxBytes = MAX_BODY_BYTES): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = request.body?.getReader();
  for (;;) {
    const chunk = await reader?.read().catch(() => {
      throw new InvalidError([], "ended too early");
    });
    if (chunk?.value === undefined) return concat(chunks);
    length += chunk.value.length;
    if (length > maxBytes) {
      await reader?.cancel().catch(() => {});
      throw tooLarge(maxBytes);
    }
    chunks.push(chunk.value);
  }
}

function tooLarge(maxBytes = MAX_BODY_BYTES): ClessError {
  const size = maxBytes < MAX_BODY_BYTES ? `${maxBytes / 1024} KiB` : `${maxBytes / 1024 / 1024} MiB`;
  return new ClessError("too_large", `The body must be at most ${size}`);
}

/** The platform's message about invalid JSON. Leaves out its quote from the body, which could be secret. */
function jsonProblem(error: unknown): string {
  const message = error instanceof Error ? error.message : "";
  const place = /\((line \d+ column \d+)\)/.exec(message)?.[1];
  const reason = /^(Expected .*?|Unexpected token .|Bad .*?|Unterminated .*?)(?: in JSON)?(?: at position|, )/.exec(
    message,
  )?.[1];
  if (/^Unexpected end/.test(message)) return ": it ends too early";
  if (reason === undefined) return place === undefined ? "" : `, at ${place}`;
  return `: ${reason[0]!.toLowerCase()}${reason.slice(1)}${place === undefined ? "" : ` at ${place}`}`;
}

/** Options of a response. */
export interface ResponseOptions {
  /** 200 by default. */
  readonly status?: number;
  /** Further headers. They replace common headers of the same name. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A JSON response; leaves out `undefined` properties. */
export function json(value: unknown, { status = 200, headers = {} }: ResponseOptions = {}): Response {
  return content(JSON.stringify(value) + "\n", "application/json", { status, headers });
}

/** A response of any type. If its length is known, it gets a Content-Length, so that the answer to HEAD has it too. */
export function content(body: BodyInit, type: string, options: ResponseOptions = {}): Response {
  const { status = 200, headers = {} } = options;
  const bytes = typeof body === "string" ? encoder.encode(body) : undefined;
  const length = bytes === undefined ? {} : { "content-length": String(bytes.length) };
  return new Response(bytes ?? body, {
    status,
    headers: { "content-type": type, ...length, ...COMMON_HEADERS, ...headers },
  });
}

/** The response to a successful request without a result: 204. */
export function noContent(): Response {
  return new Response(null, { status: 204, headers: COMMON_HEADERS });
}
