import { main } from "../../src/cli/main.ts";
import "../../src/cli/verbs.ts"; // else the first test would take as long as loading them does

/** The outcome of a run of the program. */
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

/** Does something as if a user at a terminal gave this answer to every question; `undefined` for no terminal. */
export async function withAnswer<T>(answer: string | undefined, act: () => Promise<T>): Promise<T> {
  const { stdin, stderr } = Deno;
  const before = [stdin.isTerminal, stderr.isTerminal, stdin.read, stderr.write] as const;
  stdin.isTerminal = stderr.isTerminal = () => answer !== undefined;
  stdin.read = (bytes) => Promise.resolve(new TextEncoder().encodeInto(answer ?? "", bytes).written);
  stderr.write = (bytes) => Promise.resolve(bytes.length);
  try {
    return await act();
  } finally {
    [stdin.isTerminal, stderr.isTerminal, stdin.read, stderr.write] = before;
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

/** Runs the program as a process of its own that gets a standard input. */
export async function runWithInput(input: string, ...args: string[]): Promise<Run> {
  const child = new Deno.Command(Deno.execPath(), {
    args: programArgs(...args),
    ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}
