import { ClessError } from "../base/errors.ts";
import { ask } from "./ask.ts";
import { authenticate, NO_TOKEN } from "./auth.ts";
import type { Door } from "./app.ts";
import { checkBrowserSafety } from "./browser_safety.ts";
import { checkLength } from "./body.ts";
import { health, isHealthPath } from "./health.ts";
import type { AdminParts } from "./parts.ts";
import { problemOf } from "./problems.ts";
import { PURPOSE } from "./purpose.ts";
import { targetOf } from "./target.ts";

/** Answers a request of the admin API; `peer` is the address that it came from. */
export type AdminApi = (request: Request, peer: string) => Promise<Response>;

/** Brings what makes the routes. */
export type LoadDoor = () => Promise<(parts: AdminParts) => Door>;
const loadDoor: LoadDoor = () => import("./app.ts").then(({ openDoor }) => openDoor);

/**
 * Makes the handler of the admin API.
 *
 * @param load Called when a request first needs the routes: what they need takes time and memory, which a cless that
 * only serves does without. Where it fails, so does the request, and the next one tries again.
 */
export function adminApi(parts: AdminParts, load: LoadDoor = loadDoor): AdminApi {
  let door: Promise<Door> | undefined;
  const open = () =>
    door ??= load().then((openDoor) => openDoor(parts)).catch((error) => {
      door = undefined;
      throw error;
    });

  const answer: AdminApi = async (request, peer) => {
    const target = targetOf(request);
    if (isHealthPath(target.path)) return await health(target.path, request, parts.ready);
    checkBrowserSafety(target.host, request.headers.get("origin"), parts.hostnames);
    if (target.path === "/v1/ask") return await ask(target, request, peer, parts.serves);
    const holder = await authenticate(request.headers, peer, parts).catch((error) => {
      throw target.path === "/" ? withPurpose(error) : error;
    });
    if (parts.stopping?.aborted && request.method !== "GET" && request.method !== "HEAD") {
      // What is started now would be left behind.
      throw new ClessError("draining", "cless is shutting down", { retryAfterS: 5 });
    }
    checkLength(request.headers);
    return await (await open())(request, { holder, target });
  };

  return async (request, peer) => {
    const response = await answer(request, peer).catch(problemOf);
    return request.method === "HEAD" ? await withoutBody(response) : response;
  };
}

/** Whoever looks at the root without a token should learn what this is. */
function withPurpose(error: unknown): unknown {
  return error instanceof ClessError && error.message === NO_TOKEN ? new ClessError(error.code, PURPOSE) : error;
}

async function withoutBody(response: Response): Promise<Response> {
  await response.body?.cancel();
  return new Response(null, response);
}
