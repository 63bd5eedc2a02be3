import { Attempts } from "../base/attempts.ts";
import { adminHostnames } from "../routing/hosts.ts";
import { shuttingDown } from "../base/errors.ts";
import { bearerOf, checkBrowserSafety, holderOfToken, missingToken } from "./access.ts";
import { checkLength } from "./body.ts";
import type { Collaborators } from "./collaborators.ts";
import { Dashboard } from "./dashboard/dashboard.ts";
import { noSuchResource, problemOf } from "./problems.ts";
import type { Routes } from "./routes.ts";
import { answerSession, holderOfSession } from "./session.ts";
import { whileAllowed } from "./stream.ts";
import { targetOf } from "./target.ts";
import { ask, health, isHealthPath, isOfThisMachine, type Via } from "./without_token.ts";

/**
 * Answers a request to the admin API.
 *
 * @param peer The address that it came from.
 * @param via Which of cless's addresses it was sent to; the admin address by default.
 * @param secure Whether it is known to have come over HTTPS; by default it is not.
 */
export type AdminApi = (request: Request, peer: string, via?: Via, secure?: boolean) => Promise<Response>;

/** Loads the module that makes the routes. */
export type LoadRoutes = () => Promise<(collaborators: Collaborators) => Routes>;
const loadRoutes: LoadRoutes = () => import("./routes.ts").then(({ makeRoutes }) => makeRoutes);

/**
 * Makes the handler of the admin API. It loads the routes at the first request that needs them, since their libraries
 * take time and memory. If that fails, the request fails, and the next one tries again.
 */
export function adminApi(collaborators: Collaborators, load: LoadRoutes = loadRoutes): AdminApi {
  const { clock, config, sessions, stopping, tokens } = collaborators;
  const attempts = new Attempts(clock);
  const dashboard = new Dashboard();
  const hostnames = [...adminHostnames(config), config.admin.hostname];
  let routes: Promise<Routes> | undefined;
  const loaded = () =>
    routes ??= load().then((makeRoutes) => makeRoutes(collaborators)).catch((error) => {
      routes = undefined;
      throw error;
    });

  const answer: AdminApi = async (request, peer, via = "admin", secure = false) => {
    const target = targetOf(request);
    if (isHealthPath(target.path)) return await health(target.path, request, collaborators);
    checkBrowserSafety(target.host, request.headers.get("origin"), hostnames);
    if (target.path === "/v1/ask") {
      if (!isOfThisMachine(request, peer, via)) throw noSuchResource();
      return ask(target, request, collaborators);
    }
    const page = await dashboard.answer(request, target);
    if (page !== undefined) return page;
    if (target.path === "/v1/session") {
      return await answerSession(request, target, peer, secure, { attempts, sessions, tokens });
    }
    const token = bearerOf(request.headers);
    const holder = token === undefined
      ? await holderOfSession(request, sessions)
      : await holderOfToken(token, peer, missingToken(target), { attempts, tokens });
    if (holder === undefined) throw missingToken(target);
    if (stopping.aborted && request.method !== "GET" && request.method !== "HEAD") {
      // A change that starts now could neither be finished nor undone.
      throw shuttingDown();
    }
    checkLength(request.headers);
    const response = await (await loaded())(request, { holder, target });
    if (response.body === null || response.headers.has("content-length")) return response;
    const isAllowed = async () =>
      (token === undefined ? await holderOfSession(request, sessions) : await tokens.check(token)) !== undefined;
    return new Response(whileAllowed(response.body, isAllowed, clock), response);
  };

  return async (request, peer, via, secure) => {
    const response = await answer(request, peer, via, secure).catch(problemOf);
    return request.method === "HEAD" ? await withoutBody(response) : response;
  };
}

async function withoutBody(response: Response): Promise<Response> {
  await response.body?.cancel();
  return new Response(null, response);
}
