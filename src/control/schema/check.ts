import { z } from "zod";
import { type Fault, type FieldPath, InvalidError, MAX_FAULTS, unknownField } from "./invalid.ts";

const UNKNOWN = "unknown field";
const MISSING = "is missing";

/**
 * An object with exactly these fields. The error for unknown fields has a line for each of the first ones, which
 * suggests the most similar field.
 */
export function strict<S extends z.ZodRawShape>(shape: S) {
  const known = Object.keys(shape);
  const suggest = (names: readonly string[]) => names.map((name) => unknownField(name, known)).join("\n");
  return z.strictObject(shape, {
    error: (issue) => issue.code === "unrecognized_keys" ? suggest(issue.keys.slice(0, MAX_FAULTS)) : undefined,
  });
}

/**
 * Reads a value by a schema; `path` is its place.
 *
 * @throws {InvalidError} With a fault for each wrong field; unknown fields come first.
 */
export function check<T extends z.ZodType>(schema: T, value: unknown, path: FieldPath = []): z.output<T> {
  refuseProto(value, path);
  const result = schema.safeParse(value, { error: explain });
  if (result.success) return result.data;
  const [first, ...others] = withoutEchoes(faultsOf(result.error.issues, path));
  throw new InvalidError(first!.path, first!.reason, first!.ofName, others);
}

/** The faults of all issues, those of unknown fields first. In a union, those of the most likely alternative. */
function faultsOf(issues: readonly z.core.$ZodIssue[], above: FieldPath): Fault[] {
  const isUnknown = ({ code }: z.core.$ZodIssue) => code === "unrecognized_keys";
  return [...issues.filter(isUnknown), ...issues.filter((issue) => !isUnknown(issue))].flatMap((issue): Fault[] => {
    const path = [...above, ...issue.path as (string | number)[]];
    switch (issue.code) {
      case "unrecognized_keys": {
        const reasons = issue.message.split("\n");
        return issue.keys.map((key, at) => ({ path: [...path, key], reason: reasons[at] ?? UNKNOWN, ofName: true }));
      }
      case "invalid_key":
        return [{ path, reason: issue.issues[0]?.message ?? issue.message, ofName: true }];
      case "invalid_union":
        return faultsOf(likeliest(issue.errors), path);
      default:
        return [{ path, reason: issue.message, ofName: false }];
    }
  });
}

/** The issues of the first alternative that is of the value's kind. */
function likeliest(alternatives: readonly z.core.$ZodIssue[][]): z.core.$ZodIssue[] {
  const isOfOtherKind = ([first]: z.core.$ZodIssue[]) => first?.code === "invalid_type" && first.path.length === 0;
  return alternatives.find((issues) => !isOfOtherKind(issues)) ?? alternatives[0]!;
}

/**
 * Leaves out the faults that only repeat another one: further faults of the same field, and fields that are missing
 * beside an unknown one, since a misspelt field is also missing.
 */
function withoutEchoes(faults: readonly Fault[]): Fault[] {
  const keyOf = (path: FieldPath) => JSON.stringify(path);
  const misspelt = new Set(faults.filter(({ ofName }) => ofName).map(({ path }) => keyOf(path.slice(0, -1))));
  const told = new Set<string>();
  return faults.filter(({ path, reason }) => {
    const key = keyOf(path);
    if (told.has(key) || (reason.startsWith(MISSING) && misspelt.has(keyOf(path.slice(0, -1))))) return false;
    told.add(key);
    return true;
  });
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
      if (issue.input === undefined) return `${MISSING}, and must be ${right}`;
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
