import { z } from "zod";
import type { DeployRecord } from "../../control/records.ts";
import { json } from "../body.ts";
import type { Collaborators } from "../collaborators.ts";
import { serviceParam, time, timeOf, whole } from "../common_fields.ts";
import { tagged } from "../operation.ts";
import { serviceOf } from "./services.ts";

const operation = tagged("deploys");

const deployView = z.strictObject({
  revision: z.string().optional().meta({
    description: "The revision that it made or tried; missing if it ended before there was one",
  }),
  image: z.string(),
  by: z.string().meta({ description: "The name of the token that was used" }),
  startedAt: time,
  durationMs: z.int().min(0),
  outcome: z.enum(["deployed", "failed", "called off"]).meta({
    description:
      "A deploy is called off if cless stops or the service is deleted. Only `deployed` has changed anything",
  }),
  reason: z.string().optional().meta({ description: "Why it did not work; missing if it did" }),
  output: z.array(z.string()).meta({ description: "The last lines that the app wrote, if it failed" }),
}).meta({
  id: "Deploy",
  examples: [{
    revision: "shop-00002",
    image: "ghcr.io/acme/shop:1.1",
    by: "ci",
    startedAt: "2026-11-25T10:00:00.000Z",
    durationMs: 1240,
    outcome: "failed",
    reason: "the container ended with code 1 before it was ready",
    output: ["panic: no DATABASE_URL"],
  }],
});

/** A deploy that has ended, in JSON. */
export type DeployJson = z.output<typeof deployView>;

/** How deploys ended. */
export function deployOperations({ catalog, store }: Collaborators) {
  return [
    operation({
      id: "listDeploys",
      route: "GET /v1/services/{name}/deploys",
      scope: "read",
      summary: "List how the deploys of a service ended, newest first, also those that failed",
      description:
        "A service that never worked has deploys too. The newest 20 that worked are retained, and the newest 20 that " +
        "did not, for 90 days or until the service is removed. A deploy is listed once it has ended. Requests that " +
        "were refused, and deploys that had nothing to change, are not listed.",
      params: { name: serviceParam },
      query: { limit: whole(1, 100, { description: "How many at most; 100 by default" }).optional() },
      answers: { 200: { description: "The deploys", schema: z.array(deployView) } },
      errors: ["not_found", "store_unavailable"],
      run: ({ params: { name }, query: { limit = 100 } }) => {
        const deploys = store.deploys(name, limit);
        if (deploys.length === 0) serviceOf(catalog, name);
        return json(deploys.map(showDeploy));
      },
    }),
  ];
}

function showDeploy({ output, startedAt, service: _, ...deploy }: DeployRecord): DeployJson {
  return { ...deploy, startedAt: timeOf(startedAt), output: [...output] };
}
