import { z } from "zod";
import { check } from "../control/schema/check.ts";
import { queryValues } from "./query_values.ts";

/** The parameters that a route takes, by name. */
export type QueryShape = Readonly<Record<string, z.ZodType>>;

/**
 * Reads the query of a request.
 *
 * @param text What stands behind the question mark.
 * @throws {InvalidError} For the first parameter that is unknown, is there twice, or is wrong.
 */
export function readQuery<S extends QueryShape>(text: string, shape: S): z.output<z.ZodObject<S>> {
  return check(z.object(shape), { ...queryValues(text, Object.keys(shape)) });
}

/** A parameter that is `true` or `false`. */
export function flag(byDefault: boolean, description: string) {
  return z.enum(["true", "false"]).default(byDefault ? "true" : "false").transform((value) => value === "true")
    .meta({ description });
}

/** A parameter that is a whole number. */
export function whole(min: number, max: number, meta: { readonly description: string; readonly examples?: number[] }) {
  const message = `must be a whole number from ${min} to ${max}`;
  return z.string().regex(/^(0|[1-9][0-9]{0,15})$/, message).transform(Number)
    .refine((value) => value >= min && value <= max, message)
    .meta({ type: "integer", minimum: min, maximum: max, ...meta });
}

const INSTANT = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;

/** Whether a text is a moment as RFC 3339 has it. */
export function isInstant(text: string): boolean {
  return INSTANT.test(text) && !Number.isNaN(Date.parse(text));
}

/** A parameter that is a moment; read as ms since 1970. */
export function instant(description: string) {
  return z.string().refine(isInstant, "must be a time such as 2026-11-25T10:00:00Z").transform((text) =>
    Date.parse(text)
  )
    .meta({ format: "date-time", description, examples: ["2026-11-25T10:00:00.000Z"] });
}
