// @ts-check
/** Writes numbers, times and sizes, in the words of the command line. */

const SIZE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/**
 * Writes a whole number of bytes in a fitting unit: `1.3 MiB`, `512 KiB`, `12 B`. Numbers below 100 have one decimal,
 * except in bytes.
 *
 * @param {number} bytes
 */
export function sizeText(bytes) {
  let [size, unit] = [bytes, 0];
  // 1023.5 would be rounded to 1024, which belongs to the next unit.
  for (; size >= 1023.5 && unit < SIZE_UNITS.length - 1; unit++) size /= 1024;
  return `${unit === 0 || size >= 99.95 ? Math.round(size) : size.toFixed(1)} ${SIZE_UNITS[unit]}`;
}

/**
 * Writes how long something took: `3.7ms`, `41ms`, `1.2s`; from a minute on, in its largest unit.
 *
 * @param {number} ms
 */
export function durationText(ms) {
  if (ms >= 59_950) return lengthOf(ms);
  const [amount, unit] = ms < 999.5 ? [ms, "ms"] : [ms / 1000, "s"];
  return `${amount < 9.95 ? amount.toFixed(1) : Math.round(amount)}${unit}`;
}

/**
 * Writes how old something is: `3m`; `-` without a time.
 *
 * @param {string | undefined} at ISO 8601
 * @param {number} now ms since 1970
 */
export function age(at, now) {
  const time = Date.parse(at ?? "");
  if (Number.isNaN(time)) return "-";
  return now - time < 1000 ? "now" : lengthOf(now - time);
}

/**
 * Writes an age in its largest unit, such as `3m ago`.
 *
 * @param {string | undefined} at ISO 8601
 * @param {number} now ms since 1970
 */
export function ago(at, now) {
  const length = age(at, now);
  return length === "-" || length === "now" ? length : `${length} ago`;
}

/** @param {number} ms */
function lengthOf(ms) {
  const seconds = Math.floor(ms / 1000);
  if (seconds >= 86_400) return `${Math.floor(seconds / 86_400)}d`;
  if (seconds >= 3600) return `${Math.floor(seconds / 3600)}h`;
  return seconds >= 60 ? `${Math.floor(seconds / 60)}m` : `${seconds}s`;
}

/**
 * Writes a length of time in its two largest units: `3 h 10 min`, `45 s`.
 *
 * @param {number} ms
 */
export function spanText(ms) {
  const minutes = Math.round(ms / 60_000);
  if (minutes < 1) return `${Math.round(ms / 1000)} s`;
  if (minutes < 60) return `${minutes} min`;
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  return rest === 0 ? `${hours} h` : `${hours} h ${rest} min`;
}

/**
 * Writes a rate, or a count a day, with as many decimals as it needs: `0.3`, `4.2`, `120`.
 *
 * @param {number} value
 */
export function numberText(value) {
  if (value === 0) return "0";
  if (value < 0.095) return value.toPrecision(1);
  return value < 9.95 ? value.toFixed(1) : String(Math.round(value));
}

/**
 * Writes a count of things: `1 wake`, `4 wakes`.
 *
 * @param {number} count
 * @param {string} thing
 */
export function countText(count, thing) {
  return `${count} ${thing}${count === 1 ? "" : "s"}`;
}

/**
 * The time of day where the reader is: `03:12`, or with seconds `03:12:44`.
 *
 * @param {string | number} at ISO 8601, or ms since 1970
 * @param {boolean} [seconds]
 */
export function clockText(at, seconds = false) {
  const date = new Date(at);
  const digits = [date.getHours(), date.getMinutes(), ...(seconds ? [date.getSeconds()] : [])];
  return digits.map((value) => String(value).padStart(2, "0")).join(":");
}

/**
 * The day and the time where the reader is: `2026-11-29 03:12`.
 *
 * @param {string | number} at ISO 8601, or ms since 1970
 */
export function dateText(at) {
  const date = new Date(at);
  const [month, day] = [date.getMonth() + 1, date.getDate()].map((value) => String(value).padStart(2, "0"));
  return `${date.getFullYear()}-${month}-${day} ${clockText(at)}`;
}

/**
 * The time of day with seconds, with the day unless it is today: `03:12:44`, `2026-11-29 03:12:44`.
 *
 * @param {string} at ISO 8601
 * @param {number} now ms since 1970
 */
export function momentText(at, now) {
  const isToday = new Date(at).toDateString() === new Date(now).toDateString();
  return `${isToday ? "" : `${dateText(at).slice(0, 10)} `}${clockText(at, true)}`;
}

/**
 * The time zone of the reader: `UTC+1, Europe/Berlin`.
 *
 * @param {Date} now
 */
export function zoneText(now) {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const minutes = -now.getTimezoneOffset();
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  const offset = `${minutes < 0 ? "−" : "+"}${hours}${rest === 0 ? "" : `:${rest}`}`;
  return [`UTC${minutes === 0 ? "" : offset}`, ...(timeZone === "UTC" ? [] : [timeZone])].join(", ");
}

/**
 * Writes an amount with three digits: `0.0412`, `3.07`, `120`.
 *
 * @param {number} value
 */
export function amountText(value) {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

/**
 * Writes a change: in percent, or as a difference where the base is too small for percents to mean anything.
 *
 * @param {number} before
 * @param {number} after
 */
export function changeText(before, after) {
  if (before === after) return "same";
  const [difference, sign] = [after - before, after > before ? "+" : "−"];
  if (before < 1) return `${sign}${amountText(Math.abs(difference))}`;
  const percent = Math.abs(100 * difference / before);
  return `${sign}${percent < 9.95 ? amountText(Number(percent.toFixed(1))) : Math.round(percent)}%`;
}

/**
 * What went wrong without what to do about it, which the page of the service shows.
 *
 * @param {string} reason
 */
export function clauseOf(reason) {
  return reason.replace(/;.*/s, "");
}

/**
 * The id of an instance without what all of a service have: the revision's number and the random end.
 *
 * @param {string} id
 * @param {string} service
 */
export function shortId(id, service) {
  return id.replace(`cless-${service}-`, "").replace(`${service}-`, "");
}
