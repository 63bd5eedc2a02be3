/** A program and its arguments. */
export type Command = readonly [program: string, ...args: string[]];

/** A command that runs beside the first one. */
export interface Beside {
  /** Stands above what it has printed. */
  readonly title: string;
  readonly command: Command;
}

/**
 * Runs commands at the same time. The first one prints as it goes. What another one prints comes whole, once those
 * before it have ended. SIGINT and SIGTERM are passed on to all that still run.
 *
 * @param print Gets what the others have printed.
 * @returns The exit code of the first one in order that has failed; 0 if none has.
 */
export async function runSideBySide(
  [first, ...args]: Command,
  others: readonly Beside[],
  print: (bytes: Uint8Array) => void,
): Promise<number> {
  const running = new Set<Deno.ChildProcess>();
  const started = (child: Deno.ChildProcess) => {
    running.add(child);
    return child.status.finally(() => running.delete(child));
  };
  const listeners = (["SIGINT", "SIGTERM"] as const).map((signal) => {
    const passOn = () => running.forEach((child) => child.kill(signal));
    Deno.addSignalListener(signal, passOn);
    return () => Deno.removeSignalListener(signal, passOn);
  });
  try {
    const live = started(new Deno.Command(first, { args, stdin: "null" }).spawn());
    const kept = others.map(({ title, command }) => {
      // One pipe for both, which keeps the order.
      const args = ["-c", 'exec "$@" 2>&1', "sh", ...command];
      const child = new Deno.Command("sh", { args, stdin: "null", stdout: "piped" }).spawn();
      return { title, ended: started(child), output: new Output(child.stdout) };
    });
    let { code: failure } = await live;
    for (const { title, ended, output } of kept) {
      print(new TextEncoder().encode(`\n${title}:\n`));
      await output.print(print);
      failure ||= (await ended).code;
    }
    return failure;
  } finally {
    listeners.forEach((remove) => remove());
  }
}

/** What a process prints. */
class Output {
  readonly #read: Promise<void>;
  #kept: Uint8Array[] = [];
  #take: (bytes: Uint8Array) => void = (bytes) => this.#kept.push(bytes);

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#read = (async () => {
      for await (const bytes of stream) this.#take(bytes);
    })();
  }

  /** Prints what has come and what comes, and resolves at its end. */
  async print(print: (bytes: Uint8Array) => void): Promise<void> {
    this.#kept.forEach(print);
    this.#kept = [];
    this.#take = print;
    await this.#read;
  }
}
