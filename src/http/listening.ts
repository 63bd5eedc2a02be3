import type { Config } from "../base/config.ts";
import { type Endpoint, formatEndpoint } from "../model/host.ts";
import { ListenError } from "./server.ts";

/** An address as given, maybe with port 0, and the actual address. */
export interface Listening {
  readonly given: Endpoint;
  readonly actual: Endpoint;
}

/** The settings, with each port 0 replaced by the actual port of the other process, which had the same setting. */
export function withPorts(config: Config, listening: readonly Listening[] = []): Config {
  const rest = [...listening];
  const actual = (endpoint: Endpoint) => {
    const at = rest.findIndex(({ given }) => formatEndpoint(given) === formatEndpoint(endpoint));
    return endpoint.port === 0 && at !== -1 ? rest.splice(at, 1)[0]!.actual : endpoint;
  };
  return { ...config, listen: config.listen.map(actual), admin: actual(config.admin) };
}

/**
 * Checks that the addresses on which the other process does not listen are free. @throws {ListenError} If one is taken.
 */
export function checkNewAddresses(config: Config, listening: readonly Listening[]): void {
  const { admin, listen } = withPorts(config, listening);
  const known = new Set(listening.map(({ actual }) => formatEndpoint(actual)));
  for (const endpoint of [...listen, admin]) {
    if (endpoint.port === 0 || known.has(formatEndpoint(endpoint))) continue;
    try {
      Deno.listen({ hostname: endpoint.hostname, port: endpoint.port }).close();
    } catch (error) {
      throw new ListenError(endpoint, error);
    }
  }
}
