import { CADDY } from "../forward/peers.ts";
import type { Finding } from "../support/finding.ts";
import { median, percentile, spread } from "../support/statistics.ts";
import { table } from "../support/table.ts";
import { CLESS, type Contender, type ServiceCount } from "./contenders.ts";
import { RATE, type Sent } from "./sender.ts";

/** What became of the requests to each, one for each round. */
export type Turns = Map<Contender, Sent[]>;

/** All figures, under a title. */
export function openLoopTable(turns: Turns, { services, warm }: ServiceCount): string {
  const rows = [...turns].map(([{ name }, sent]) => [
    name,
    median(percentiles(sent, 0.5)).toFixed(2),
    median(percentiles(sent, 0.99)).toFixed(2),
    spread(percentiles(sent, 0.99), 2),
    percentile(pooled(sent), 0.999).toFixed(2),
    percentile(pooled(sent), 1).toFixed(1),
    `${failuresOf(sent)}`,
    `${Math.max(...sent.map(({ connections }) => connections))}`,
    (percentile(sent.flatMap(({ lateMicros }) => lateMicros), 0.99) / 1000).toFixed(2),
  ]);
  const head = [
    "ms from when a request was due",
    "p50",
    "p99",
    "min–max",
    "p99.9",
    "worst",
    "errors",
    "connections",
    "p99 of the sender's lateness",
  ];
  return `**openloop**: ${RATE} requests/s over ${warm} warm services of ${services}\n\n${table(head, rows)}`;
}

/** What is held against cless; where Caddy did not play there is no bar for speed. */
export function openLoopFindings(turns: Turns): Finding[] {
  const sentTo = (wanted: string) => [...turns].find(([{ id }]) => id === wanted)?.[1];
  const ours = sentTo(CLESS)!;
  const theirs = sentTo(CADDY.id);
  const p99 = percentiles(ours, 0.99);
  const findings: Finding[] = [...turns].map(([{ name }, sent]) => failureFinding(name, sent));
  findings.push({
    what: "openloop: p50, cless",
    value: `${median(percentiles(ours, 0.5)).toFixed(2)} ms`,
    spread: spread(percentiles(ours, 0.5), 2),
  });
  if (theirs === undefined) {
    findings.push({ what: "openloop: p99, cless", value: `${median(p99).toFixed(2)} ms`, spread: spread(p99, 2) });
  } else {
    const bar = percentiles(theirs, 0.99);
    const ratios = p99.map((ms, round) => ms / bar[round]!);
    findings.push({
      what: "openloop: p99, cless; the bar is Caddy's",
      value: `${median(p99).toFixed(2)} ms`,
      spread: spread(p99, 2),
      bar: `≤ ${median(bar).toFixed(2)} ms`,
      met: median(p99) <= median(bar),
    }, { what: "openloop: p99, cless ÷ Caddy", value: median(ratios).toFixed(2), spread: spread(ratios, 2) });
  }
  const p999 = percentile(pooled(ours), 0.999);
  findings.push({ what: "openloop: p99.9, cless, all rounds together", value: `${p999.toFixed(2)} ms` });
  return findings;
}

function failureFinding(name: string, sent: readonly Sent[]): Finding {
  const failure = sent.find(({ failures }) => failures > 0)?.failure;
  return {
    what: `openloop: errors, ${name}${failure === undefined ? "" : ` (${failure})`}`,
    value: `${failuresOf(sent)}`,
    bar: "0",
    met: failuresOf(sent) === 0,
    correctness: true,
  };
}

/** A percentile of each turn, ms. */
function percentiles(sent: readonly Sent[], share: number): number[] {
  return sent.map(({ micros }) => percentile(micros, share) / 1000);
}

/** What the requests of all turns took, ms. */
function pooled(sent: readonly Sent[]): number[] {
  return sent.flatMap(({ micros }) => micros.map((each) => each / 1000));
}

function failuresOf(sent: readonly Sent[]): number {
  return sent.reduce((sum, { failures }) => sum + failures, 0);
}
