import { z } from "zod";
import { SCOPES } from "../control/access/tokens.ts";
import type { Scope } from "../control/records.ts";
import { ClessError } from "../base/errors.ts";
import type { ServiceView } from "../control/catalog.ts";
import type { AdminParts } from "./parts.ts";

/** What makes the name of a service, beside that there is no `--` in it and that it is not `admin`. */
export const SERVICE_PATTERN = "^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$";

/** The parameter of paths that names a service. */
export const serviceParam = z.string().meta({
  pattern: SERVICE_PATTERN,
  description: "The name of the service",
  examples: ["shop"],
});

/** The parameter of paths that names a revision. */
export const revisionParam = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, "must be the name of a revision").meta({
  description: "The name of the revision",
  examples: ["shop-00001"],
});

/** The header that names the state which a change is meant for. */
export const IF_MATCH = {
  "If-Match": z.string().optional().meta({
    pattern: '^(\\*|(W/)?"[0-9]{1,15}"|[0-9]{1,15})$',
    description: "The etag of the service as it is thought to be; where it has changed since, nothing is done",
    examples: ['"3"'],
  }),
};

/** The scopes, by what they allow. */
export const scopeSchema: z.ZodType<Scope> = z.enum(SCOPES).meta({
  description: "read allows to look, deploy also to change services and secrets, admin everything",
});

/** A service. @throws {ClessError} `not_found` */
export function serviceOf({ catalog }: Pick<AdminParts, "catalog">, name: string): ServiceView {
  const service = catalog.get(name);
  if (service === undefined) throw new ClessError("not_found", `There is no service ${shown(name)}`);
  return service;
}

/** A service that somebody has declared, which alone can be changed. @throws {ClessError} `not_found`, `conflict` */
export function declaredOf(parts: Pick<AdminParts, "catalog">, name: string): ServiceView {
  const service = serviceOf(parts, name);
  if (!service.convention) return service;
  throw new ClessError("conflict", `Nobody has declared ${name}: it is there by its image's name; deploy it first`);
}

/** A name as a message has it: names come from requests. */
export function shown(name: string): string {
  return /^[\w.-]{1,128}$/.test(name) ? name : "of this name";
}
