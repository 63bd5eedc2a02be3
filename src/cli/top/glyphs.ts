import { eastAsianWidth } from "get-east-asian-width";
import { plainText } from "../text.ts";

/** What a terminal shows as one character. */
export interface Glyph {
  readonly text: string;
  /** How many columns it takes. */
  readonly columns: 1 | 2;
}

const TAB = "    ";

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/**
 * The characters of a foreign text as a terminal shows them. Leaves out escape sequences, and characters that control
 * the terminal, change the direction of writing or take no column of their own. A tab is four spaces.
 *
 * How wide a character is: https://www.unicode.org/reports/tr11/
 */
export function glyphsOf(text: string): Glyph[] {
  const plain = plainText(text).replaceAll("\t", TAB);
  // Most texts have no other characters.
  if (isOneColumnEach(plain)) return Array.from(plain, (text) => ({ text, columns: 1 }));
  return Array.from(graphemes.segment(plain.replaceAll(/(?!\u200d)[\p{Cf}\p{Zl}\p{Zp}]/gu, "")), ({ segment }) => {
    return { text: segment.toWellFormed(), columns: columnsOf(segment) };
  }).filter((glyph): glyph is Glyph => glyph.columns > 0);
}

function columnsOf(grapheme: string): 0 | 1 | 2 {
  if (/^[\p{M}\u200d]/u.test(grapheme)) return 0;
  if (/\ufe0f|^\p{Regional_Indicator}{2}/u.test(grapheme)) return 2;
  return eastAsianWidth(grapheme.codePointAt(0)!);
}

/** Whether every terminal gives each character one column. Terminals differ about emoji and scripts of other widths. */
export function isOneColumnEach(text: string): boolean {
  return /^[ -~\u2013\u2026\u2190-\u2193\u2500-\u259f]*$/.test(text);
}
