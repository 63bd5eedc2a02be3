import type { Surroundings } from "../../base/config.ts";

/** Of the terminal's own colours those that can be read on dark and on light. */
const CODES = { red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36 };

/** The name of a colour. */
export type Colour = keyof typeof CODES;

/** The colours, to tell apart what has no colour of its own. */
export const COLOURS = Object.keys(CODES) as Colour[];

/** Writes a text in a colour. */
export type Paint = (text: string, colour: Colour) => string;

/** Paints on a terminal, unless NO_COLOR asks for no colours (https://no-color.org); else the text stays as it is. */
export function paintFor(stream: { isTerminal(): boolean }, surroundings: Pick<Surroundings, "env">): Paint {
  const painted = stream.isTerminal() && !surroundings.env("NO_COLOR") && surroundings.env("TERM") !== "dumb";
  return painted ? (text, colour) => `\x1b[${CODES[colour]}m${text}\x1b[0m` : (text) => text;
}
