import { main } from "../../src/cli/main.ts";
import "../../src/cli/verbs.ts"; // the first run would load them, and take as long as that does on a machine that is busy

/** How a run of the program ended. */
export interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the program in this process. */
export async function runMain(...args: string[]): Promise<Run> {
  const [out, err]: [string[], string[]] = [[], []];
  const { error, log } = console;
  const { write } = Deno.stdout;
  const decoder = new TextDecoder();
  console.log = (text: string) => void out.push(text);
  console.error = (text: string) => void err.push(text);
  Deno.stdout.write = (bytes: Uint8Array) => {
    out.push(decoder.decode(bytes).replace(/\n$/, ""));
    return Promise.resolve(bytes.length);
  };
  try {
    const code = await main(args);
    return { code, out: out.join("\n"), err: err.join("\n") };
  } finally {
    Object.assign(console, { error, log });
    Deno.stdout.write = write;
  }
}

/** The arguments of deno that run the program as a process of its own. */
export function programArgs(...args: string[]): string[] {
  return ["run", "-A", "--quiet", new URL("../../main.ts", import.meta.url).pathname, ...args];
}

/** Runs the program as a process of its own, to its end. */
export async function runProcess(...args: string[]): Promise<Run> {
  const command = new Deno.Command(Deno.execPath(), { args: programArgs(...args), stdin: "null" });
  const { code, stderr, stdout } = await command.output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}
