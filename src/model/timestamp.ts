const CANONICAL = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/;
const RFC_3339 = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/;

/**
 * Writes a moment of RFC 3339 in UTC and to the nanosecond, so that of two of them the text that sorts first is the
 * earlier one; `undefined` where the text is no moment.
 */
export function canonicalTime(text: string): string | undefined {
  if (CANONICAL.test(text)) return text; // as engines write it
  const [, date, time, fraction = "", zone] = RFC_3339.exec(text) ?? [];
  if (date === undefined) return undefined;
  const whole = Date.parse(`${date}T${time}${zone!.toUpperCase()}`);
  if (Number.isNaN(whole)) return undefined;
  const utc = new Date(whole).toISOString();
  return /^\d{4}-/.test(utc) ? `${utc.slice(0, 19)}.${fraction.padEnd(9, "0")}Z` : undefined;
}
