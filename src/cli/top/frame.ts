import { type Colour, COLOUR_CODES } from "../terminal.ts";
import { glyphsOf, isOneColumnEach } from "./glyphs.ts";

/** How a text looks. */
export type Ink = Colour | "bold" | "dim" | "reverse";

/** A piece of a line. */
export interface Span {
  readonly text: string;
  readonly inks: readonly Ink[];
}

/** A line before it is fitted to the screen. Its texts may be foreign. */
export type Line = readonly Span[];

/** One column of a row of the screen. */
interface Cell {
  /** Empty for the second column of a wide character. */
  readonly text: string;
  /** As SGR codes of ECMA-48, such as `1;31`. */
  readonly style: string;
}

/** What the screen shows, row by row. Each row has all its columns. */
export type Frame = readonly (readonly Cell[])[];

const INK_CODES = { bold: 1, dim: 2, reverse: 7 };

const BLANK: Cell = { text: " ", style: "" };

/** Makes a piece of a line. */
export function span(text: string, ...inks: Ink[]): Span {
  return { text, inks };
}

/**
 * Fits lines to a screen: cuts what is too wide or too much, and fills up what is missing.
 *
 * @param isColoured Without colours, texts are still bold, dim and reversed.
 */
export function frameOf(lines: readonly Line[], size: { columns: number; rows: number }, isColoured: boolean): Frame {
  return Array.from({ length: size.rows }, (_, row) => cellsOf(lines[row] ?? [], size.columns, isColoured));
}

function cellsOf(line: Line, columns: number, isColoured: boolean): Cell[] {
  const cells: Cell[] = [];
  for (const { inks, text } of line) {
    const style = inks.flatMap((ink) => {
      if (ink in INK_CODES) return INK_CODES[ink as keyof typeof INK_CODES];
      return isColoured ? COLOUR_CODES[ink as Colour] : [];
    }).join(";");
    for (const glyph of glyphsOf(text)) {
      if (cells.length + glyph.columns > columns) break;
      cells.push({ text: glyph.text, style });
      if (glyph.columns === 2) cells.push({ text: "", style });
    }
  }
  while (cells.length < columns) cells.push(BLANK);
  return cells;
}

/** Fewer unchanged columns than this are written again: to move the cursor would take as many bytes. */
const MIN_SKIPPED = 8;

/**
 * What to write so that a screen that shows `before` shows `after`: only what has changed.
 *
 * @param before `undefined` if nobody knows what the screen shows, or if it had another size.
 */
export function changesOf(before: Frame | undefined, after: Frame): string {
  const start = before === undefined ? "\x1b[0m\x1b[2J" : "";
  return start + after.map((cells, row) => rowChanges(before?.[row], cells, row)).join("");
}

function rowChanges(before: readonly Cell[] | undefined, after: readonly Cell[], row: number): string {
  const known = before ?? after.map(() => BLANK);
  const isSame = (at: number) => known[at]!.text === after[at]!.text && known[at]!.style === after[at]!.style;
  const changed = after.flatMap((_, at) => isSame(at) ? [] : [at]);
  if (changed.length === 0) return "";
  // Where terminals differ about a character, nobody knows in which column the next one is.
  const isExact = [...known, ...after].every(({ text }) => isOneColumnEach(text));
  if (!isExact) return `${cursorTo(row, 0)}\x1b[K${textOf(after)}`;
  const runs: { from: number; to: number }[] = [];
  for (const at of changed) {
    const last = runs.at(-1);
    if (last !== undefined && at - last.to < MIN_SKIPPED) last.to = at + 1;
    else runs.push({ from: at, to: at + 1 });
  }
  return runs.map(({ from, to }) => cursorTo(row, from) + endedText(after.slice(from, to), after.slice(to))).join("");
}

/** The text of some cells. Erases the rest of the row instead of writing spaces at its end. */
function endedText(cells: readonly Cell[], rest: readonly Cell[]): string {
  const length = cells.findLastIndex((cell) => !isBlank(cell)) + 1;
  if (length === cells.length || !rest.every(isBlank)) return textOf(cells);
  return `${textOf(cells.slice(0, length))}\x1b[K`;
}

function isBlank({ style, text }: Cell): boolean {
  return text === " " && style === "";
}

/** The text of cells. It begins and ends with the plain style. */
function textOf(cells: readonly Cell[]): string {
  let style = "";
  let text = "";
  for (const cell of cells) {
    if (cell.style !== style) text += `\x1b[0${cell.style === "" ? "" : `;${cell.style}`}m`;
    style = cell.style;
    text += cell.text;
  }
  return text + (style === "" ? "" : "\x1b[0m");
}

function cursorTo(row: number, column: number): string {
  return `\x1b[${row + 1};${column + 1}H`;
}
