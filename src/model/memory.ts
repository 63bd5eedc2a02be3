const UNITS: Record<string, number> = { b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** The least that the engine gives a container, and the least that means anything as a budget, bytes. */
const LEAST_LIMIT = 6 * UNITS["m"]!;
const LEAST_BUDGET = UNITS["m"]!;

/**
 * Reads a size of memory such as `512k`, `256m` or `1g`, in powers of 1024 as docker takes them; a number without a unit,
 * or with `b`, is bytes.
 *
 * @returns Bytes.
 * @throws {RangeError} When the text is none.
 */
export function parseMemory(text: string): number {
  const match = /^(\d{1,16})([bkmg])?$/i.exec(text);
  const bytes = match ? Number(match[1]) * UNITS[(match[2] ?? "b").toLowerCase()]! : NaN;
  if (!(bytes > 0 && bytes <= Number.MAX_SAFE_INTEGER)) {
    throw new RangeError("expected a size such as 512k, 256m or 1g (more than 0; one unit, and no fractions)");
  }
  return bytes;
}

/** Reads what a container may have at most. @returns Bytes. @throws {RangeError} When no engine would take it. */
export function parseMemoryLimit(text: string): number {
  return atLeast(LEAST_LIMIT, text);
}

/** Reads what all containers may have together; 0 is no limit. @returns Bytes. @throws {RangeError} */
export function parseMemoryBudget(text: string): number {
  return /^0+[bkmg]?$/i.test(text) ? Infinity : atLeast(LEAST_BUDGET, text);
}

function atLeast(least: number, text: string): number {
  const bytes = parseMemory(text);
  if (bytes >= least) return bytes;
  throw new RangeError(`expected at least ${formatMemory(least)}, not ${bytes} bytes; units are k, m and g`);
}

/**
 * Writes a size in the largest unit that it is a whole number of, so that {@linkcode parseMemory} reads the same. The unit
 * is always there: YAML would take the text for a number without it.
 *
 * @param bytes A whole number.
 */
export function formatMemory(bytes: number): string {
  const [unit, factor] = Object.entries(UNITS).findLast(([, factor]) => bytes % factor === 0)!;
  return `${bytes / factor}${unit}`;
}

/**
 * How much memory there is, from what the kernel tells: `/proc/meminfo`, and behind it the limits of control groups, each
 * on a line of its own. A limit that is larger than the machine is none.
 *
 * @returns Bytes; `undefined` where the text does not tell.
 */
export function parseMachineMemory(text: string): number | undefined {
  const kibibytes = /^MemTotal:\s+(\d+) kB$/m.exec(text)?.[1];
  if (kibibytes === undefined) return undefined;
  const limits = (text.match(/^\d+$/gm) ?? []).map(Number).filter((bytes) => bytes > 0);
  return Math.min(Number(kibibytes) * 1024, ...limits);
}
