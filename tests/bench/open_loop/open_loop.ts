import { orderOf } from "../forward/rounds.ts";
import type { Bench, Outcome } from "../scenario.ts";
import { GoSender } from "../support/go_sender.ts";
import { type Contender, OpenLoopContenders } from "./contenders.ts";
import { openLoopFindings, openLoopTable, type Turns } from "./report.ts";
import { SENDER, sendWhenDue } from "./sender.ts";

/** How long requests take that come when they come, over a few warm services of many. */
export async function openLoop({ app, docker, folder, note, options, signal }: Bench): Promise<Outcome> {
  const { openLoopServices, openLoopWarm, rounds, seconds, warmUpSeconds } = options;
  const sender = await GoSender.build(SENDER, folder, signal);
  note(`declaring ${openLoopServices} services, and waking ${openLoopWarm}`);
  const count = { services: openLoopServices, warm: openLoopWarm };
  await using contenders = await OpenLoopContenders.start(docker, app, count, folder, signal);
  const { all, hosts, leftOut } = contenders;
  // What a proxy does for the first time it does slowly for a while.
  if (warmUpSeconds > 0) {
    for (const { url } of all) {
      await sendWhenDue(sender, url, { hosts, warmUpSeconds: 0, seconds: 2 * warmUpSeconds, seed: 0 }, signal);
    }
  }
  const turns: Turns = new Map(all.map((contender) => [contender, []]));
  for (let round = 0; round < rounds; round++) {
    for (const contender of orderOf<Contender>(all, round)) {
      const sent = await sendWhenDue(sender, contender.url, { hosts, warmUpSeconds, seconds, seed: round + 1 }, signal);
      turns.get(contender)!.push(sent);
      note(`round ${round + 1} of ${rounds}: ${contender.name}`);
    }
  }
  return { tables: [openLoopTable(turns, count), ...leftOut], findings: openLoopFindings(turns) };
}
