import { pathOf } from "../http/request_head.ts";

/**
 * What apps may read in another way than it is written: percent-encoded dots, slashes, backslashes, semicolons, controls
 * and percent signs; parameters of a segment; empty and dot segments; backslashes.
 */
const AMBIGUOUS = /%(?:2e|2f|5c|3b|25|[01])|[;\\]|\/\/|\/\.{1,2}(?:\/|$)/i;

/** The paths of a service that have no lock. */
export class ExceptedPaths {
  readonly #exact: ReadonlySet<string>;
  /** Each ends in a slash. */
  readonly #prefixes: readonly string[];

  /** @param patterns Paths without anything ambiguous; those that end in `/*` are for everything below. */
  constructor(patterns: readonly string[]) {
    this.#exact = new Set(patterns.filter((pattern) => !pattern.endsWith("/*")));
    this.#prefixes = patterns.filter((pattern) => pattern.endsWith("/*")).map((pattern) => pattern.slice(0, -1));
  }

  /**
   * Whether a path has no lock. A path that apps may read in different ways always has one, so that nobody passes by
   * `/webhooks/../admin`.
   *
   * @param target Path and query, as received.
   */
  has(target: string): boolean {
    if (this.#exact.size + this.#prefixes.length === 0) return false;
    const path = pathOf(target);
    if (AMBIGUOUS.test(path) || !isUtf8(path)) return false;
    return this.#exact.has(path) || this.#prefixes.some((prefix) => path.startsWith(prefix));
  }
}

/** Whether a path is UTF-8 behind its percent signs. Some apps take longer forms of dots and slashes for these. */
function isUtf8(path: string): boolean {
  if (!path.includes("%")) return true;
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}
