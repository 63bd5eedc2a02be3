import type { Bench, Outcome } from "../scenario.ts";
import { adoption } from "./adoption.ts";
import { gap } from "./gap.ts";

/** What it is like when another process takes over the containers. */
export async function upgrade(bench: Bench): Promise<Outcome> {
  const parts = [await gap(bench), await adoption(bench)];
  return {
    tables: parts.flatMap(({ tables = [] }) => tables),
    findings: parts.flatMap(({ findings }) => findings),
  };
}
