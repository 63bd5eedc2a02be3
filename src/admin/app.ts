import { OpenAPIHono } from "@hono/zod-openapi";
import type { Holder } from "../control/access/tokens.ts";
import { ClessError } from "../base/errors.ts";
import type { Operation } from "./operation.ts";
import { OPERATIONS } from "./operations/operations.ts";
import type { AdminParts } from "./parts.ts";
import type { Target } from "./target.ts";

/** What is known of a request that may come in. */
export interface Arrival {
  readonly holder: Holder;
  readonly target: Target;
}

/** Answers what somebody with a token asks; throws what the answer to a failure is made from. */
export type Door = (request: Request, arrival: Arrival) => Promise<Response>;

/** Makes the routes. */
export function openDoor(parts: AdminParts): Door {
  // The path as it came: what is not written as it should be is not there.
  const app = new OpenAPIHono<{ Bindings: Arrival }>({
    getPath: (_, options) => (options!.env as Arrival).target.path,
  });
  for (const { answer, method, path } of OPERATIONS) {
    app.on(method.toUpperCase(), honoPath(path), (context) => {
      const { holder, target } = context.env;
      return answer({ parts, request: context.req.raw, target, holder, params: context.req.param() });
    });
  }
  for (const [path, operations] of Map.groupBy(OPERATIONS, ({ path }) => path)) {
    const allow = allowed(operations);
    app.all(honoPath(path), () => {
      throw new ClessError("method_not_allowed", `Possible here: ${allow}`, { allow });
    });
  }
  app.notFound(() => {
    throw notFound();
  });
  app.onError((error) => {
    throw error;
  });
  return async (request, arrival) => {
    if (/%2f/i.test(arrival.target.path)) throw notFound(); // no name has a slash
    return await app.fetch(request, arrival);
  };
}

function honoPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ":$1");
}

function allowed(operations: readonly Operation[]): string {
  return operations.flatMap(({ method }) => method === "get" ? ["GET", "HEAD"] : [method.toUpperCase()]).join(", ");
}

function notFound(): ClessError {
  return new ClessError("not_found", "There is no such resource");
}
