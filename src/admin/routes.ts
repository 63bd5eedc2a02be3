import { OpenAPIHono } from "@hono/zod-openapi";
import type { Holder } from "../control/access/tokens.ts";
import { ClessError } from "../base/errors.ts";
import type { Collaborators } from "./collaborators.ts";
import type { Operation } from "./operation.ts";
import { aboutOperations } from "./operations/about.ts";
import { activityOperations } from "./operations/activity.ts";
import { certificateOperations } from "./operations/certificates.ts";
import { deployOperations } from "./operations/deploys.ts";
import { eventOperations } from "./operations/events.ts";
import { execOperations } from "./operations/exec.ts";
import { historyOperations } from "./operations/history.ts";
import { instanceOperations } from "./operations/instances.ts";
import { logOperations } from "./operations/logs.ts";
import { nodeOperations } from "./operations/nodes.ts";
import { revisionOperations } from "./operations/revisions.ts";
import { secretOperations } from "./operations/secrets.ts";
import { serviceOperations, trafficOperations } from "./operations/services.ts";
import { sessionOperations } from "./operations/session.ts";
import { tokenOperations } from "./operations/tokens.ts";
import { wakeOperations } from "./operations/wakes.ts";
import { whatIfOperations } from "./operations/what_if.ts";
import { noSuchResource } from "./problems.ts";
import type { Target } from "./target.ts";

/** What has been found out about a request before it reaches the routes. */
export interface Caller {
  readonly holder: Holder;
  readonly target: Target;
}

/** Answers a request that has a valid token. Rejects with an error that the caller converts to an answer. */
export type Routes = (request: Request, caller: Caller) => Promise<Response>;

/** All operations of the API, in the order of the document. */
export function operationsOf(collaborators: Collaborators): readonly Operation[] {
  const operations: Operation[] = [
    ...serviceOperations(collaborators),
    ...revisionOperations(collaborators),
    ...trafficOperations(collaborators),
    ...instanceOperations(collaborators),
    ...nodeOperations(collaborators),
    ...execOperations(collaborators),
    ...wakeOperations(collaborators),
    ...whatIfOperations(collaborators),
    ...activityOperations(collaborators),
    ...eventOperations(collaborators),
    ...logOperations(collaborators),
    ...historyOperations(collaborators),
    ...deployOperations(collaborators),
    ...secretOperations(collaborators),
    ...tokenOperations(collaborators),
    ...sessionOperations(),
    ...certificateOperations(collaborators),
  ];
  operations.push(...aboutOperations(collaborators, operations));
  return operations;
}

/** Makes the routes of all operations. */
export function makeRoutes(collaborators: Collaborators): Routes {
  const operations = operationsOf(collaborators);
  // Matches the path as received, without decoding, so that each path has only one spelling.
  const app = new OpenAPIHono<{ Bindings: Caller }>({
    getPath: (_, options) => (options!.env as Caller).target.path,
  });
  for (const { answer, method, path } of operations) {
    app.on(method, honoPath(path), (context) => {
      return answer({ ...context.env, request: context.req.raw, params: context.req.param() });
    });
  }
  for (const [path, onPath] of Map.groupBy(operations, ({ path }) => path)) {
    const allow = allowed(onPath);
    app.all(honoPath(path), () => {
      throw new ClessError("method_not_allowed", `Possible here: ${allow}`, { allow });
    });
  }
  app.notFound(() => {
    throw noSuchResource();
  });
  app.onError((error) => {
    throw error;
  });
  return async (request, caller) => {
    if (/%2f/i.test(caller.target.path)) throw noSuchResource(); // no name has a slash
    return await app.fetch(request, caller);
  };
}

function honoPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ":$1");
}

function allowed(operations: readonly Operation[]): string {
  return operations.flatMap(({ method }) => method === "GET" ? ["GET", "HEAD"] : [method]).join(", ");
}
