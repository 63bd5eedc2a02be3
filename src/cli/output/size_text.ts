const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** A size as people read it, such as `1.3 MiB`: three digits, rounded. @param bytes A whole number. */
export function sizeText(bytes: number): string {
  let [size, unit] = [bytes, 0];
  // What would be rounded to 1024 is one of the next unit.
  for (; size >= 1023.5 && unit < UNITS.length - 1; unit++) size /= 1024;
  return `${unit === 0 || size >= 99.95 ? Math.round(size) : size.toFixed(1)} ${UNITS[unit]}`;
}
