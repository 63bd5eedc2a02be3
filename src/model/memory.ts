const UNITS: Record<string, number> = { b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** The engine accepts no lower memory limit for a container. */
const MIN_LIMIT_BYTES = 6 * UNITS["m"]!;
/** No instance fits into a lower budget. */
const MIN_BUDGET_BYTES = UNITS["m"]!;
const ZERO = /^0+[bkmg]?$/i;

/** Reads bytes such as `512k`, `256m` or `1g`; units are powers of 1024, as in docker. @throws {RangeError} */
export function parseMemory(text: string): number {
  const match = /^(\d{1,16})([bkmg])?$/i.exec(text);
  const bytes = match ? Number(match[1]) * UNITS[(match[2] ?? "b").toLowerCase()]! : NaN;
  if (!(bytes > 0 && bytes <= Number.MAX_SAFE_INTEGER)) {
    throw new RangeError("expected a size such as 512k, 256m or 1g (more than 0; one unit, and no fractions)");
  }
  return bytes;
}

/** Reads a container's memory limit, bytes. @throws {RangeError} Also if no engine would accept it. */
export function parseMemoryLimit(text: string): number {
  return atLeast(MIN_LIMIT_BYTES, text);
}

/** Reads the memory budget of all containers, or of all streams, bytes; 0 is no limit. @throws {RangeError} */
export function parseMemoryBudget(text: string): number {
  return ZERO.test(text) ? Infinity : atLeast(MIN_BUDGET_BYTES, text);
}

/** Reads the default memory limit of a container, bytes; 0 is no limit. @throws {RangeError} */
export function parseDefaultMemory(text: string): number {
  return ZERO.test(text) ? Infinity : parseMemoryLimit(text);
}

/** The memory limit for a container that may use the whole budget: the budget, but at least the engine's minimum. */
export function limitOf(budgetBytes: number): number {
  return Math.max(MIN_LIMIT_BYTES, budgetBytes);
}

function atLeast(least: number, text: string): number {
  const bytes = parseMemory(text);
  if (bytes >= least) return bytes;
  throw new RangeError(`expected at least ${formatMemory(least)}, not ${bytes} bytes; units are k, m and g`);
}

/**
 * Writes bytes for {@linkcode parseMemory}, in the largest unit that gives a whole number. The unit is always written,
 * so that YAML reads a string and not a number.
 */
export function formatMemory(bytes: number): string {
  const [unit, factor] = Object.entries(UNITS).findLast(([, factor]) => bytes % factor === 0)!;
  return `${bytes / factor}${unit}`;
}

/**
 * Reads the machine's memory in bytes; `undefined` if the text does not state it. The text is `/proc/meminfo`, followed
 * by the limits of control groups, each on its own line. A limit above the machine's memory does not count.
 */
export function parseMachineMemory(text: string): number | undefined {
  const kibibytes = /^MemTotal:\s+(\d+) kB$/m.exec(text)?.[1];
  if (kibibytes === undefined) return undefined;
  const limits = (text.match(/^\d+$/gm) ?? []).map(Number).filter((bytes) => bytes > 0);
  return Math.min(Number(kibibytes) * 1024, ...limits);
}
