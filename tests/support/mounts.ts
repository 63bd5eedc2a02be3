import { noRun, noWrite } from "./permissions.ts";

/** Whether this machine lets the tests mount file systems, which are then really full or read-only: root alone may. */
export const mayMount = !noRun && !noWrite && Deno.build.os === "linux" && await (async () => {
  const folder = await Deno.makeTempDir({ prefix: "mount-" });
  const mounted = await mount("-t", "tmpfs", "none", folder);
  if (mounted) await unmount(folder);
  await Deno.remove(folder);
  return mounted;
})();

/** Runs `mount`; whether it has worked. */
export async function mount(...args: string[]): Promise<boolean> {
  try {
    return (await new Deno.Command("mount", { args, stdin: "null", stdout: "null", stderr: "null" }).output()).success;
  } catch {
    return false;
  }
}

/** Takes a file system away again. */
export async function unmount(folder: string): Promise<void> {
  await new Deno.Command("umount", { args: [folder] }).output();
}

/** Writes a file until no more fits into its file system. */
export function fillUp(path: string): void {
  using file = Deno.openSync(path, { write: true, create: true });
  for (const size of [4096, 1]) {
    try {
      for (;;) file.writeSync(new Uint8Array(size));
    } catch {
      // Full, in pieces of that size.
    }
  }
}
