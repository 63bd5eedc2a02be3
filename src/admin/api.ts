import { ClessError } from "../errors.ts";
import type { Fleet } from "../serving/fleet.ts";
import type { Instance } from "../serving/instance.ts";
import { problem } from "../serving/problem.ts";
import { Service } from "../serving/service.ts";
import type { ServiceMap } from "../serving/service_map.ts";
import { isAuthorized } from "./auth.ts";

const PURPOSE = "This is the admin API of cless; send the token from the data-dir as `Authorization: Bearer TOKEN`";

/** What the admin API works with. */
export interface AdminParts {
  readonly token: string;
  readonly services: ServiceMap;
  readonly fleet: Fleet;
  /** Whether requests can be served now. */
  readonly ready: () => Promise<boolean>;
  /** Where a browser finds a service. */
  readonly urlOf: (service: string) => string;
}

/** Makes the handler of the admin API. */
export function adminApi(parts: AdminParts): (request: Request) => Promise<Response> {
  const routes: Record<string, () => unknown> = {
    "/": () => ({ purpose: PURPOSE, services: "/v1/services", instances: "/v1/instances" }),
    "/v1/services": () =>
      parts.services.list().filter((service) => service instanceof Service)
        .map((service) => showService(service, parts.urlOf)),
    "/v1/instances": () => parts.fleet.instances().map(showInstance),
  };
  return async (request) => {
    const path = /^[^:]*:\/\/[^/]*([^?#]*)/.exec(request.url)?.[1] || "/";
    try {
      if (path === "/healthz" || path === "/readyz") {
        requireRead(request);
        const ok = path === "/healthz" || await parts.ready();
        return new Response(ok ? "ok\n" : "not ready\n", { status: ok ? 200 : 503 });
      }
      if (!await isAuthorized(request, parts.token)) {
        throw new ClessError("unauthorized", path === "/" ? PURPOSE : "The token is missing or wrong");
      }
      const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
      if (route === undefined) throw new ClessError("not_found", "There is no such resource");
      requireRead(request);
      return new Response(JSON.stringify(route()) + "\n", { headers: { "content-type": "application/json" } });
    } catch (error) {
      if (error instanceof ClessError) return problem(error, request);
      throw error;
    }
  };
}

function requireRead({ method }: Request): void {
  if (method !== "GET" && method !== "HEAD") {
    throw new ClessError("method_not_allowed", "Only GET and HEAD are possible here", { allow: "GET, HEAD" });
  }
}

function showService(service: Service, urlOf: AdminParts["urlOf"]) {
  const revision = service.latest.revision.name;
  return {
    name: service.name,
    url: urlOf(service.name),
    domains: [],
    latestRevision: revision,
    traffic: [{ revision: "latest", percent: 100 }],
    convention: service.convention,
    createdAt: service.createdAt.toISOString(),
    updatedAt: service.updatedAt.toISOString(),
  };
}

function showInstance(instance: Instance) {
  return {
    id: instance.id,
    service: instance.revision.service,
    revision: instance.revision.name,
    state: instance.state,
    address: instance.origin.replace(/^http:\/\//, ""),
    inFlight: instance.inFlight,
    startedAt: instance.startedAt.toISOString(),
    lastUsedAt: instance.lastUsedAt?.toISOString(),
    coldStartMs: instance.coldStartMs,
  };
}
