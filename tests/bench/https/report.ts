import type { Finding } from "../support/finding.ts";
import { median, spread } from "../support/statistics.ts";
import { table } from "../support/table.ts";
import { CADDY, CLESS, type Contender, EDGE } from "./contenders.ts";

/** What one of the ways did in one round. */
export interface Turn {
  /** CPU of Caddy per request; `0` if it is not on the way. */
  readonly caddyMicros: number;
  /** CPU of cless per request; `0` if it is not on the way. */
  readonly clessMicros: number;
  readonly requestsPerSecond: number;
  readonly p99Ms: number;
  /** In memory after the turn, all processes together. */
  readonly memoryMb: number;
}

/** What each did, one for each round. */
export type Turns = Map<Contender, Turn[]>;

/** All figures, under a title. */
export function httpsTable(turns: Turns): string {
  const direct = turnsOf(turns, CADDY);
  const rows = [...turns].map(([{ name }, own]) => {
    const times = ratios(own, direct);
    return [
      name,
      medianOf(own, wholeOf).toFixed(1),
      medianOf(own, ({ caddyMicros }) => caddyMicros).toFixed(1),
      medianOf(own, ({ clessMicros }) => clessMicros).toFixed(1),
      median(times).toFixed(2),
      spread(times, 2),
      medianOf(own, ({ requestsPerSecond }) => requestsPerSecond).toFixed(0),
      medianOf(own, ({ p99Ms }) => p99Ms).toFixed(2),
      medianOf(own, ({ memoryMb }) => memoryMb).toFixed(0),
    ];
  });
  const head = ["way", "CPU µs/request", "of Caddy", "of cless", "÷ Caddy", "min–max", "requests/s", "p99 ms", "MB"];
  return `**https**: GET of 12 bytes, 32 connections\n\n${table(head, rows)}`;
}

/** What HTTPS costs. */
export function httpsFindings(turns: Turns): Finding[] {
  const [edge, direct, plain] = [EDGE, CADDY, CLESS].map((id) => turnsOf(turns, id)) as [Turn[], Turn[], Turn[]];
  const times = ratios(edge, direct);
  const more = edge.map((turn, round) => wholeOf(turn) - wholeOf(plain[round]!));
  return [
    {
      what: "https: CPU per request, cless behind Caddy ÷ Caddy alone",
      value: median(times).toFixed(2),
      spread: spread(times, 2),
    },
    {
      what: "https: CPU per request, cless behind Caddy − cless over HTTP",
      value: `${median(more).toFixed(1)} µs`,
      spread: spread(more, 1),
    },
  ];
}

/** CPU of all processes per request, µs. */
function wholeOf({ caddyMicros, clessMicros }: Turn): number {
  return caddyMicros + clessMicros;
}

/** CPU divided by that of another in the same round, for each round. */
function ratios(turns: readonly Turn[], others: readonly Turn[]): number[] {
  return turns.map((turn, round) => wholeOf(turn) / wholeOf(others[round]!));
}

function medianOf(turns: readonly Turn[], value: (turn: Turn) => number): number {
  return median(turns.map(value));
}

function turnsOf(turns: Turns, id: string): Turn[] {
  return [...turns].find(([contender]) => contender.id === id)![1];
}
