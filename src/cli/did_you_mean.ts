import { closestString } from "@std/text/closest-string";
import { levenshteinDistance } from "@std/text/levenshtein-distance";

/**
 * Names the word that may have been meant, where one is near: `; did you mean "serve"?`. A far one would only puzzle.
 *
 * @param show Writes the word.
 * @returns Nothing where none is near.
 */
export function didYouMean(word: string, known: readonly string[], show = (near: string) => `"${near}"`): string {
  const near = closestString(word, known);
  const most = Math.max(1, Math.floor(Math.max(word.length, near.length) / 3));
  return levenshteinDistance(word, near) <= most ? `; did you mean ${show(near)}?` : "";
}
