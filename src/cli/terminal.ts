import type { Surroundings } from "../base/config.ts";

const encoder = new TextEncoder();

/** The colours that are readable on dark and light backgrounds, as SGR codes of ECMA-48. */
export const COLOUR_CODES = { red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36 };

export type Colour = keyof typeof COLOUR_CODES;

export const COLOURS = Object.keys(COLOUR_CODES) as Colour[];

export type Paint = (text: string, colour: Colour) => string;

/**
 * Returns a function that colours texts if the stream is a terminal that is not dumb, and NO_COLOR is not set
 * (https://no-color.org). Otherwise the function returns texts unchanged.
 */
export function paintFor(stream: { isTerminal(): boolean }, surroundings: Pick<Surroundings, "env">): Paint {
  const painted = stream.isTerminal() && isColoured(surroundings) && surroundings.env("TERM") !== "dumb";
  return painted ? (text, colour) => `\x1b[${COLOUR_CODES[colour]}m${text}\x1b[0m` : (text) => text;
}

/** Whether a terminal may show colours (https://no-color.org). */
export function isColoured(surroundings: Pick<Surroundings, "env">): boolean {
  return !surroundings.env("NO_COLOR");
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
  const live = (text: string) => {
    if (!terminal) return;
    clear();
    // Cut to the terminal's width, since a wrapped line could not be removed.
    const columns = Deno.consoleSize().columns || 80; // some terminals report 0
    Deno.stderr.writeSync(encoder.encode(text.slice(0, columns - 1)));
    shown = true;
  };
  return {
    /** Whether a line can be renewed. */
    isTerminal: terminal,
    clear,
    /** Writes a line that stays. */
    line: (text: string) => {
      clear();
      console.error(text);
    },
    /** Shows a line until something else is shown. Does nothing without a terminal. */
    live,
    /** Shows a line until something else is shown; without a terminal, writes a line that stays. */
    wait: (text: string) => terminal ? live(text) : console.error(text),
  };
}

/** A screen that shows only what is waited for. */
export function onlyWaits(screen: Screen): Screen {
  return { ...screen, line: () => {}, live: () => {} };
}

/** A screen on which every line begins with a name, and no line stays. */
export function passing(screen: Screen, name: string): Screen {
  const live = (text: string) => screen.live(`${name}: ${text.trim()}`);
  const wait = (text: string) => screen.wait(`${name}: ${text.trim()}`);
  return { isTerminal: screen.isTerminal, line: live, live, wait, clear: () => screen.clear() };
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

/** What keys send in a terminal's raw mode. */
const KEYS = { interrupt: 3, endOfInput: 4, backspace: 8, lineFeed: 10, enter: 13, eraseLine: 21, delete: 127 };

/**
 * Asks the user at a terminal for texts that are not shown. Returns the answers; `undefined` if the user has given up.
 */
export async function askHidden(questions: readonly string[]): Promise<string[] | undefined> {
  const { stderr, stdin } = Deno;
  const answers: string[] = [];
  const chunk = new Uint8Array(256);
  let typed: number[] = [];
  let last: number | undefined;
  stdin.setRaw(true);
  try {
    await stderr.write(encoder.encode(questions[0]));
    for (;;) {
      const length = await stdin.read(chunk) ?? 0;
      if (length === 0) return undefined;
      for (const key of chunk.subarray(0, length)) {
        const isSecondOfLineEnd = key === KEYS.lineFeed && last === KEYS.enter; // in pasted text
        last = key;
        if (key === KEYS.interrupt || key === KEYS.endOfInput) return undefined;
        if (isSecondOfLineEnd) continue;
        if (key === KEYS.enter || key === KEYS.lineFeed) {
          answers.push(new TextDecoder().decode(new Uint8Array(typed)));
          typed = [];
          if (answers.length === questions.length) return answers;
          await stderr.write(encoder.encode(`\n${questions[answers.length]}`));
        } else if (key === KEYS.backspace || key === KEYS.delete) typed = withoutLast(typed);
        else if (key === KEYS.eraseLine) typed = [];
        else typed.push(key);
      }
    }
  } finally {
    stdin.setRaw(false);
    await stderr.write(encoder.encode("\n"));
  }
}

/** The bytes of a text without its last character: in UTF-8, the bytes 10xxxxxx continue a character. */
function withoutLast(bytes: readonly number[]): number[] {
  return bytes.slice(0, Math.max(0, bytes.findLastIndex((byte) => (byte & 0xc0) !== 0x80)));
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
