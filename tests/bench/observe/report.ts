import type { Finding } from "../support/finding.ts";
import { median, spread } from "../support/statistics.ts";
import { table } from "../support/table.ts";
import { BARE, type Contender, LOG, METRICS, SAMPLED, TRACES } from "./contenders.ts";

/** What one cless did in one round. */
export interface Turn {
  /** CPU per request. */
  readonly micros: number;
  readonly requestsPerSecond: number;
  readonly p99Ms: number;
}

/** What each did, one for each round. */
export type Turns = Map<Contender, Turn[]>;

/** What may cost how much, beside what. */
const COMPARED: readonly { what: string; id: string; beside: string; bar?: number }[] = [
  { what: "metrics ÷ without metrics", id: METRICS, beside: BARE, bar: 1.05 },
  { what: "access log to a file ÷ without", id: LOG, beside: METRICS, bar: 1.15 },
  { what: "traces, one of 100 recorded ÷ without", id: SAMPLED, beside: METRICS },
  { what: "traces, all recorded ÷ without", id: TRACES, beside: METRICS },
];

/** All figures, under a title. */
export function observeTable(turns: Turns): string {
  const plain = turnsOf(turns, METRICS);
  const rows = [...turns].map(([{ name }, own]) => {
    const times = ratios(own, plain);
    return [
      name,
      medianOf(own, ({ micros }) => micros).toFixed(1),
      median(times).toFixed(2),
      spread(times, 2),
      medianOf(own, ({ requestsPerSecond }) => requestsPerSecond).toFixed(0),
      medianOf(own, ({ p99Ms }) => p99Ms).toFixed(2),
    ];
  });
  const head = ["cless with", "CPU µs/request", "÷ metrics", "min–max", "requests/s", "p99 ms"];
  return `**observe**: GET of 12 bytes, 32 connections\n\n${table(head, rows)}`;
}

/** What it costs to look. */
export function observeFindings(turns: Turns): Finding[] {
  return COMPARED.map(({ bar, beside, id, what }) => {
    const times = ratios(turnsOf(turns, id), turnsOf(turns, beside));
    const value = median(times);
    return {
      what: `observe: CPU per request, ${what}`,
      value: value.toFixed(2),
      spread: spread(times, 2),
      ...(bar === undefined ? {} : { bar: `≤ ${bar}`, met: value <= bar }),
    };
  });
}

/** CPU divided by that of another in the same round, for each round. */
function ratios(turns: readonly Turn[], others: readonly Turn[]): number[] {
  return turns.map(({ micros }, round) => micros / others[round]!.micros);
}

function medianOf(turns: readonly Turn[], value: (turn: Turn) => number): number {
  return median(turns.map(value));
}

function turnsOf(turns: Turns, id: string): Turn[] {
  return [...turns].find(([contender]) => contender.id === id)![1];
}
