import { z } from "zod";
import type { DeployRecord } from "../../control/records.ts";
import type { RunningDeploy } from "../../control/running_deploys.ts";
import type { WaitingNow } from "../../control/service_waits.ts";
import { json } from "../body.ts";
import type { Collaborators } from "../collaborators.ts";
import { serviceParam, time, timeOf, whole } from "../common_fields.ts";
import { tagged } from "../operation.ts";
import { showWaiting, waitingSchema } from "../waiting_view.ts";
import { serviceOf } from "./services.ts";

const operation = tagged("deploys");

const deployView = z.strictObject({
  service: z.string(),
  revision: z.string().optional().meta({
    description: "The revision that it made or tried; missing if it ended before there was one",
  }),
  image: z.string(),
  by: z.string().meta({ description: "The name of the token that was used" }),
  startedAt: time,
  durationMs: z.int().min(0).meta({ description: "How long it took; so far, if it is running" }),
  outcome: z.enum(["running", "deployed", "failed", "called off"]).meta({
    description: "A deploy is called off if cless stops or the service is deleted. Only `deployed` has changed " +
      "anything; `running` has not ended",
  }),
  waiting: waitingSchema.optional(),
  reason: z.string().optional().meta({ description: "Why it did not work; missing if it did, or if it is running" }),
  output: z.array(z.string()).meta({ description: "The last lines that the app wrote, if it failed" }),
}).meta({
  id: "Deploy",
  examples: [{
    service: "shop",
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

/** A deploy in JSON. */
export type DeployJson = z.output<typeof deployView>;

/** The running deploys, and how others ended. */
export function deployOperations({ catalog, now = Date.now, running, store, waits }: Collaborators) {
  return [
    operation({
      id: "listDeploys",
      route: "GET /v1/services/{name}/deploys",
      scope: "read",
      summary: "List the deploys of a service, newest first: the running one, and how others ended",
      description:
        "A service that never worked has deploys too. The newest 20 that worked are retained, and the newest 20 that " +
        "did not, for 90 days or until the service is removed. Requests that were refused, and deploys that had " +
        "nothing to change, are not listed.",
      params: { name: serviceParam },
      query: { limit: whole(1, 100, { description: "How many at most; 100 by default" }).optional() },
      answers: { 200: { description: "The deploys", schema: z.array(deployView) } },
      errors: ["not_found", "store_unavailable"],
      run: ({ params: { name }, query: { limit = 100 } }) => {
        const present = running.of(name);
        const ended = store.deploys(name, limit);
        if (present === undefined && ended.length === 0) serviceOf(catalog, name);
        const shown = present === undefined ? [] : [showRunning(present, waits.of(name), now())];
        return json([...shown, ...ended.map(showDeploy)].slice(0, limit));
      },
    }),
    operation({
      id: "listAllDeploys",
      route: "GET /v1/deploys",
      scope: "read",
      summary: "List the deploys of all services, newest first: the running ones, and how others ended",
      description: "As those of one service are listed; at most 2000 are retained.",
      query: { limit: whole(1, 1000, { description: "How many at most; 100 by default" }).optional() },
      answers: { 200: { description: "The deploys", schema: z.array(deployView) } },
      errors: ["store_unavailable"],
      run: ({ query: { limit = 100 } }) => {
        const present = Array.from(running.services(), (name) => running.of(name)!)
          .sort((a, b) => b.startedAt - a.startedAt)
          .map((deploy) => showRunning(deploy, waits.of(deploy.service), now()));
        return json([...present, ...store.deploys(undefined, limit).map(showDeploy)].slice(0, limit));
      },
    }),
  ];
}

function showRunning(
  { by, image, revision, service, startedAt }: RunningDeploy,
  waiting: WaitingNow | undefined,
  now: number,
): DeployJson {
  const durationMs = Math.max(0, Math.round(now - startedAt));
  const shown = waiting && showWaiting(waiting);
  return {
    service,
    revision,
    image,
    by,
    startedAt: timeOf(startedAt),
    durationMs,
    outcome: "running",
    waiting: shown,
    output: [],
  };
}

function showDeploy({ output, startedAt, ...deploy }: DeployRecord): DeployJson {
  return { ...deploy, startedAt: timeOf(startedAt), output: [...output] };
}
