import { z } from "zod";
import { parseService, retiredWarning } from "../../control/schema/schema.ts";
import { InvalidError } from "../../control/schema/invalid.ts";
import { logger } from "../../base/log.ts";
import { done, json } from "../answer.ts";
import { readJson } from "../body.ts";
import { etagOf, readIfMatch } from "../etag.ts";
import { declaredOf, IF_MATCH, serviceOf, serviceParam } from "../names.ts";
import { operation } from "../operation.ts";
import type { ServiceView } from "../../control/catalog.ts";
import type { DeployPreview } from "../../control/records.ts";
import type { AdminParts } from "../parts.ts";
import { flag, whole } from "../query.ts";
import { serviceView, showService, showTarget, trafficSchema } from "../views.ts";

const log = logger("admin");
const ETAG = { ETag: "The etag of the service" };
const CURSOR_RULE = "must be as the link to the next page has it";
const params = { name: serviceParam };

const listQuery = {
  limit: whole(1, 1000, { description: "How many at most; 100 where nothing is said" }).optional(),
  cursor: z.string().regex(/^[A-Za-z0-9_-]{1,100}$/, CURSOR_RULE).optional().meta({
    description: "Where to go on; as the link to the next page has it",
  }),
  q: z.string().max(100).optional().meta({ description: "Only those with this in their name", examples: ["sh"] }),
  convention: z.enum(["true", "false"]).optional().meta({
    description: "Only those that nobody has, or somebody has declared",
  }),
  declaredBy: z.string().max(4096).optional().meta({ description: "Only those that this file declared" }),
};

const previewSchema = z.strictObject({
  change: z.enum(["create", "update", "none"]),
  revision: z.string().optional().meta({ description: "The name that a new revision would get" }),
  changed: z.array(z.string()).meta({ description: "The fields of the template that would change" }),
  pull: z.boolean().meta({ description: "Whether the image would be pulled first" }),
  traffic: z.strictObject({ before: trafficSchema, after: trafficSchema }),
  domains: z.strictObject({ before: z.array(z.string()), after: z.array(z.string()) }),
  revisionHistory: z.strictObject({ before: z.int().optional(), after: z.int().optional() }),
  declaredBy: z.strictObject({ before: z.string().optional(), after: z.string().optional() }).meta({
    description: "The file that declares it; missing where none does",
  }),
}).meta({ id: "DeployPreview", description: "What a deploy would come to" });

