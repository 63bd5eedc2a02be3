// The npm mirror of @std has no types; these are the parts that cless uses.

declare module "@std/async/abortable" {
  export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T>;
}

declare module "@std/async/mux-async-iterator" {
  /** Merges iterables; each keeps its own order. */
  export class MuxAsyncIterator<T> implements AsyncIterable<T> {
    add(iterable: AsyncIterable<T>): void;
    [Symbol.asyncIterator](): AsyncIterator<T>;
  }
}

declare module "@std/bytes/concat" {
  export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer>;
}

declare module "@std/cli/parse-args" {
  export function parseArgs(
    args: string[],
    options: {
      string?: readonly string[];
      boolean?: readonly string[];
      negatable?: readonly string[];
      collect?: readonly string[];
      alias?: Record<string, string>;
      unknown?: (arg: string, key?: string) => unknown;
    },
  ): { _: (string | number)[]; [flag: string]: unknown };
}

declare module "@std/http/negotiation" {
  export function accepts(request: { headers: Headers }, ...types: string[]): string | undefined;
  export function acceptsEncodings(request: { headers: Headers }, ...encodings: string[]): string | undefined;
}

declare module "@std/text/closest-string" {
  export function closestString(word: string, possibleWords: readonly string[]): string;
}

declare module "@std/text/levenshtein-distance" {
  export function levenshteinDistance(a: string, b: string): number;
}

declare module "@std/assert" {
  export function assert(actual: unknown, message?: string): asserts actual;
  export function assertEquals<T>(actual: T, expected: T, message?: string): void;
  export function assertNotEquals<T>(actual: T, expected: T, message?: string): void;
  export function assertStrictEquals<T>(actual: unknown, expected: T, message?: string): asserts actual is T;
  export function assertMatch(actual: string, expected: RegExp, message?: string): void;
  export function assertStringIncludes(actual: string, expected: string, message?: string): void;
  export function assertThrows<E extends Error = Error>(
    fn: () => unknown,
    // deno-lint-ignore no-explicit-any
    errorClass?: abstract new (...args: any[]) => E,
    messageIncludes?: string,
    message?: string,
  ): E;
  export function assertRejects<E extends Error = Error>(
    fn: () => PromiseLike<unknown>,
    // deno-lint-ignore no-explicit-any
    errorClass?: abstract new (...args: any[]) => E,
    messageIncludes?: string,
    message?: string,
  ): Promise<E>;
  export function fail(message?: string): never;
}
