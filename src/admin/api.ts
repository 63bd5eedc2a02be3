import { Attempts } from "../base/attempts.ts";
import { adminHostnames } from "../routing/hosts.ts";
import { ClessError, shuttingDown } from "../base/errors.ts";
import { authenticate, checkBrowserSafety } from "./access.ts";
import { checkLength } from "./body.ts";
import type { Collaborators } from "./collaborators.ts";
import { problemOf } from "./problems.ts";
import type { Routes } from "./routes.ts";
import { targetOf } from "./target.ts";
import { ask, health, isHealthPath, isOfThisMachine, type Via } from "./without_token.ts";

/**
 * Answers a request to the admin API.
 *
 * @param peer The address that it came from.
 * @param via Which of cless's addresses it was sent to; the admin address by default.
 */
export type AdminApi = (request: Request, peer: string, via?: Via) => Promise<Response>;

/** Loads the module that makes the routes. */
export type LoadRoutes = () => Promise<(collaborators: Collaborators) => Routes>;
const loadRoutes: LoadRoutes = () => import("./routes.ts").then(({ makeRoutes }) => makeRoutes);

/**
 * Makes the handler of the admin API. It loads the routes at the first request that needs them, since their libraries
 * take time and memory. If that fails, the request fails, and the next one tries again.
 */
export function adminApi(collaborators: Collaborators, load: LoadRoutes = loadRoutes): AdminApi {
  const { clock, config, stopping, tokens } = collaborators;
  const attempts = new Attempts(clock);
  const hostnames = [...adminHostnames(config), config.admin.hostname];
  let routes: Promise<Routes> | undefined;
  const loaded = () =>
    routes ??= load().then((makeRoutes) => makeRoutes(collaborators)).catch((error) => {
      routes = undefined;
      throw error;
    });

  const answer: AdminApi = async (request, peer, via = "admin") => {
    const target = targetOf(request);
    if (isHealthPath(target.path)) return await health(target.path, request, collaborators);
    checkBrowserSafety(target.host, request.headers.get("origin"), hostnames);
    if (target.path === "/v1/ask") {
      if (!isOfThisMachine(request, peer, via)) throw new ClessError("not_found", "There is no such resource");
      return ask(target, request, collaborators);
    }
    const holder = await authenticate(request.headers, target, peer, { attempts, tokens });
    if (stopping.aborted && request.method !== "GET" && request.method !== "HEAD") {
      // A change that starts now could neither be finished nor undone.
      throw shuttingDown();
    }
    checkLength(request.headers);
    return await (await loaded())(request, { holder, target });
  };

  return async (request, peer, via) => {
    const response = await answer(request, peer, via).catch(problemOf);
    return request.method === "HEAD" ? await withoutBody(response) : response;
  };
}

async function withoutBody(response: Response): Promise<Response> {
  await response.body?.cancel();
  return new Response(null, response);
}
