const UNITS: Readonly<Record<string, number>> = {
  second: 1000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 7 * 86_400_000,
  month: 30 * 86_400_000,
  year: 365 * 86_400_000,
};

/**
 * For how long a container has been up at least, by what the engine says of it, such as `Up 3 minutes (Paused)`; the list
 * has no other word of it.
 *
 * @returns In ms; `undefined` where that does not say.
 */
export function uptime(status: string): number | undefined {
  if (/^Up Less than a second\b/.test(status)) return 0;
  const [, count, unit] = /^Up (\d+|About an?) (second|minute|hour|day|week|month|year)s?\b/.exec(status) ?? [];
  if (count === undefined || unit === undefined) return undefined;
  return (count.startsWith("About") ? 1 : Number(count)) * UNITS[unit]!;
}
