const UNITS: readonly [unit: string, seconds: number][] = [["d", 86_400], ["h", 3600], ["m", 60], ["s", 1]];

/**
 * Says how long ago something was, in its largest unit: `3m ago`.
 *
 * @param at ISO 8601; nothing and what is none give `-`.
 * @param now Wall-clock time, ms since 1970.
 */
export function ago(at: string | undefined, now: number): string {
  const length = age(at, now);
  return length === "-" || length === "now" ? length : `${length} ago`;
}

/** The same for what is still to come: `in 3m`. */
export function until(at: string | undefined, now: number): string {
  const time = Date.parse(at ?? "");
  if (Number.isNaN(time)) return "-";
  return time <= now ? ago(at, now) : `in ${lengthOf(time - now)}`;
}

/** How old something is: `3m`. */
export function age(at: string | undefined, now: number): string {
  const time = Date.parse(at ?? "");
  if (Number.isNaN(time)) return "-";
  return now - time < 1000 ? "now" : lengthOf(now - time);
}

function lengthOf(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const [unit, length] = UNITS.find(([, length]) => seconds >= length) ?? ["s", 1];
  return `${Math.floor(seconds / length)}${unit}`;
}
