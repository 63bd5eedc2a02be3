import type { Surroundings } from "../base/config.ts";

const encoder = new TextEncoder();

/** The colours that are readable on dark and light backgrounds, as SGR codes of ECMA-48. */
const CODES = { red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36 };

export type Colour = keyof typeof CODES;

export const COLOURS = Object.keys(CODES) as Colour[];

export type Paint = (text: string, colour: Colour) => string;

/**
 * Returns a function that colours texts if the stream is a terminal that is not dumb, and NO_COLOR is not set
 * (https://no-color.org). Otherwise the function returns texts unchanged.
 */
export function paintFor(stream: { isTerminal(): boolean }, surroundings: Pick<Surroundings, "env">): Paint {
  const painted = stream.isTerminal() && !surroundings.env("NO_COLOR") && surroundings.env("TERM") !== "dumb";
  return painted ? (text, colour) => `\x1b[${CODES[colour]}m${text}\x1b[0m` : (text) => text;
}

/** Shows progress. */
export type Screen = ReturnType<typeof stderrScreen>;

/** A screen on stderr, since stdout is for the result. */
export function stderrScreen() {
  const terminal = Deno.stderr.isTerminal();
  let shown = false;
  const clear = () => {
    if (shown) Deno.stderr.writeSync(encoder.encode("\r\x1b[K"));
    shown = false;
  };
  return {
    clear,
    /** Writes a line that stays. */
    line: (text: string) => {
      clear();
      console.error(text);
    },
    /** Shows a line until something else is shown. Does nothing without a terminal. */
    live: (text: string) => {
      if (!terminal) return;
      clear();
      // Cut to the terminal's width, since a wrapped line could not be removed.
      const columns = Deno.consoleSize().columns || 80; // some terminals report 0
      Deno.stderr.writeSync(encoder.encode(text.slice(0, columns - 1)));
      shown = true;
    },
  };
}

/** A screen on which every line begins with a name, and no line stays. */
export function passing(screen: Screen, name: string): Screen {
  const live = (text: string) => screen.live(`${name}: ${text.trim()}`);
  return { line: live, live, clear: () => screen.clear() };
}

/** Shows a text during an action. */
export async function whileShown<T>(text: string, act: () => Promise<T>, screen: Screen = stderrScreen()): Promise<T> {
  screen.live(text);
  try {
    return await act();
  } finally {
    screen.clear();
  }
}

/** Asks the user. Returns whether the answer was yes; `undefined` if there is no terminal. */
export async function confirmed(question: string): Promise<boolean | undefined> {
  if (!Deno.stdin.isTerminal() || !Deno.stderr.isTerminal()) return undefined;
  await Deno.stderr.write(encoder.encode(`${question} [y/N] `));
  const answer = new Uint8Array(256);
  const length = await Deno.stdin.read(answer) ?? 0;
  return /^\s*y(es)?\s*$/i.test(new TextDecoder().decode(answer.subarray(0, length)));
}

/** Writes a line to stdout. Returns false when nobody reads any more, so that endless output can end. */
export async function writeLine(line: string): Promise<boolean> {
  let rest = encoder.encode(`${line}\n`);
  try {
    while (rest.length > 0) rest = rest.subarray(await Deno.stdout.write(rest));
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return false;
    throw error;
  }
}
