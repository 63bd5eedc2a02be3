import { z } from "zod";
import { type FieldPath, InvalidError, unknownField } from "./invalid.ts";

/** An object with exactly these fields. The error for an unknown field suggests the most similar one. */
export function strict<S extends z.ZodRawShape>(shape: S) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => issue.code === "unrecognized_keys" ? unknownField(issue.keys[0] ?? "", known) : undefined,
  });
}

/**
 * Reads a value by a schema; `path` is its place.
 *
 * @throws {InvalidError} For the first fault. Unknown fields are reported first, since a misspelt field is also
 * reported as missing.
 */
export function check<T extends z.ZodType>(schema: T, value: unknown, path: FieldPath = []): z.output<T> {
  refuseProto(value, path);
  const result = schema.safeParse(value, { error: explain });
  if (result.success) return result.data;
  const issue = firstOf(result.error.issues);
  const at = [...path, ...issue.path as (string | number)[]];
  if (issue.code === "unrecognized_keys") throw new InvalidError([...at, issue.keys[0]!], issue.message, true);
  if (issue.code === "invalid_key") throw new InvalidError(at, issue.issues[0]?.message ?? issue.message, true);
  throw new InvalidError(at, issue.message);
}

/**
 * The issue to report: an unknown field, else the first issue. In a union, the issue of the most likely alternative.
 */
function firstOf(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue {
  const issue = issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0]!;
  if (issue.code !== "invalid_union") return issue;
  const isOfOtherKind = ([first]: z.core.$ZodIssue[]) => first?.code === "invalid_type" && first.path.length === 0;
  const form = issue.errors.find((errors) => !isOfOtherKind(errors)) ?? issue.errors[0]!;
  const inner = firstOf(form);
  return { ...inner, path: [...issue.path, ...inner.path] };
}

/**
 * Refuses the name `__proto__`, which Zod silently drops from records.
 *
 * @param depth How deep to look. No schema has fields below this depth, but a body may be nested far deeper.
 */
function refuseProto(value: unknown, path: FieldPath, depth = 4): void {
  if (typeof value !== "object" || value === null || depth === 0) return;
  for (const [key, inner] of Object.entries(value)) {
    const at = [...path, Array.isArray(value) ? Number(key) : key];
    if (key === "__proto__") throw new InvalidError(at, "cannot be used as a name", true);
    refuseProto(inner, at, depth - 1);
  }
}

const KINDS: Record<string, string> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  object: "an object of names and values",
  record: "an object of names and values",
  array: "a list",
};

/** The default messages. They contain no values, which could be secret. */
function explain(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case "invalid_type": {
      const right = KINDS[issue.expected] ?? issue.expected;
      if (issue.input === undefined) return `is missing, and must be ${right}`;
      const quote = issue.expected === "string" && /^(number|boolean)$/.test(typeof issue.input);
      return `must be ${right}, and is ${kindOf(issue.input)}${quote ? "; put it in quotes" : ""}`;
    }
    case "invalid_value":
      return `must be one of ${issue.values.map(String).join(", ")}`;
    case "too_big":
      return `must be at most ${sizeOf(issue.maximum, issue.origin)}`;
    case "too_small":
      return `must be ${issue.inclusive === false ? "more than" : "at least"} ${sizeOf(issue.minimum, issue.origin)}`;
    default:
      return undefined;
  }
}

function kindOf(value: unknown): string {
  if (value === null) return "empty";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "boolean") return String(value);
  if (typeof value === "number" && !Number.isFinite(value)) return "not finite";
  if (typeof value === "number") return Number.isInteger(value) ? "a number" : "a fraction";
  return KINDS[typeof value] ?? typeof value;
}

function sizeOf(limit: number | bigint, origin: string): string {
  if (origin === "string") return `${limit} characters`;
  if (origin === "array") return `${limit} elements`;
  return String(limit);
}
