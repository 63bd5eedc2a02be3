/** The place of this process among all that take requests for the same services. */
export interface Share {
  /** From 0 on; every process has another one. */
  readonly place: number;
  /** How many there are, this one included. */
  readonly of: number;
}

/** The share of a process that takes all requests. */
export const WHOLE: Share = { place: 0, of: 1 };

/**
 * How many of an instance's slots this process may use. The shares of all processes make up exactly `concurrency`,
 * unless there are more processes than slots: then each has one.
 *
 * @param turn Which process gets the first slot of those that are left over: see {@linkcode turnOf}.
 * @param concurrency How many requests an instance serves at once; Infinity for no limit.
 */
export function slotsOf({ of, place }: Share, turn: number, concurrency: number): number {
  if (of === 1 || concurrency === Infinity) return concurrency;
  const leftOver = concurrency % of;
  const distance = (place + of - turn % of) % of;
  return Math.max(1, Math.floor(concurrency / of) + (distance < leftOver ? 1 : 0));
}

/**
 * A number for an instance, the same in all processes. Ids end with a number that counts the instances of a revision, so
 * that each process has its turn; services begin at different ones.
 */
export function turnOf(id: string): number {
  const number = /\d{0,6}$/.exec(id)![0];
  let sum = Number(number);
  for (let at = 0; at < id.length - number.length; at++) sum += id.charCodeAt(at);
  return sum;
}
