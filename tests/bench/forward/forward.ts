import type { Bench, Outcome } from "../scenario.ts";
import { Contenders } from "./contenders.ts";
import { forwardFindings, type LoadResult, loadTable, overviewTable } from "./report.ts";
import { playRounds } from "./rounds.ts";
import { GoSender } from "../support/go_sender.ts";

/** What it costs to pass requests on: starts the proxies, and puts them under one load after the other. */
export async function forward({ docker, folder, note, options, signal }: Bench): Promise<Outcome> {
  const { loads, peers } = options;
  const sender = await GoSender.build("sender", folder, signal);
  await using contenders = await Contenders.start(docker, peers, folder, signal);
  const results: LoadResult[] = [];
  for (const load of loads) {
    const play = { ...options, sender, note: (line: string) => note(`${load.id}: ${line}`) };
    results.push({ load, played: await playRounds(contenders.all, load, play, signal) });
  }
  return {
    tables: [overviewTable(results), ...results.map(loadTable), ...contenders.leftOut],
    findings: results.flatMap(forwardFindings),
  };
}
