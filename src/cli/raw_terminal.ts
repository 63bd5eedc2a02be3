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

/** Does something while the terminal passes all keys on, Ctrl-C too. Without a terminal, just does it. */
export async function whileRaw<T>(act: () => Promise<T>): Promise<T> {
  if (!Deno.stdin.isTerminal()) return await act();
  Deno.stdin.setRaw(true);
  try {
    return await act();
  } finally {
    Deno.stdin.setRaw(false);
  }
}
