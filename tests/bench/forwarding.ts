import type { DockerCommand } from "../../src/docker/command.ts";
import { Contenders } from "./contenders.ts";
import type { Finding } from "./finding.ts";
import { forwardFindings, type LoadResult, loadTable, overviewTable } from "./forward_report.ts";
import type { Load } from "./loads.ts";
import { playRounds, type RoundOptions } from "./rounds.ts";
import { Sender } from "./sender.ts";

/** How {@linkcode measureForwarding} goes about it. */
export interface ForwardingOptions extends Omit<RoundOptions, "sender"> {
  readonly loads: readonly Load[];
  readonly peers: readonly string[];
}

/** Starts the proxies, and puts them under one load after the other. */
export async function measureForwarding(
  docker: DockerCommand,
  folder: string,
  { loads, peers, ...options }: ForwardingOptions,
  signal: AbortSignal,
): Promise<{ tables: string[]; findings: Finding[] }> {
  const sender = await Sender.build(folder, signal);
  await using contenders = await Contenders.start(docker, peers, folder, signal);
  const results: LoadResult[] = [];
  for (const load of loads) {
    const note = (line: string) => options.note(`${load.id}: ${line}`);
    results.push({ load, played: await playRounds(contenders.all, load, { ...options, sender, note }, signal) });
  }
  return {
    tables: [overviewTable(results), ...results.map(loadTable), ...contenders.leftOut],
    findings: results.flatMap(forwardFindings),
  };
}
