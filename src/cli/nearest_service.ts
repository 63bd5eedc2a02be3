import { ApiError, type Client } from "./client.ts";
import { didYouMean } from "./flags.ts";

/**
 * The end of an error about a service that is not there: which one was probably meant, as in `; did you mean "shop"?`.
 * It is empty if none is near, or if there are all of those that were named.
 */
export async function nearestService(client: Client, named: readonly string[]): Promise<string> {
  const services = await client.list<{ readonly name: string }>("/v1/services").catch(() => []);
  const names = services.map(({ name }) => name);
  const missing = named.find((name) => !names.includes(name));
  return missing === undefined || names.length === 0 ? "" : didYouMean(missing, names);
}

/** Adds the service that was probably meant to an error about what is not there. Any other error stays as it is. */
export async function withNearest(error: unknown, client: Client, named: readonly string[]): Promise<unknown> {
  if (!(error instanceof ApiError) || error.status !== 404 || named.length === 0) return error;
  const hint = await nearestService(client, named);
  return hint === "" ? error : new ApiError(error.status, [error.message + hint], error.output);
}
