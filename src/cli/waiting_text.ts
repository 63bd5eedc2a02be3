import type { ServiceJson } from "../admin/operations/services.ts";
import { plainText } from "./text.ts";

/** What a deploy or a start waits for, as the admin API and the event `service.waiting` have it. */
export type WaitingJson = Pick<NonNullable<ServiceJson["waiting"]>, "output" | "since" | "text">;

/**
 * Says what is waited for, and for how long: `12s: nothing listens on port 8080 yet; last line: loading`.
 *
 * @param now ms since 1970, by the clock of the cless that says it.
 */
export function waitingText({ output, since, text }: WaitingJson, now: number): string {
  const passedS = Math.max(0, Math.floor((now - Date.parse(since)) / 1000));
  const length = passedS < 60 ? `${passedS}s` : `${Math.floor(passedS / 60)}m ${passedS % 60}s`;
  const line = output === undefined ? "" : `; last line: ${output}`;
  return plainText(`${length}: ${text}${line}`);
}
