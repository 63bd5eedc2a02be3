import type { WakeExceptions } from "../model/service.ts";
import { ClessError } from "../base/errors.ts";
import { pathOf } from "../http/request_head.ts";
import { isKnownRobot, KNOWN_ROBOTS } from "./known_robots.ts";

/** Decides which requests wake a service. */
export class WakeRules {
  readonly #userAgents: readonly string[];
  /** Whether the known robots of this version of cless are excepted. */
  readonly #exceptsRobots: boolean;
  readonly #paths: readonly string[];

  constructor({ userAgents, paths }: WakeExceptions) {
    const parts = userAgents.map((part) => part.toLowerCase());
    this.#userAgents = parts.filter((part) => part !== KNOWN_ROBOTS);
    this.#exceptsRobots = parts.includes(KNOWN_ROBOTS);
    this.#paths = paths;
  }

  /** Whether a request wakes the service. @param target Path and query, as received. */
  mayWake(userAgent: string | null, target: string): boolean {
    return !this.#isExceptedAgent(userAgent) && !this.#isExceptedPath(target);
  }

  #isExceptedAgent(userAgent: string | null): boolean {
    if (userAgent === null) return false;
    if (this.#exceptsRobots && isKnownRobot(userAgent)) return true;
    if (this.#userAgents.length === 0) return false;
    const name = userAgent.toLowerCase();
    return this.#userAgents.some((part) => name.includes(part));
  }

  #isExceptedPath(target: string): boolean {
    if (this.#paths.length === 0) return false;
    const path = pathOf(target);
    return this.#paths.some((prefix) => {
      if (path === prefix) return true;
      // `/` excepts only its own page. Everything is below it, so no request would wake the service otherwise.
      if (prefix === "/") return false;
      return path.startsWith(prefix.endsWith("/") ? prefix : `${prefix}/`);
    });
  }
}

/** The error for a request that does not wake its service. @param ready Whether instances are ready, but full. */
export function notWoken(ready: boolean): ClessError {
  return ready
    ? new ClessError("overloaded", "The service has no room for this request now", { retryAfterS: 1 })
    : new ClessError("asleep", "The service is asleep, and this request does not wake it", { retryAfterS: 60 });
}
