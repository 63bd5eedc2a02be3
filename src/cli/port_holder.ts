/**
 * Finds the program that listens on a TCP port, by ss(8).
 *
 * @returns Such as `nginx (pid 12)`; `undefined` where there is none, or the machine does not tell.
 */
export async function portHolder(port: number): Promise<string | undefined> {
  try {
    const { stdout } = await new Deno.Command("ss", { args: ["-Hltnp", `sport = :${port}`], stderr: "null" }).output();
    const match = /users:\(\("([^"]+)",pid=(\d+)/.exec(new TextDecoder().decode(stdout));
    return match === null ? undefined : `${match[1]} (pid ${match[2]})`;
  } catch {
    return undefined; // there is no ss here
  }
}
