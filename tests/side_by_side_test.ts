import { assertEquals } from "@std/assert";
import { noRun, noWrite } from "./support/permissions.ts";
import { type Command, runSideBySide } from "./support/side_by_side.ts";
import { until } from "./support/until.ts";

const ignore = noRun || noWrite || Deno.build.os === "windows";

/** @param args For the script, from `$1` on. */
function sh(script: string, ...args: string[]): Command {
  return ["sh", "-c", script, "sh", ...args];
}

/** Runs commands, and resolves with the exit code and what was printed. */
async function run(first: Command, ...others: Command[]): Promise<[number, string]> {
  const decoder = new TextDecoder();
  let text = "";
  const named = others.map((command, index) => ({ title: `Number ${index + 2}`, command }));
  const code = await runSideBySide(first, named, (bytes) => text += decoder.decode(bytes, { stream: true }));
  return [code, text];
}

Deno.test({ name: "what is printed beside the first command comes whole and in order", ignore }, async () => {
  const folder = await Deno.makeTempDir();
  try {
    const wait = 'until [ -e "$1/over" ]; do sleep 0.01; done';
    const printed = await run(
      sh(wait, folder),
      sh(`echo a; echo b >&2; ${wait}; echo c`, folder),
      sh('echo d; : >"$1/over"', folder),
    );
    assertEquals(printed, [0, "\nNumber 2:\na\nb\nc\n\nNumber 3:\nd\n"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test(
  { name: "commands that run side by side fail if one of them does, and all run to their end", ignore },
  async () => {
    assertEquals(await run(sh("exit 3"), sh("echo a"), sh("exit 4")), [3, "\nNumber 2:\na\n\nNumber 3:\n"]);
    assertEquals(await run(sh("exit 0"), sh("echo a; exit 4")), [4, "\nNumber 2:\na\n"]);
  },
);

Deno.test({ name: "a signal ends all commands that run side by side", ignore }, async () => {
  const folder = await Deno.makeTempDir();
  try {
    const ready = (name: string) => sh(': >"$1"; exec sleep 60', `${folder}/${name}`);
    const ended = run(ready("a"), ready("b"));
    await until(() => [...Deno.readDirSync(folder)].length === 2);
    Deno.kill(Deno.pid, "SIGTERM");
    assertEquals(await ended, [143, "\nNumber 2:\n"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
