import { check } from "../../control/schema/check.ts";
import { checkTagLength } from "../../control/schema/invalid.ts";
import { targetsSchema } from "../../control/schema/schema.ts";
import type { Traffic } from "../../model/traffic.ts";
import { readJson } from "../body.ts";
import { readIfMatch } from "../etag.ts";
import { declaredOf, IF_MATCH, serviceParam } from "../names.ts";
import { operation } from "../operation.ts";
import { answerService } from "./services.ts";
import { serviceView, showTarget, trafficSchema } from "../views.ts";

const params = { name: serviceParam };
const ETAG = { ETag: "The etag of the service" };

/** Who gets how much of a service's traffic. */
export const trafficOperations = [
  operation({
    id: "setTraffic",
    method: "put",
    path: "/v1/services/{name}/traffic",
    scope: "deploy",
    tag: "traffic",
    summary: "Share out the traffic anew",
    description: "The body is the whole split. Its percents must sum to 100; tags that it does not name are gone.",
    params,
    headers: IF_MATCH,
    body: {
      schema: trafficSchema,
      example: [{ revision: "shop-00001", percent: 10 }, { revision: "latest", percent: 90 }],
    },
    answers: { 200: { description: "The service as it is now", schema: serviceView, headers: ETAG } },
    errors: ["not_found", "conflict", "stale", "unsupported_type", "store_unavailable"],
    run: async ({ parts, request, holder, params: { name } }) => {
      const ifMatch = readIfMatch(request.headers, declaredOf(parts, name));
      const targets: Traffic = check(targetsSchema, await readJson(request), []).map(showTarget);
      targets.forEach(({ tag }, at) => {
        if (tag !== undefined) checkTagLength(name, tag, [at, "tag"]);
      });
      const service = await parts.deployer.setTraffic(name, targets, { by: holder.name, ...ifMatch });
      return answerService(parts, { ...service, convention: false });
    },
  }),
  operation({
    id: "rollback",
    method: "post",
    path: "/v1/services/{name}/rollback",
    scope: "deploy",
    tag: "traffic",
    summary: "Go back to the split before the last change of traffic",
    description: "`latest` is replaced by the name that it stood for, and tags stay. Done twice, all is as it was.",
    params,
    headers: IF_MATCH,
    answers: { 200: { description: "The service as it is now", schema: serviceView, headers: ETAG } },
    errors: ["not_found", "conflict", "stale", "store_unavailable"],
    run: async ({ parts, request, holder, params: { name } }) => {
      const ifMatch = readIfMatch(request.headers, declaredOf(parts, name));
      const service = await parts.deployer.rollback(name, { by: holder.name, ...ifMatch });
      return answerService(parts, { ...service, convention: false });
    },
  }),
];
