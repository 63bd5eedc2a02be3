const decoder = new TextDecoder();

/** What a file below /proc says; nothing where there is none. Deno reads them for those alone who may do everything. */
export function readProc(path: string): Promise<string> {
  return output("cat", path);
}

/** How much room there is in a folder, in bytes; `undefined` where it cannot be seen. */
export async function freeBytes(folder: string): Promise<number | undefined> {
  const available = /(\d+)\s+\d+%\s/.exec(await output("df", "-Pk", folder))?.[1];
  return available === undefined ? undefined : Number(available) * 1024;
}

async function output(command: string, ...args: string[]): Promise<string> {
  try {
    const { success, stdout } = await new Deno.Command(command, { args, stdin: "null", stderr: "null" }).output();
    return success ? decoder.decode(stdout) : "";
  } catch {
    return ""; // there is no such command here
  }
}
