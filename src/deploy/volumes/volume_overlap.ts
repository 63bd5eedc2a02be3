import type { Volume } from "../../model/template.ts";

/** The first volume of one that is, or lies in or around, a volume of the other; by its source. */
export function sharedVolume(a: readonly Volume[], b: readonly Volume[]): string | undefined {
  return a.find(({ source }) => b.some((other) => isSamePlace(source, other.source)))?.source;
}

/** Two folders are one place where one of them is in the other: who writes into one would write into the other. */
function isSamePlace(a: string, b: string): boolean {
  return a === b || isIn(a, b) || isIn(b, a);
}

function isIn(inner: string, outer: string): boolean {
  return outer.startsWith("/") && inner.startsWith(outer.endsWith("/") ? outer : `${outer}/`);
}
