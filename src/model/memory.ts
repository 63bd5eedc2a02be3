const UNITS: Record<string, number> = { b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** The lowest limit that the engine accepts, and the lowest useful budget, bytes. */
const LEAST_LIMIT = 6 * UNITS["m"]!;
const LEAST_BUDGET = UNITS["m"]!;

/**
 * Reads a size of memory such as `512k`, `256m` or `1g`, in powers of 1024 as docker takes them; a number without a unit,
 * or with `b`, is bytes.
 *
 * @returns Bytes.
 * @throws {RangeError} If the text is no size.
 */
export function parseMemory(text: string): number {
  const match = /^(\d{1,16})([bkmg])?$/i.exec(text);
  const bytes = match ? Number(match[1]) * UNITS[(match[2] ?? "b").toLowerCase()]! : NaN;
  if (!(bytes > 0 && bytes <= Number.MAX_SAFE_INTEGER)) {
    throw new RangeError("expected a size such as 512k, 256m or 1g (more than 0; one unit, and no fractions)");
  }
  return bytes;
}

/** Reads the memory limit of a container. @returns Bytes. @throws {RangeError} Also if no engine would accept it. */
export function parseMemoryLimit(text: string): number {
  return atLeast(LEAST_LIMIT, text);
}

/** Reads the memory budget of all containers together; 0 is no limit. @returns Bytes. @throws {RangeError} */
export function parseMemoryBudget(text: string): number {
  return /^0+[bkmg]?$/i.test(text) ? Infinity : atLeast(LEAST_BUDGET, text);
}

function atLeast(least: number, text: string): number {
  const bytes = parseMemory(text);
  if (bytes >= least) return bytes;
  throw new RangeError(`expected at least ${formatMemory(least)}, not ${bytes} bytes; units are k, m and g`);
}

/**
 * Writes a size in the largest unit that divides it, so that {@linkcode parseMemory} reads the same. It always has a
 * unit, else YAML would read it as a number.
 *
 * @param bytes A whole number.
 */
export function formatMemory(bytes: number): string {
  const [unit, factor] = Object.entries(UNITS).findLast(([, factor]) => bytes % factor === 0)!;
  return `${bytes / factor}${unit}`;
}

/**
 * The machine's memory, from `/proc/meminfo` followed by the limits of control groups, each on its own line. A limit that
 * is larger than the machine does not count.
 *
 * @returns Bytes; `undefined` if the text does not have it.
 */
export function parseMachineMemory(text: string): number | undefined {
  const kibibytes = /^MemTotal:\s+(\d+) kB$/m.exec(text)?.[1];
  if (kibibytes === undefined) return undefined;
  const limits = (text.match(/^\d+$/gm) ?? []).map(Number).filter((bytes) => bytes > 0);
  return Math.min(Number(kibibytes) * 1024, ...limits);
}
