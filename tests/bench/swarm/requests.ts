import { orderOf } from "../forward/rounds.ts";
import type { Bench } from "../scenario.ts";
import { checkAnswer } from "../support/app.ts";
import { HttpClient } from "../support/http_client.ts";
import { cpuMicros, userMicros } from "../support/process.ts";
import { wrk } from "../support/wrk.ts";

const CONNECTIONS = 32;

/** Where an instance is, as seen from the cless that sends it requests. */
export type Way = "plain" | "own" | "other";

/** A cless that sends requests to an instance. */
export interface Sender {
  readonly way: Way;
  /** Where it takes them. */
  readonly url: string;
  readonly host: string;
  readonly pid: number;
}

/** CPU per warm request, µs. */
export interface RequestCost {
  /**
   * In user mode and in the kernel. As the nodes are containers of one kernel, that does for the sender also what the
   * other machine's would do: bridges, rules and translated addresses on both sides.
   */
  readonly all: number;
  /** In user mode: what cless itself does. */
  readonly user: number;
}

/** What requests have cost; one of each round. */
export type RequestCosts = Readonly<Record<Way, RequestCost[]>>;

/** Puts each under the same load by turns. @throws {BenchError} When there was a wrong answer. */
export async function requestCosts(
  senders: readonly Sender[],
  { note, options: { rounds, seconds, warmUpSeconds }, signal }: Pick<Bench, "note" | "options" | "signal">,
): Promise<RequestCosts> {
  const costs: RequestCosts = { plain: [], own: [], other: [] };
  using client = new HttpClient();
  const load = ({ host, url }: Sender, seconds: number) =>
    wrk({ url: `${url}12`, host, seconds, connections: CONNECTIONS }, signal);
  for (const sender of senders) if (warmUpSeconds > 0) await load(sender, 2 * warmUpSeconds);
  for (let round = 0; round < rounds; round++) {
    for (const sender of orderOf(senders, round)) {
      checkAnswer(await client.ask(sender.url, sender), sender.way);
      if (warmUpSeconds > 0) await load(sender, warmUpSeconds);
      const before = [await cpuMicros(sender.pid), await userMicros(sender.pid)] as const;
      const { requests } = await load(sender, seconds);
      costs[sender.way].push({
        all: (await cpuMicros(sender.pid) - before[0]) / requests,
        user: (await userMicros(sender.pid) - before[1]) / requests,
      });
    }
    const line = senders.map(({ way }) => `${way} ${costs[way].at(-1)!.all.toFixed(1)} µs`);
    note(`round ${round + 1} of ${rounds}: ${line.join(", ")}`);
  }
  return costs;
}
