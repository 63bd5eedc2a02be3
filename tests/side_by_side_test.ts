import { assertEquals } from "@std/assert";
import { noRun, noWrite } from "./support/permissions.ts";
import { type Command, runSideBySide } from "./support/side_by_side.ts";
import { until } from "./support/until.ts";

const ignore = noRun || noWrite || Deno.build.os === "windows";

/** @param args For the script, from `$1` on. */
function sh(script: string, ...args: string[]): Command {
  return ["sh", "-c", script, "sh", ...args];
}

/** Runs rows of commands, and resolves with the exit code and with what all but the first row printed. */
async function run(...rows: Command[][]): Promise<[number, string]> {
  const decoder = new TextDecoder();
  let text = "";
  const code = await runSideBySide(rows, (bytes) => text += decoder.decode(bytes, { stream: true }));
  return [code, text];
}

Deno.test({ name: "what is printed beside the first row comes whole and in order", ignore }, async () => {
  const folder = await Deno.makeTempDir();
  try {
    const wait = 'until [ -e "$1/over" ]; do sleep 0.01; done';
    const printed = await run(
      [sh(wait, folder)],
      [sh(`echo a; echo b >&2; ${wait}; echo c`, folder), sh("echo d")],
      [sh('echo e; : >"$1/over"', folder)],
    );
    assertEquals(printed, [0, "a\nb\nc\nd\ne\n"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test({ name: "rows of commands fail if one of these does, and all run to their end", ignore }, async () => {
  assertEquals(await run([sh("exit 3"), sh("exit 5")], [sh("echo a")], [sh("exit 4")]), [3, "a\n"]);
  assertEquals(await run([sh("exit 0")], [sh("echo a; exit 4"), sh("echo b")]), [4, "a\nb\n"]);
  assertEquals(await run([sh("exit 0"), sh("exit 6")], [sh("echo a")]), [6, "a\n"]);
});

Deno.test({ name: "a signal ends all rows, and what they have not begun is not run", ignore }, async () => {
  const folder = await Deno.makeTempDir();
  try {
    const ready = (name: string) => sh(': >"$1"; exec sleep 60', `${folder}/${name}`);
    const ended = run([ready("a"), ready("never")], [ready("b"), sh("echo never")]);
    await until(() => [...Deno.readDirSync(folder)].length === 2);
    Deno.kill(Deno.pid, "SIGTERM");
    assertEquals(await ended, [143, ""]);
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), ["a", "b"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
