import { orderOf } from "../forward/rounds.ts";
import type { Bench, Outcome } from "../scenario.ts";
import { APP_HOST, checkAnswer } from "../support/app.ts";
import { HttpClient } from "../support/http_client.ts";
import { cpuMicros, residentMb } from "../support/process.ts";
import { howToInstall, TOOLS, versionOf } from "../support/tool.ts";
import { wrk } from "../support/wrk.ts";
import { type Contender, HttpsContenders } from "./contenders.ts";
import { httpsFindings, httpsTable, type Turn, type Turns } from "./report.ts";

/** Over how many connections the requests come. */
const CONNECTIONS = 32;

/** What HTTPS costs: cless behind Caddy as `cless https on` configures it, beside the same Caddy without cless. */
export async function https({ docker, folder, note, options, signal }: Bench): Promise<Outcome> {
  for (const tool of [TOOLS.caddy, TOOLS.openssl]) {
    if (await versionOf(tool) === undefined) {
      return { tables: [`Left out: HTTPS, ${howToInstall(tool)}`], findings: [] };
    }
  }
  const { rounds, seconds, warmUpSeconds } = options;
  await using contenders = await HttpsContenders.start(docker, folder, signal);
  const { all, certificate } = contenders;
  using client = new HttpClient(CONNECTIONS, [certificate]);
  const check = async ({ name, url }: Contender) =>
    checkAnswer(await client.ask(url, { host: APP_HOST, signal }), name);
  const load = ({ url }: Contender, seconds: number) =>
    wrk({ url: `${url}12`, host: APP_HOST, seconds, connections: CONNECTIONS }, signal);
  // What a proxy does for the first time it does slowly for a while.
  if (warmUpSeconds > 0) { for (const contender of all) await load(contender, 2 * warmUpSeconds); }
  const turns: Turns = new Map(all.map((contender) => [contender, []]));
  for (let round = 0; round < rounds; round++) {
    for (const contender of orderOf<Contender>(all, round)) {
      await check(contender);
      if (warmUpSeconds > 0) await load(contender, warmUpSeconds);
      const before = await usedBy(contender);
      const { requests, requestsPerSecond, p99Ms } = await load(contender, seconds);
      const after = await usedBy(contender);
      await check(contender);
      const turn: Turn = {
        caddyMicros: (after.caddyMicros - before.caddyMicros) / requests,
        clessMicros: (after.clessMicros - before.clessMicros) / requests,
        requestsPerSecond,
        p99Ms,
        memoryMb: after.memoryMb,
      };
      turns.get(contender)!.push(turn);
      note(
        `round ${round + 1} of ${rounds}: ${contender.name}: ${(turn.caddyMicros + turn.clessMicros).toFixed(1)} µs`,
      );
    }
  }
  return { tables: [httpsTable(turns)], findings: httpsFindings(turns) };
}

/** What the processes of one have used so far. */
async function usedBy({ caddy, cless }: Contender) {
  const pids = [caddy, cless].filter((pid) => pid !== undefined);
  const memories = await Promise.all(pids.map(residentMb));
  return {
    caddyMicros: caddy === undefined ? 0 : await cpuMicros(caddy),
    clessMicros: cless === undefined ? 0 : await cpuMicros(cless),
    memoryMb: memories.reduce((sum, mb) => sum + mb, 0),
  };
}