/** The services themselves. */
export const serviceOperations = [
  operation({
    id: "listServices",
    method: "get",
    path: "/v1/services",
    scope: "read",
    tag: "services",
    summary: "List the services, by name",
    description: "Those that somebody has declared, and those that were found by their image and have been used.",
    query: listQuery,
    answers: {
      200: {
        description: "A page of them",
        schema: z.array(serviceView),
        headers: { Link: 'The next page, as <…>; rel="next"; missing on the last one' },
      },
    },
    run: ({ parts, query, target }) => {
      const { limit = 100, cursor, q, convention, declaredBy } = query;
      const last = cursor === undefined ? "" : readCursor(cursor);
      const page: ServiceView[] = [];
      let isLast = true;
      for (const service of parts.catalog.after(last)) {
        const isMeant = (q === undefined || service.name.includes(q)) &&
          (convention === undefined || service.convention === (convention === "true")) &&
          (declaredBy === undefined || service.declaredBy === declaredBy);
        if (!isMeant) continue;
        isLast = page.length < limit;
        if (!isLast) break;
        page.push(service);
      }
      const headers = isLast ? {} : { link: nextLink(target, cursorOf(page.at(-1)!.name)) };
      return json(page.map((service) => showService(service, parts.catalog.status(service.name), parts.urlOf)), {
        headers,
      });
    },
  }),
  operation({
    id: "showService",
    method: "get",
    path: "/v1/services/{name}",
    scope: "read",
    tag: "services",
    summary: "Show a service",
    params,
    answers: { 200: { description: "The service", schema: serviceView, headers: ETAG } },
    errors: ["not_found"],
    run: ({ parts, params: { name } }) => answerService(parts, serviceOf(parts, name)),
  }),
  operation({
    id: "deployService",
    method: "put",
    path: "/v1/services/{name}",
    scope: "deploy",
    tag: "services",
    summary: "Create or change a service",
    description:
      "The body is the whole template of a revision, and what holds for the service. The image is found or " +
      "pulled, and one instance of a new revision must become ready before it gets traffic. The same template as the " +
      "latest revision's makes no new one. What is said of no service field leaves that as it is. The deploy goes on " +
      "when the client leaves.",
    params,
    query: {
      wait: flag(true, "Whether a new revision must become ready first"),
      dryRun: flag(false, "Whether to say only what the deploy would come to"),
      declaredBy: z.string().min(1).max(4096).optional().meta({ description: "The file that declares the service" }),
    },
    headers: IF_MATCH,
    body: {
      schema: { $ref: "#/components/schemas/ServiceBody" },
      example: { image: "ghcr.io/acme/shop:1.0", env: { GREETING: "hello" }, domains: ["shop.example.org"] },
    },
    answers: {
      200: {
        description: "The service as it is now; with `dryRun`, what the deploy would come to",
        schema: z.union([serviceView, previewSchema]),
        headers: ETAG,
      },
      201: { description: "The service is new", schema: serviceView, headers: ETAG },
    },
    errors: ["conflict", "stale", "unsupported_type", "image_unavailable", "revision_failed", "store_unavailable"],
    run: async ({ parts, request, holder, params: { name }, query: { wait, dryRun, declaredBy } }) => {
      const input = parseService(name, await readJson(request));
      const warning = retiredWarning([input]);
      if (warning !== undefined) log.warning("request names retired fields", { service: name, reason: warning });
      const options = {
        by: holder.name,
        ...readIfMatch(request.headers, parts.catalog.get(name)),
        ...(declaredBy === undefined ? {} : { declaredBy }),
      };
      if (dryRun) return json(showPreview(await parts.deployer.plan(name, input, options)));
      const { service, isNew } = await parts.deployer.deploy(name, input, { ...options, wait });
      return answerService(parts, { ...service, convention: false }, isNew ? 201 : 200);
    },
  }),
  operation({
    id: "deleteService",
    method: "delete",
    path: "/v1/services/{name}",
    scope: "deploy",
    tag: "services",
    summary: "Remove a service with its revisions and instances",
    params,
    headers: IF_MATCH,
    answers: { 204: { description: "It is gone, and so are its containers" } },
    errors: ["not_found", "conflict", "stale", "store_unavailable"],
    run: async ({ parts, request, holder, params: { name } }) => {
      const ifMatch = readIfMatch(request.headers, declaredOf(parts, name));
      await parts.deployer.delete(name, { by: holder.name, ...ifMatch });
      return done();
    },
  }),
];

/** The answer that shows a service. */
export function answerService(parts: AdminParts, service: ServiceView, status = 200): Response {
  const headers = service.generation === undefined ? {} : { etag: etagOf(service.generation) };
  return json(showService(service, parts.catalog.status(service.name), parts.urlOf), { status, headers });
}

function showPreview({ changed, traffic, domains, ...rest }: DeployPreview): z.input<typeof previewSchema> {
  return {
    ...rest,
    changed: [...changed],
    traffic: { before: traffic.before.map(showTarget), after: traffic.after.map(showTarget) },
    domains: { before: [...domains.before], after: [...domains.after] },
  };
}

/** Where the next page is: the same request with another cursor. */
function nextLink({ path, query }: { readonly path: string; readonly query: string }, cursor: string): string {
  const parameters = new URLSearchParams(query);
  parameters.set("cursor", cursor);
  return `<${path}?${parameters}>; rel="next"`;
}

/** The last name of a page, so that it matters to nobody what comes and goes meanwhile. */
function cursorOf(name: string): string {
  return new TextEncoder().encode(name).toBase64({ alphabet: "base64url", omitPadding: true });
}

function readCursor(cursor: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.fromBase64(cursor, { alphabet: "base64url" }));
  } catch {
    throw new InvalidError(["cursor"], CURSOR_RULE);
  }
}
