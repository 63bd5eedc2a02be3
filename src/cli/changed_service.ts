import type { ServiceJson } from "./api_types.ts";
import { ApiError, type Client, servicePath } from "./client.ts";
import { saidTraffic } from "./output/traffic_text.ts";
import { type Call, printJson } from "./verb.ts";

/** How often a change is tried that somebody else was faster with. */
const TRIES = 4;

/**
 * Changes a service by what it is now, and begins anew where somebody else has changed it in between.
 *
 * @param change Gets the service as it is, `undefined` where there is none, and sends the change with its etag.
 */
export async function changeService<T>(
  client: Client,
  name: string,
  change: (service: ServiceJson | undefined) => Promise<T>,
): Promise<T> {
  for (let tries = 1;; tries++) {
    try {
      return await change(await client.find<ServiceJson>(servicePath(name)));
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 412) || tries === TRIES) throw error;
    }
  }
}

/** Prints what the traffic of a service is now. */
export function printTraffic(call: Call, service: ServiceJson): void {
  if (call.on("json")) return printJson(service);
  if (!call.on("quiet")) console.log(`${service.name}: ${saidTraffic(service.traffic)}`);
}
