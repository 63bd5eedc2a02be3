import type { FailureJson } from "../api_types.ts";
import { ago } from "./ago.ts";
import { indented, plainText } from "./table.ts";

/** How often and when something has failed: `4 times in a row, 10s ago`. */
export function failureCount({ at, count }: FailureJson, now: number): string {
  return `${count === 1 ? "once" : `${count} times in a row`}, ${ago(at, now)}`;
}

/** Why a revision fails, and below it the last lines that its app wrote. */
export function failureText(revision: string, failure: FailureJson, now: number): string {
  const { output = [], reason, retryInS } = failure;
  const rest = retryInS === undefined ? "" : `; requests are refused for ${retryInS}s more`;
  const head = `${revision} failed ${failureCount(failure, now)}${rest}: ${plainText(reason)}`;
  return [head, ...output.map((line) => indented(plainText(line)))].join("\n");
}
