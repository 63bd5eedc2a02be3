import { noRun } from "./permissions.ts";

/** Whether systemd's own tool to examine units is here. */
export const canAnalyze = !noRun && await new Deno.Command("systemd-analyze", { args: ["--version"] }).output().then(
  ({ success }) => success,
  () => false,
);

/** Runs systemd's tool in a folder with units. */
export async function analyze(cwd: string, ...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const { code, stderr, stdout } = await new Deno.Command("systemd-analyze", { args, cwd }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out: out!, err: err! };
}
