import { orderOf } from "../forward/rounds.ts";
import type { Bench, Outcome } from "../scenario.ts";
import { APP_HOST, checkAnswer } from "../support/app.ts";
import { HttpClient } from "../support/http_client.ts";
import { cpuMicros } from "../support/process.ts";
import { wrk } from "../support/wrk.ts";
import { type Contender, ObserveContenders } from "./contenders.ts";
import { observeFindings, observeTable, type Turns } from "./report.ts";

/** Over how many connections the requests come. */
const CONNECTIONS = 32;

/** What a request costs cless when it counts it, writes it to an access log, or adds to its trace. */
export async function observe({ docker, folder, note, options, signal }: Bench): Promise<Outcome> {
  const { rounds, seconds, warmUpSeconds } = options;
  await using contenders = await ObserveContenders.start(docker, folder, signal);
  const { all } = contenders;
  using client = new HttpClient(CONNECTIONS);
  const check = async ({ name, url }: Contender) =>
    checkAnswer(await client.ask(url, { host: APP_HOST, signal }), name);
  const load = ({ url }: Contender, seconds: number) =>
    wrk({ url: `${url}12`, host: APP_HOST, seconds, connections: CONNECTIONS }, signal);
  for (const contender of all) {
    await check(contender); // starts its instance
    // What a proxy does for the first time it does slowly for a while.
    if (warmUpSeconds > 0) await load(contender, 2 * warmUpSeconds);
  }
  const turns: Turns = new Map(all.map((contender) => [contender, []]));
  for (let round = 0; round < rounds; round++) {
    for (const contender of orderOf<Contender>(all, round)) {
      await check(contender);
      if (warmUpSeconds > 0) await load(contender, warmUpSeconds);
      const before = await cpuMicros(contender.pid);
      const { requests, requestsPerSecond, p99Ms } = await load(contender, seconds);
      const micros = (await cpuMicros(contender.pid) - before) / requests;
      turns.get(contender)!.push({ micros, requestsPerSecond, p99Ms });
      note(`round ${round + 1} of ${rounds}: ${contender.name}: ${micros.toFixed(1)} µs`);
    }
  }
  return { tables: [observeTable(turns)], findings: observeFindings(turns) };
}
