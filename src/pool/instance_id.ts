import type { Revision } from "../model/revision.ts";

const LENGTH = 6;
/** The greatest multiple of 36 that a byte can be below: those from there on would make some characters likelier. */
const FAIR = 252;

/**
 * A container's name: readable, and with so much chance in it (2 billion possibilities) that no two of a revision meet in
 * practice. Where they do, the engine refuses the second name, and that one start fails.
 */
export function newInstanceId({ name, service }: Pick<Revision, "name" | "service">): string {
  let chance = "";
  while (chance.length < LENGTH) {
    const [byte] = crypto.getRandomValues(new Uint8Array(1));
    if (byte! < FAIR) chance += (byte! % 36).toString(36);
  }
  return `cless-${service}-${name}-${chance}`;
}
