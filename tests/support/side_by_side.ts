/** A program and its arguments. */
export type Command = readonly [program: string, ...args: string[]];

/**
 * Runs rows of commands at the same time, and those of a row one after another, also where one fails. The first row
 * prints as it goes. What another one prints comes whole, once those before it have ended. SIGINT and SIGTERM are passed
 * on to what runs, and nothing else is begun then.
 *
 * @param print Gets what the other rows have printed.
 * @returns An exit code of a command that has failed; 0 if none has.
 */
export async function runSideBySide(
  rows: readonly (readonly Command[])[],
  print: (bytes: Uint8Array) => void,
): Promise<number> {
  const running = new Set<Deno.ChildProcess>();
  let isOver = false;
  const listeners = (["SIGINT", "SIGTERM"] as const).map((signal) => {
    const passOn = () => {
      isOver = true;
      running.forEach((child) => child.kill(signal));
    };
    Deno.addSignalListener(signal, passOn);
    return () => Deno.removeSignalListener(signal, passOn);
  });
  /** Runs a row, and resolves with the exit code of the first command that has failed. */
  const run = async (row: readonly Command[], output?: Output) => {
    let failure = 0;
    for (const [program, ...args] of row) {
      if (isOver) break;
      // One pipe for both, which keeps the order.
      const merged = ["-c", 'exec "$@" 2>&1', "sh", program, ...args];
      const child = output === undefined
        ? new Deno.Command(program, { args, stdin: "null" }).spawn()
        : new Deno.Command("sh", { args: merged, stdin: "null", stdout: "piped" }).spawn();
      running.add(child);
      await output?.read(child.stdout);
      const { code } = await child.status.finally(() => running.delete(child));
      failure ||= code;
    }
    return failure;
  };
  try {
    const [first = [], ...others] = rows;
    const live = run(first);
    const kept = others.map((row) => {
      const output = new Output();
      return { output, ended: run(row, output) };
    });
    let failure = await live;
    for (const { ended, output } of kept) {
      output.printTo(print);
      const code = await ended;
      failure ||= code;
    }
    return failure;
  } finally {
    listeners.forEach((remove) => remove());
  }
}

/** What a row prints. It is kept until it may be printed. */
class Output {
  #kept: Uint8Array[] = [];
  #take: (bytes: Uint8Array) => void = (bytes) => this.#kept.push(bytes);

  async read(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const bytes of stream) this.#take(bytes);
  }

  /** Prints what has come, and from now on what comes. */
  printTo(print: (bytes: Uint8Array) => void): void {
    this.#kept.forEach(print);
    this.#kept = [];
    this.#take = print;
  }
}
