import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import {
  ClessError,
  type ErrorCode,
  messageOf,
  OperatorError,
  plainMessageOf,
  UsageError,
} from "../../src/base/errors.ts";

/** One code means one status; docs/reference.md lists those of the proxy. */
const STATUSES: Record<ErrorCode, number> = {
  bad_host: 400,
  bad_request: 400,
  invalid: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  unknown_host: 404,
  method_not_allowed: 405,
  client_timeout: 408,
  conflict: 409,
  stale: 412,
  too_large: 413,
  unsupported_type: 415,
  image_unavailable: 422,
  revision_failed: 422,
  rate_limited: 429,
  too_many_attempts: 429,
  internal: 500,
  start_failed: 502,
  upstream_failed: 502,
  draining: 503,
  maintenance: 503,
  overloaded: 503,
  asleep: 503,
  crash_loop: 503,
  store_unavailable: 503,
  volume_away: 503,
  start_timeout: 504,
  upstream_timeout: 504,
};

Deno.test("each code has one status", () => {
  for (const [code, status] of Object.entries(STATUSES)) {
    assertEquals(new ClessError(code as ErrorCode, "").status, status, code);
  }
});

Deno.test("an error keeps the detail for the operator apart from its message", () => {
  const cause = new Error("refused");
  const error = new ClessError("overloaded", "Too many requests wait", { cause, detail: "2000", retryAfterS: 3 });
  assert(error instanceof Error);
  assertEquals(error.message, "Too many requests wait");
  assertEquals([error.name, error.code, error.detail, error.retryAfterS], ["ClessError", "overloaded", "2000", 3]);
  assertStrictEquals(error.cause, cause);
  assertEquals(error.allow, undefined);
  assertEquals(new ClessError("method_not_allowed", "", { allow: "GET" }).allow, "GET");
});

Deno.test("usage errors and operator errors can be told apart", () => {
  assertEquals(String(new UsageError("unknown flag --x")), "UsageError: unknown flag --x");
  assertEquals(String(new OperatorError("no engine")), "OperatorError: no engine");
  assert(!(new UsageError("") instanceof OperatorError));
});

Deno.test("the message of anything that was thrown is one line", () => {
  assertEquals(messageOf(new Error("it broke")), "it broke");
  assertEquals(messageOf(new Error("first\nsecond\r\n\n  third")), "first; second; third");
  assertEquals(messageOf(new Error("\n first\nsecond\n")), "first; second");
  assertEquals(messageOf("text\n"), "text");
  assertEquals(messageOf(undefined), "undefined");
  assertEquals(messageOf({ toString: () => "an object" }), "an object");
});

Deno.test("a system error is shown without its number", () => {
  assertEquals(
    plainMessageOf(new Error("No such file or directory (os error 2): readfile '/a'")),
    "No such file or directory",
  );
  assertEquals(plainMessageOf("it is\nfull"), "it is; full");
});
