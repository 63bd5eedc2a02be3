const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/**
 * Reads a duration such as `250ms`, `30s`, `5m` or `1h`.
 *
 * @returns Milliseconds; `Infinity` for `0`, which means "never" wherever a duration is a limit.
 * @throws {RangeError} When the text is not a duration.
 */
export function parseDuration(text: string): number {
  if (text === "0") return Infinity;
  const match = /^(\d{1,10})(ms|s|m|h)$/.exec(text);
  const ms = match ? Number(match[1]) * UNITS[match[2]!]! : NaN;
  // A timer of more than 2^31 - 1 ms fires at once, so anything that long is refused rather than misread.
  if (!(ms > 0 && ms < 2 ** 31)) {
    throw new RangeError("expected a duration such as 250ms, 30s, 5m or 1h (at most 24 days), or 0 for never");
  }
  return ms;
}

/**
 * Writes a duration in the largest unit that it is a whole number of, so that {@linkcode parseDuration} reads the same.
 *
 * @param ms A whole number of milliseconds, or `Infinity`.
 */
export function formatDuration(ms: number): string {
  if (ms === Infinity) return "0";
  const [unit, factor] = Object.entries(UNITS).findLast(([, factor]) => ms % factor === 0)!;
  return `${ms / factor}${unit}`;
}
