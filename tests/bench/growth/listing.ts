import { BenchError } from "../support/errors.ts";
import type { ClessUnderTest } from "../support/cless_under_test.ts";

/** How many services a page has where nobody says otherwise. */
export const PAGE = 100;

/** Pages that have as many services each: all that a small cless has, and the first and the last of one with many. */
export type Page = "only" | "first" | "last";

/** How long each took, ms. */
export type PageTimes = Readonly<Record<Page, number[]>>;

/**
 * Asks for pages of services by turns.
 *
 * @param small Has as many services as a page.
 * @param many Has some times as many.
 * @throws {BenchError} When the pages do not list each of the services once, by name.
 */
export async function pageTimes(
  small: ClessUnderTest,
  many: ClessUnderTest,
  { count, names }: { readonly count: number; readonly names: readonly string[] },
  signal: AbortSignal,
): Promise<PageTimes> {
  const last = await walk(many, names);
  const pages: Record<Page, () => Promise<Listed>> = {
    only: () => list(small, "/v1/services"),
    first: () => list(many, "/v1/services"),
    last: () => list(many, last),
  };
  const times: PageTimes = { only: [], first: [], last: [] };
  const order = Object.keys(pages) as Page[];
  // What comes first runs cold code, and is not counted.
  for (let n = -5; n < count; n++) {
    signal.throwIfAborted();
    for (const page of n % 2 === 0 ? order : order.toReversed()) {
      const began = performance.now();
      const { names } = await pages[page]();
      const ms = performance.now() - began;
      if (names.length !== PAGE) throw new BenchError(`a page has ${names.length} services, and not ${PAGE}`);
      if (n >= 0) times[page].push(ms);
    }
  }
  return times;
}

interface Listed {
  readonly names: string[];
  /** The path of the next page; `undefined` on the last one. */
  readonly next: string | undefined;
}

async function list(cless: ClessUnderTest, path: string): Promise<Listed> {
  const { body, headers, status } = await cless.askAdmin(path);
  if (status !== 200) throw new BenchError(`a page of services is answered by ${status}: ${body}`);
  const next = /^<([^>]+)>; rel="next"$/.exec(headers.get("link") ?? "")?.[1];
  return { names: JSON.parse(body).map(({ name }: { name: string }) => name), next };
}

/** Follows the pages to the end; returns the path of the last one. */
async function walk(cless: ClessUnderTest, names: readonly string[]): Promise<string> {
  const seen: string[] = [];
  for (let path = "/v1/services";;) {
    const page = await list(cless, path);
    seen.push(...page.names);
    if (page.next !== undefined) {
      path = page.next;
      continue;
    }
    if (seen.join() !== names.join()) throw new BenchError(`the pages list ${seen.length} of ${names.length} services`);
    return path;
  }
}
