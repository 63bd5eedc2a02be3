/**
 * Asks whoever sits at the terminal.
 *
 * @returns Whether the answer was yes; `undefined` where nobody can be asked.
 */
export async function confirmed(question: string): Promise<boolean | undefined> {
  if (!Deno.stdin.isTerminal() || !Deno.stderr.isTerminal()) return undefined;
  await Deno.stderr.write(new TextEncoder().encode(`${question} [y/N] `));
  const answer = new Uint8Array(256);
  const length = await Deno.stdin.read(answer) ?? 0;
  return /^\s*y(es)?\s*$/i.test(new TextDecoder().decode(answer.subarray(0, length)));
}
