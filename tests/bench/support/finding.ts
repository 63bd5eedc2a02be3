import { table } from "./table.ts";

/** Something that was found out about cless. */
export interface Finding {
  readonly what: string;
  readonly value: string;
  readonly spread?: string;
  readonly bar?: string;
  /** Whether it is as good as the bar; missing where there is none. */
  readonly met?: boolean;
  /** Whether the bar is about right answers, which do not depend on the machine. */
  readonly correctness?: boolean;
}

/** The table of what was found out about cless. */
export function findingsTable(findings: readonly Finding[]): string {
  const rows = findings.map(({ what, value, spread = "", bar = "", met }) => [
    what,
    value,
    spread,
    bar,
    met === undefined ? "" : met ? "met" : "MISSED",
  ]);
  return table(["cless", "median", "min–max", "bar", ""], rows);
}
