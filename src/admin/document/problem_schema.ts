import { z } from "zod";
import type { ErrorCode } from "../../base/errors.ts";

/** What each code of the API means. */
export const MEANINGS = {
  invalid: "the request is wrong; the detail names the field",
  unauthorized: "the token is missing or wrong",
  forbidden: "the token does not allow it, or a page of somebody else's asks",
  not_found: "there is no such thing",
  conflict: "it does not go with how things are now",
  stale: "the service has changed since",
  too_large: "the body is above 1 MiB",
  unsupported_type: "the body has a wrong content-type",
  image_unavailable: "the image cannot be had; nothing has changed",
  revision_failed: "the revision does not work; traffic is as before",
  too_many_attempts: "too many wrong tokens came from this address; Retry-After says when to try again",
  internal: "cless has failed, and its log says why",
  store_unavailable: "what cless keeps cannot be read or written now; the detail says what to do",
} as const satisfies Partial<Record<ErrorCode, string>>;

/** A code that the document has. */
export type DocumentedCode = keyof typeof MEANINGS;

/** Those that every operation with a token may fail with. */
export const COMMON_ERRORS: readonly DocumentedCode[] = [
  "invalid",
  "unauthorized",
  "forbidden",
  "too_large",
  "too_many_attempts",
  "internal",
];
/** Those that every operation without one may fail with. */
export const OPEN_ERRORS: readonly DocumentedCode[] = ["internal"];

/** Whether the document has a code. */
export function isDocumented(code: ErrorCode): code is DocumentedCode {
  return Object.hasOwn(MEANINGS, code);
}

const fields = {
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string().meta({ description: "What is wrong, on one line" }),
  code: z.string().meta({ description: "What is wrong, for programs" }),
};

/** What is told of a request that failed. */
export const problemSchema = z.strictObject(fields).meta({
  id: "Problem",
  examples: [{
    type: "about:blank",
    title: "Bad Request",
    status: 400,
    detail: "port: must be a whole number from 1 to 65535",
    code: "invalid",
  }],
});

/** What is told of a revision or an image that does not work. */
export const failureSchema = z.strictObject({
  ...fields,
  reason: z.string().meta({ description: "Why, without what it happened to" }),
  output: z.array(z.string()).meta({ description: "The last lines that it wrote" }),
}).meta({ id: "Failure" });
