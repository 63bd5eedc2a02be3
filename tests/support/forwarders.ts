import type { Forward } from "../../src/base/config.ts";
import { netTest } from "./permissions.ts";

/** Every way to send a request to an app. */
export const FORWARDERS: readonly Forward[] = ["exact", "fetch"];

/** A test of the request path, once with each forwarder. */
export function forwardTest(name: string, fn: (forward: Forward) => Promise<void>): void {
  for (const forward of FORWARDERS) netTest(`${forward}: ${name}`, () => fn(forward));
}
