import type { TerminalSize } from "../control/exec/process.ts";

/** Of a terminal that does not know its size. */
export const USUAL_SIZE: TerminalSize = { columns: 80, rows: 24 };

/** The size of the terminal; `undefined` if there is none, or if it does not know its size. */
export function terminalSize(): TerminalSize | undefined {
  try {
    const { columns, rows } = Deno.consoleSize();
    return columns > 0 && rows > 0 ? { columns, rows } : undefined;
  } catch {
    return undefined;
  }
}

/** A terminal that passes all keys on, Ctrl-C too, and shows what it gets as it is. Disposing of it restores it. */
export class RawTerminal implements Disposable {
  #isRaw = false;

  /** Begins; does nothing if standard input is no terminal. */
  async begin(): Promise<void> {
    if (!Deno.stdin.isTerminal()) return;
    Deno.stdin.setRaw(true);
    this.#isRaw = true;
    await keepLineFeeds();
  }

  [Symbol.dispose](): void {
    if (this.#isRaw) Deno.stdin.setRaw(false); // also undoes what stty has changed
    this.#isRaw = false;
  }
}

/**
 * Makes the terminal leave line feeds alone, as the platform's raw mode does not: programs that fill the screen use them
 * to go down.
 */
async function keepLineFeeds(): Promise<void> {
  try {
    await new Deno.Command("stty", { args: ["-opost"], stdin: "inherit", stdout: "null", stderr: "null" }).output();
  } catch {
    // There is no stty; most programs look right all the same.
  }
}
