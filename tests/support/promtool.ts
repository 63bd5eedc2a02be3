import { noRun } from "./permissions.ts";

/** Whether Prometheus' own tool to check metrics and rules is here. */
export const canCheck = !noRun && await isHere();

async function isHere(): Promise<boolean> {
  try {
    return (await new Deno.Command("promtool", { args: ["--version"] }).output()).success;
  } catch {
    return false; // thrown before there is a promise
  }
}

/** Runs `promtool` with an input; returns its exit code, and all that it says. */
export async function promtool(input: string, ...args: string[]): Promise<{ code: number; said: string }> {
  const command = new Deno.Command("promtool", { args, stdin: "piped", stdout: "piped", stderr: "piped" });
  const child = command.spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stderr, stdout } = await child.output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, said: out! + err! };
}
