import type { TerminalSize } from "../control/exec/process.ts";

/** The size of the terminal; `undefined` if there is none, or if it does not know its size. */
export function terminalSize(): TerminalSize | undefined {
  try {
    const { columns, rows } = Deno.consoleSize();
    return columns > 0 && rows > 0 ? { columns, rows } : undefined;
  } catch {
    return undefined;
  }
}

/** Lets the terminal pass all keys on, Ctrl-C too, until this is disposed of. Without a terminal, does nothing. */
export function rawTerminal(): Disposable {
  const isTerminal = Deno.stdin.isTerminal();
  if (isTerminal) Deno.stdin.setRaw(true);
  return { [Symbol.dispose]: () => isTerminal && Deno.stdin.setRaw(false) };
}
