const decoder = new TextDecoder();
const QUIET = { stdin: "null", stderr: "null" } as const;

/**
 * The content of a file in /proc; empty if there is none. Uses `cat`, since Deno itself needs all permissions for these
 * files.
 */
export function readProc(path: string): Promise<string> {
  return output("cat", path);
}

/** Like {@linkcode readProc}, for several files in /proc and /sys: their contents, joined. Blocks while `cat` runs. */
export function readProcSync(...paths: string[]): string {
  try {
    return decoder.decode(new Deno.Command("cat", { args: paths, ...QUIET }).outputSync().stdout);
  } catch {
    return ""; // there is no `cat` here
  }
}

/** The free space on the file system of a folder, bytes; `undefined` if unknown. */
export async function freeBytes(folder: string): Promise<number | undefined> {
  const available = /(\d+)\s+\d+%\s/.exec(await output("df", "-Pk", folder))?.[1];
  return available === undefined ? undefined : Number(available) * 1024;
}

/** The lines of files that match a POSIX extended regular expression; skips missing files. */
export async function grep(pattern: string, files: readonly string[]): Promise<{ file: string; line: string }[]> {
  const found = await output("grep", "-sHE", "-e", pattern, "--", ...files);
  return found.split("\n").flatMap((text) => {
    const at = text.indexOf(":");
    return at < 0 ? [] : [{ file: text.slice(0, at), line: text.slice(at + 1) }];
  });
}

/** What a shell script prints. For files in /proc whose names only the shell knows. */
export function shell(script: string): Promise<string> {
  return output("sh", "-c", script);
}

/** The program that listens on a TCP port, by ss(8), such as `nginx (pid 12)`; `undefined` if unknown. */
export async function portHolder(port: number): Promise<string | undefined> {
  const match = /users:\(\("([^"]+)",pid=(\d+)/.exec(await output("ss", "-Hltnp", `sport = :${port}`));
  return match === null ? undefined : `${match[1]} (pid ${match[2]})`;
}

/** What a command prints, even if it fails: `grep` fails if a file is missing. */
async function output(command: string, ...args: string[]): Promise<string> {
  try {
    const { stdout } = await new Deno.Command(command, { args, ...QUIET }).output();
    return decoder.decode(stdout);
  } catch {
    return ""; // there is no such command here
  }
}
