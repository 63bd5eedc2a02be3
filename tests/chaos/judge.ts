import type { Finding } from "../bench/support/finding.ts";
import { table } from "../bench/support/table.ts";
import type { Harms } from "../support/harms.ts";
import type { Failed, Sent } from "./traffic.ts";

/** Whether nobody could have saved a request that failed while its service was harmed. */
export type Excuse = (failed: Failed) => boolean;

/** What the requests of one line have to be like. */
export interface Requirement {
  /** In words. */
  readonly text: string;
  /** What may fail if it was under way while the service was harmed; nothing where it is missing. */
  readonly excuse?: Excuse;
  /** The longest that any request may have waited. */
  readonly longestWaitMs: number;
}

/** What came of one disruption. */
export interface Line {
  readonly name: string;
  readonly planned: boolean;
  readonly requirement: Requirement;
  readonly sent: number;
  readonly good: number;
  /** Failures that nobody could have prevented. */
  readonly excused: number;
  /** All other failures, by cause. */
  readonly causes: ReadonlyMap<string, number>;
  readonly longestMs: number;
  /** What else was looked at. */
  readonly findings: readonly Finding[];
  /** What does not meet the requirement; empty where all does. */
  readonly unmet: readonly string[];
}

/** For judging. */
export interface JudgeOptions {
  readonly planned: boolean;
  readonly requirement: Requirement;
  readonly harms: Harms;
  /** How many requests there have to be at least, for the line to say something. */
  readonly leastSent: number;
  readonly findings: readonly Finding[];
  /** Whether only right answers count, and not how fast anything was: in a short run on a machine with other work. */
  readonly quick: boolean;
}

/** A request that had been taken by an app which then went away, and which nobody may send a second time. */
export function cutOff({ answering, cause, kind }: Failed): boolean {
  return answering || (kind === "upload" && cause === "502 upstream_failed");
}

/** One that was on its way to an app which ended by itself, and so may have been what ended it. */
export function suspect(failed: Failed): boolean {
  return cutOff(failed) || failed.cause === "502 upstream_failed";
}

/** One that an app did not answer which then was found to be hung. */
export function hung(failed: Failed): boolean {
  return cutOff(failed) || (failed.kind === "upload" && failed.cause === "504 upstream_timeout");
}

/** One whose connection ended, or could not be made, as the program itself was not there. */
export function cutByProxy({ answering, cause }: Failed): boolean {
  return answering || !/^\d{3} /.test(cause);
}

/**
 * One that crossed the end of its connection, so that not a byte of an answer has come: the connection was in the queue
 * of a listener that closed, or it was kept and idle for long and is closed just now (RFC 9112, section 9.5).
 */
export function unread({ answering, cause }: Failed): boolean {
  return !answering && (cause === "reset before an answer" || cause === "a kept connection closed before an answer");
}

/** The service that a request was for. */
export function serviceOf(host: string): string {
  return host.split(".")[0]!;
}

/** Holds what came of the requests against what is required. */
export function judge(name: string, sent: Sent, options: JudgeOptions): Line {
  const { harms, leastSent, planned, quick, requirement } = options;
  const findings: readonly Finding[] = options.findings.map(({ met, ...told }) =>
    met === undefined || (quick && !told.correctness) ? told : { ...told, met }
  );
  const causes = new Map<string, number>();
  const count = (cause: string, by = 1) => causes.set(cause, (causes.get(cause) ?? 0) + by);
  let excused = 0;
  for (const failed of sent.failures) {
    const { began, cause, ended, flow, host } = failed;
    const mayFail = requirement.excuse?.(failed) ?? false;
    if (mayFail && harms.wasHarmed(serviceOf(host), began, ended)) excused++;
    else count(`${flow}: ${cause}`);
  }
  for (const { name, untold } of sent.flows) if (untold > 0) count(`${name}: more failures than are told`, untold);
  const sum = (of: "sent" | "good") => sent.flows.reduce((total, flow) => total + flow[of], 0);
  const longestMs = Math.max(0, ...sent.flows.map(({ longestMs }) => longestMs));
  const failures = [...causes.values()].reduce((total, some) => total + some, 0);
  const unmet = [
    ...(failures > 0 ? [`${failures} failed that had to be answered`] : []),
    ...(sum("sent") < leastSent ? [`${sum("sent")} requests are too few to tell, ${leastSent} are needed`] : []),
    ...(longestMs > requirement.longestWaitMs && !quick
      ? [`the longest wait was ${inSeconds(longestMs)}, and not ${inSeconds(requirement.longestWaitMs)} at most`]
      : []),
    ...findings.filter(({ met }) => met === false).map(({ bar, value, what }) => `${what}: ${value}, wanted ${bar}`),
  ];
  return {
    name,
    planned,
    requirement,
    sent: sum("sent"),
    good: sum("good"),
    excused,
    causes,
    longestMs,
    findings,
    unmet,
  };
}

/** The line of a disruption that could not be done, or came to no end. */
export function broken(
  name: string,
  { planned, requirement }: Pick<Line, "planned" | "requirement">,
  why: string,
): Line {
  const nothing = { sent: 0, good: 0, excused: 0, causes: new Map(), longestMs: 0, findings: [] };
  return { ...nothing, name, planned, requirement, unmet: [why] };
}

/** The table of all lines. */
export function linesTable(lines: readonly Line[]): string {
  const head = ["disruption", "sent", "as it should be", "unsaved", "failed", "longest wait", "required", ""];
  return table(
    head,
    lines.map(({ causes, excused, good, longestMs, name, planned, requirement, sent, unmet }) => [
      `${name}${planned ? ", planned" : ""}`,
      `${sent}`,
      `${good}`,
      `${excused}`,
      [...causes].map(([cause, count]) => `${count} ${cause}`).slice(0, 4).join("; ") || "0",
      inSeconds(longestMs),
      `${requirement.text}; none waits longer than ${inSeconds(requirement.longestWaitMs)}`,
      unmet.length === 0 ? "met" : "MISSED",
    ]),
  );
}

/** The table of what was looked at beside the requests. */
export function findingsTable(lines: readonly Line[]): string {
  const rows = lines.flatMap(({ findings, name }) =>
    findings.map((
      { bar = "", met, value, what },
    ) => [`${name}: ${what}`, value, bar, met === undefined ? "" : met ? "met" : "MISSED"])
  );
  return table(["looked at beside", "found", "required", ""], rows);
}

function inSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
