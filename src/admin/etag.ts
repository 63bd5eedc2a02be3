import { InvalidError } from "../control/schema/invalid.ts";
import { StaleError } from "../control/store.ts";
import type { ServiceView } from "../control/catalog.ts";

/** The etag of a service at a generation, as a header has it. */
export function etagOf(generation: number): string {
  return `"${generation}"`;
}

/**
 * The generation that a change is meant for, by the request's `If-Match`.
 *
 * @param service As it is; `undefined` where there is none.
 * @throws {InvalidError} Where the header is none of ours.
 * @throws {StaleError} Where it asks for any service at all, and there is none.
 */
export function readIfMatch(headers: Headers, service: ServiceView | undefined): { ifMatch?: number } {
  const value = headers.get("if-match")?.trim();
  if (value === undefined) return {};
  if (value === "*") {
    if (service === undefined) throw new StaleError("there is no such service");
    return {};
  }
  const [, quoted, bare] = /^(?:(?:W\/)?"(\d{1,15})"|(\d{1,15}))$/.exec(value) ?? [];
  const digits = quoted ?? bare;
  if (digits === undefined) throw new InvalidError(["If-Match"], 'must be the etag of the service, such as "3", or *');
  return { ifMatch: Number(digits) };
}
