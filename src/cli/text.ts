import { resolveTraffic, type Traffic } from "../model/traffic.ts";

const GAP = "  ";

/** A table with a header. Nothing is wrapped or cut. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  return all.map((row) => widths.map((width, column) => (row[column] ?? "").padEnd(width)).join(GAP).trimEnd())
    .join("\n");
}

/** Writes names with their values, one pair per line. Leaves out rows that are `false`. */
export function pairs(rows: readonly (readonly [name: string, value: string] | false)[]): string {
  const shown = rows.filter((row) => row !== false);
  const width = Math.max(...shown.map(([name]) => name.length)) + 1;
  return shown.map(([name, value]) => `${`${name}:`.padEnd(width)}${GAP}${value}`.trimEnd()).join("\n");
}

/** Indents every line that is not empty. */
export function indented(text: string): string {
  return text.replaceAll(/^(?=.)/gm, GAP);
}

/** Escape sequences: of ECMA-48, those that a terminal takes a text with, such as its title, and choices of a charset. */
// deno-lint-ignore no-control-regex
const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]+[0-~])/g;

/** Removes escape sequences, and control characters except tabs, from a foreign text. */
export function plainText(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replaceAll(ESCAPES, "").replaceAll(/[\x00-\x08\x0a-\x1f\x7f-\x9f]/g, "");
}

/** Writes an age in its largest unit, such as `3m ago`; `-` unless `at` is ISO 8601. `now` is in ms since 1970. */
export function ago(at: string | undefined, now = Date.now()): string {
  const length = age(at, now);
  return length === "-" || length === "now" ? length : `${length} ago`;
}

/**
 * Writes when something was, in the time zone of this machine: `14:03:07`, with the date if it is not today. The column
 * has {@linkcode atHeading}. `now` is in ms since 1970.
 */
export function timeText(at: string, now = Date.now()): string {
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return "-";
  const two = (part: number) => String(part).padStart(2, "0");
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(":");
  const date = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join("-");
  return time.toDateString() === new Date(now).toDateString() ? clock : `${date} ${clock}`;
}

/** The heading of a column of times, which names their time zone: `AT (Europe/Berlin)`. */
export function atHeading(): string {
  return `AT (${Intl.DateTimeFormat().resolvedOptions().timeZone})`;
}

/** Writes the time until something, such as `in 3m`; if that is past, like {@linkcode ago}. */
export function until(at: string | undefined, now = Date.now()): string {
  const time = Date.parse(at ?? "");
  if (Number.isNaN(time)) return "-";
  return time <= now ? ago(at, now) : `in ${lengthOf(time - now)}`;
}

/** Writes how old something is: `3m`. */
export function age(at: string | undefined, now = Date.now()): string {
  const time = Date.parse(at ?? "");
  if (Number.isNaN(time)) return "-";
  return now - time < 1000 ? "now" : lengthOf(now - time);
}

function lengthOf(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds >= 86_400) return `${Math.floor(seconds / 86_400)}d`;
  if (seconds >= 3600) return `${Math.floor(seconds / 3600)}h`;
  return seconds >= 60 ? `${Math.floor(seconds / 60)}m` : `${seconds}s`;
}

/** The state of a service, with for how long and why if it is failing. `now` is in ms since 1970. */
export function stateText(
  { state, failure, failingSince }: { state: string; failure?: string | undefined; failingSince?: string | undefined },
  now = Date.now(),
): string {
  if (failure === undefined) return state;
  const length = age(failingSince, now);
  return `${state}${/\d/.test(length) ? ` for ${length}` : ""}: ${plainText(failure)}`;
}

/** Writes how long something took: `3.7ms`, `41ms`, `1.2s`; from a minute on, in its largest unit. */
export function durationText(ms: number): string {
  if (ms >= 59_950) return lengthOf(ms);
  const [amount, unit] = ms < 999.5 ? [ms, "ms"] : [ms / 1000, "s"];
  return `${amount < 9.95 ? amount.toFixed(1) : Math.round(amount)}${unit}`;
}

const SIZE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/**
 * Writes a whole number of bytes in a fitting unit: `1.3 MiB`, `512 KiB`, `12 B`. Numbers below 100 have one decimal,
 * except in bytes.
 */
export function sizeText(bytes: number): string {
  let [size, unit] = [bytes, 0];
  // 1023.5 would be rounded to 1024, which belongs to the next unit.
  for (; size >= 1023.5 && unit < SIZE_UNITS.length - 1; unit++) size /= 1024;
  return `${unit === 0 || size >= 99.95 ? Math.round(size) : size.toFixed(1)} ${SIZE_UNITS[unit]}`;
}

/** A split's shares by revision, the largest first: `web-00002 70%, web-00001 30%`. */
export function sharesText(traffic: Traffic, latest: string): string {
  return resolveTraffic(traffic, latest).filter(({ percent }) => percent > 0)
    .sort((a, b) => b.percent - a.percent)
    .map(({ revision, percent }) => `${revision} ${percent}%`).join(", ") || "-";
}

/** A split as declared, with `latest` and tags: `latest 100%, web-00001 0% (old)`. */
export function splitText(traffic: Traffic): string {
  return traffic.map(({ revision, percent, tag }) => `${revision} ${percent}%${tag === undefined ? "" : ` (${tag})`}`)
    .join(", ") || "-";
}
