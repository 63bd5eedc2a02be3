import { concat } from "@std/bytes/concat";
import { InvalidError } from "../control/schema/invalid.ts";
import { ClessError } from "../base/errors.ts";

/** The most that a request may bring, bytes. */
const MAX_BODY = 1024 * 1024;

/** Refuses a body that says itself that it is too large. @throws {ClessError} `too_large` */
export function checkLength(headers: Headers): void {
  if (Number(headers.get("content-length") ?? 0) > MAX_BODY) throw tooLarge();
}

/**
 * Reads the JSON that a request brings.
 *
 * @throws {ClessError} `too_large`, `unsupported_type`
 * @throws {InvalidError} Where it is no JSON.
 */
export async function readJson(request: Request): Promise<unknown> {
  if (request.body === null) throw new InvalidError([], "is missing, and must be JSON");
  checkType(request.headers, ["application/json"]);
  const bytes = await readBytes(request);
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
    throw new InvalidError([], `is no JSON${whyNot(error)}`);
  }
}

/**
 * Refuses a body of another type; text must be UTF-8.
 *
 * @throws {ClessError} `unsupported_type`
 */
export function checkType(headers: Headers, types: readonly string[]): void {
  const [type = "", ...parameters] = (headers.get("content-type") ?? "").toLowerCase().split(";").map((s) => s.trim());
  const charset = parameters.find((parameter) => parameter.startsWith("charset="))?.slice(8).replaceAll('"', "");
  if (types.includes(type) && (charset === undefined || charset === "utf-8" || charset === "us-ascii")) return;
  throw new ClessError("unsupported_type", `The body's content-type must be ${types.join(" or ")}, in UTF-8`);
}

/** Reads a body to its end, but no further than is allowed. @throws {ClessError} `too_large` */
export async function readBytes(request: Request): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let length = 0;
  const reader = request.body?.getReader();
  for (;;) {
    const piece = await reader?.read().catch(() => {
      throw new InvalidError([], "ended too early");
    });
    if (piece?.value === undefined) return concat(parts);
    length += piece.value.length;
    if (length > MAX_BODY) {
      await reader?.cancel().catch(() => {});
      throw tooLarge();
    }
    parts.push(piece.value);
  }
}

function tooLarge(): ClessError {
  return new ClessError("too_large", "The body must be at most 1 MiB");
}

/** What the platform says of JSON that is none, without the piece of the body that it shows. */
function whyNot(error: unknown): string {
  const message = error instanceof Error ? error.message : "";
  const place = /\((line \d+ column \d+)\)/.exec(message)?.[1];
  const reason = /^(Expected .*?|Unexpected token .|Bad .*?|Unterminated .*?)(?: in JSON)?(?: at position|, )/.exec(
    message,
  )?.[1];
  if (/^Unexpected end/.test(message)) return ": it ends too early";
  if (reason === undefined) return place === undefined ? "" : `, at ${place}`;
  return `: ${reason[0]!.toLowerCase()}${reason.slice(1)}${place === undefined ? "" : ` at ${place}`}`;
}
