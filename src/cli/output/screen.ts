/** Where progress is shown. */
export interface Screen {
  /** Writes a line that stays. */
  line(text: string): void;
  /** Shows a line that the next one takes the place of; nothing where there is no terminal. */
  live(text: string): void;
  /** Takes away what is live. */
  clear(): void;
}

/** A screen on stderr, since stdout is for what was asked for. */
export function stderrScreen(): Screen {
  const terminal = Deno.stderr.isTerminal();
  const encoder = new TextEncoder();
  let shown = false;
  const clear = () => {
    if (shown) Deno.stderr.writeSync(encoder.encode("\r\x1b[K"));
    shown = false;
  };
  return {
    clear,
    line: (text) => {
      clear();
      console.error(text);
    },
    live: (text) => {
      if (!terminal) return;
      clear();
      // A line that is broken could not be taken back.
      const columns = Deno.consoleSize().columns || 80; // some terminals do not tell
      Deno.stderr.writeSync(encoder.encode(text.slice(0, columns - 1)));
      shown = true;
    },
  };
}

/** A screen that keeps nothing: each line takes the place of the one before, with a name before it. */
export function passing(screen: Screen, name: string): Screen {
  const live = (text: string) => screen.live(`${name}: ${text.trim()}`);
  return { line: live, live, clear: () => screen.clear() };
}

/** Does something, and tells meanwhile what is waited for, where somebody sits at a terminal. */
export async function whileShown<T>(text: string, act: () => Promise<T>, screen: Screen = stderrScreen()): Promise<T> {
  screen.live(text);
  try {
    return await act();
  } finally {
    screen.clear();
  }
}
