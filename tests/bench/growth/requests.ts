import { checkAnswer } from "../support/app.ts";
import { HttpClient } from "../support/http_client.ts";
import { cpuMicros } from "../support/process.ts";
import { wrk } from "../support/wrk.ts";
import type { Bench } from "../scenario.ts";
import { type Pair, type Side, sidesOf } from "./pair.ts";

/**
 * How often the warm-up of a turn comes first: so often that what a start with many services leaves behind, such as a
 * young generation of V8 that is twice as large, is alike in both.
 */
const FIRST_WARM_UPS = 8;
/** Over how many connections the requests come. */
const CONNECTIONS = 32;

/** CPU per warm request with each, µs; one of each round. */
export type RequestCosts = Readonly<Record<Side, number[]>>;

/**
 * Puts both under the same load by turns.
 *
 * @param host Of a service that both have.
 * @throws {BenchError} When there was a wrong answer.
 */
export async function requestCosts(
  pair: Pair,
  host: string,
  { note, options: { rounds, seconds, warmUpSeconds }, signal }: Pick<Bench, "note" | "options" | "signal">,
): Promise<RequestCosts> {
  const costs: RequestCosts = { one: [], many: [] };
  using client = new HttpClient();
  const load = (side: Side, seconds: number) =>
    wrk({ url: `${pair[side].url}12`, host, seconds, connections: CONNECTIONS }, signal);
  // The first request starts the container.
  for (const side of sidesOf(0)) {
    checkAnswer(await client.ask(pair[side].url, { host }), side);
    if (warmUpSeconds > 0) await load(side, FIRST_WARM_UPS * warmUpSeconds);
  }
  for (let round = 0; round < rounds; round++) {
    for (const side of sidesOf(round)) {
      checkAnswer(await client.ask(pair[side].url, { host }), side);
      if (warmUpSeconds > 0) await load(side, warmUpSeconds);
      const { pid } = pair[side].program;
      const before = await cpuMicros(pid);
      const { requests } = await load(side, seconds);
      costs[side].push((await cpuMicros(pid) - before) / requests);
    }
    note(`round ${round + 1} of ${rounds}: ${sidesOf(0).map((side) => costs[side].at(-1)!.toFixed(1)).join(", ")} µs`);
  }
  return costs;
}
