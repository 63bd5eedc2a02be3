import { z } from "zod";
import { allows } from "../../control/access/tokens.ts";
import { ClessError } from "../../base/errors.ts";
import { done, json } from "../answer.ts";
import { readIfMatch } from "../etag.ts";
import { declaredOf, IF_MATCH, revisionParam, serviceOf, serviceParam, shown } from "../names.ts";
import { operation } from "../operation.ts";
import type { RevisionView } from "../../control/catalog.ts";
import type { AdminParts } from "../parts.ts";
import { revisionSummary, revisionView, showRevision, summarizeRevision } from "../views.ts";

const params = { name: serviceParam, revision: revisionParam };

/** The revisions of a service. */
export const revisionOperations = [
  operation({
    id: "listRevisions",
    method: "get",
    path: "/v1/services/{name}/revisions",
    scope: "read",
    tag: "revisions",
    summary: "List the revisions of a service, newest first",
    params: { name: serviceParam },
    answers: { 200: { description: "All of them", schema: z.array(revisionSummary) } },
    errors: ["not_found"],
    run: ({ parts, params: { name } }) => json(revisionsOf(parts, name).map(summarizeRevision)),
  }),
  operation({
    id: "showRevision",
    method: "get",
    path: "/v1/services/{name}/revisions/{revision}",
    scope: "read",
    tag: "revisions",
    summary: "Show a revision with its template",
    params,
    answers: { 200: { description: "The revision", schema: revisionView } },
    errors: ["not_found"],
    run: ({ parts, holder, params: { name, revision } }) => {
      const found = revisionsOf(parts, name).find((one) => one.name === revision);
      if (found === undefined) {
        throw new ClessError("not_found", `The service ${name} has no revision ${shown(revision)}`);
      }
      return json(showRevision(found, !allows(holder.scope, "deploy")));
    },
  }),
  operation({
    id: "deleteRevision",
    method: "delete",
    path: "/v1/services/{name}/revisions/{revision}",
    scope: "deploy",
    tag: "revisions",
    summary: "Remove a revision that has no traffic and no tag, and is not the latest",
    params,
    headers: IF_MATCH,
    answers: { 204: { description: "It is gone" } },
    errors: ["not_found", "conflict", "stale", "store_unavailable"],
    run: async ({ parts, request, holder, params: { name, revision } }) => {
      const ifMatch = readIfMatch(request.headers, declaredOf(parts, name));
      await parts.deployer.deleteRevision(name, revision, { by: holder.name, ...ifMatch });
      return done();
    },
  }),
];

function revisionsOf(parts: AdminParts, name: string): readonly RevisionView[] {
  serviceOf(parts, name);
  return parts.catalog.revisions(name) ?? [];
}
