export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: MINUTE_MS, h: HOUR_MS };

/**
 * Reads a duration such as `250ms`, `5m` or `1h`, in ms. `0` means never, and gives `Infinity`. @throws {RangeError}
 */
export function parseDuration(text: string): number {
  if (text === "0") return Infinity;
  const match = /^(\d{1,10})(ms|s|m|h)$/.exec(text);
  const ms = match ? Number(match[1]) * UNITS[match[2]!]! : NaN;
  // A timer of 2^31 ms or more would fire at once.
  if (!(ms > 0 && ms < 2 ** 31)) {
    throw new RangeError("expected a duration such as 250ms, 30s, 5m or 1h (at most 24 days), or 0 for never");
  }
  return ms;
}

/** Writes whole ms, or `Infinity`, in the largest unit that divides it; {@linkcode parseDuration} reads it back. */
export function formatDuration(ms: number): string {
  if (ms === Infinity) return "0";
  const [unit, factor] = Object.entries(UNITS).findLast(([, factor]) => ms % factor === 0)!;
  return `${ms / factor}${unit}`;
}

/** The day of a wall-clock time in UTC, such as `2026-01-31`. @param ms Since 1970. */
export function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

const CANONICAL = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/;
const RFC_3339 = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/;

/**
 * Converts an RFC 3339 time to UTC with nanoseconds, so that texts sort like times; `undefined` if it is not a valid
 * time.
 */
export function canonicalTime(text: string): string | undefined {
  if (CANONICAL.test(text)) return text; // Docker writes it like this
  const [, date, time, fraction = "", zone] = RFC_3339.exec(text) ?? [];
  if (date === undefined) return undefined;
  const whole = Date.parse(`${date}T${time}${zone!.toUpperCase()}`);
  if (Number.isNaN(whole)) return undefined;
  const utc = new Date(whole).toISOString();
  return /^\d{4}-/.test(utc) ? `${utc.slice(0, 19)}.${fraction.padEnd(9, "0")}Z` : undefined;
}
