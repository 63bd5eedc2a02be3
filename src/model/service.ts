const SERVICE_NAME = /^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/;

/** Whether a label may name a service. `--` separates a tag from a name, and `admin` is the admin API's host. */
export function isServiceName(label: string): boolean {
  return SERVICE_NAME.test(label) && !label.includes("--") && label !== "admin";
}

/** The label of a tagged revision's hostname. It cannot be a service's name, which has no two hyphens in a row. */
export function tagLabel(tag: string, name: string): string {
  return `${tag}--${name}`;
}

/**
 * What a browser gets while a service starts. `hold`: the app's response, once there is one. `page`: a waiting page at
 * once.
 */
export type Loading = "hold" | "page";

/** Requests that do not wake a service. */
export interface WakeExceptions {
  /** Parts of `User-Agent`, compared without regard to case. `known-robots` stands for many: see `known_robots.ts`. */
  readonly userAgents: readonly string[];
  /** Paths, each with everything below it; but `/` means only the root. */
  readonly paths: readonly string[];
}

/** Which requests wake a service: all but the exceptions. */
export interface WakeSettings {
  readonly except: WakeExceptions;
}

/** All requests wake the service. */
export const EVERYBODY_WAKES: WakeSettings = Object.freeze({ except: { userAgents: [], paths: [] } });
