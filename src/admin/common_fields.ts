import { z } from "zod";
import { InvalidError } from "../control/schema/invalid.ts";
import { StaleError } from "../control/store.ts";
import type { ServiceView } from "../control/catalog.ts";

/** Stands for a value that a token may not see. */
export const MASK = "***";

// Fields of the requests and answers of several operations.

/** The pattern of services' names. In addition, they have no `--` and are not `admin`. */
export const SERVICE_PATTERN = "^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$";

/** A service's name in a path. */
export const serviceParam = z.string().meta({
  pattern: SERVICE_PATTERN,
  description: "The name of the service",
  examples: ["shop"],
});

/** A revision's name in a path or a query. */
export const revisionParam = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, "must be the name of a revision").meta({
  description: "The name of the revision",
  examples: ["shop-00001"],
});

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

export function isInstant(text: string): boolean {
  return INSTANT.test(text) && !Number.isNaN(Date.parse(text));
}

/** A time as a parameter; parsed to ms since 1970. */
export function instant(description: string) {
  return z.string().refine(isInstant, "must be a time such as 2026-11-25T10:00:00Z")
    .transform((text) => Date.parse(text))
    .meta({ format: "date-time", description, examples: ["2026-11-25T10:00:00.000Z"] });
}

/** A time in an answer. */
export const time = z.iso.datetime().meta({ examples: ["2026-11-25T10:00:00.000Z"] });

/** Writes a time. @param ms Since 1970. */
export function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

/** A name for use in a message. Names come from requests, so an unusual one is left out. */
export function shown(name: string): string {
  return /^[\w.-]{1,128}$/.test(name) ? name : "of this name";
}

/** The header `If-Match`, which says for which state of a service a change is meant. */
export const IF_MATCH = {
  "If-Match": z.string().optional().meta({
    pattern: '^(\\*|(W/)?"[0-9]{1,15}"|[0-9]{1,15})$',
    description: "The etag of the service as the client knows it; if it has changed since, nothing is done",
    examples: ['"3"'],
  }),
};

/** The etag of a service's generation, as in a header. */
export function etagOf(generation: number): string {
  return `"${generation}"`;
}

/**
 * The generation that a change is meant for, from the request's `If-Match`; `undefined` for any.
 *
 * @param service The present service; `undefined` if there is none.
 * @throws {InvalidError} If the header is not an etag.
 * @throws {StaleError} If it is `*`, which means any existing service, and there is none.
 */
export function readIfMatch(headers: Headers, service: ServiceView | undefined): number | undefined {
  const value = headers.get("if-match")?.trim();
  if (value === undefined) return undefined;
  if (value === "*") {
    if (service === undefined) throw new StaleError("there is no such service");
    return undefined;
  }
  const [, quoted, bare] = /^(?:(?:W\/)?"(\d{1,15})"|(\d{1,15}))$/.exec(value) ?? [];
  const digits = quoted ?? bare;
  if (digits === undefined) throw new InvalidError(["If-Match"], 'must be the etag of the service, such as "3", or *');
  return Number(digits);
}
