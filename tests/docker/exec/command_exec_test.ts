import { assert, assertEquals } from "@std/assert";
import type { ExecCommand, ExecEnd, ExecPiece } from "../../../src/control/exec/process.ts";
import { DockerCommand } from "../../../src/docker/command.ts";
import { CommandApi } from "../../../src/docker/command_api.ts";
import { hasPseudoTerminals } from "../../support/pseudo_terminal.ts";
import { noRun, noWrite } from "../../support/permissions.ts";

const LS: ExecCommand = { command: ["ls", "-l"], user: undefined, terminal: undefined };
const NOT_FOUND =
  'OCI runtime exec failed: exec failed: unable to start container process: exec: "ls": executable file not found in $PATH: unknown';

/** Runs a command where `docker` is this shell script. */
async function outcome(script: string, { command = LS, input = new Uint8Array() } = {}) {
  const folder = await Deno.makeTempDir({ prefix: "command-exec-" });
  try {
    await Deno.writeTextFile(`${folder}/docker`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    using process = await new CommandApi(new DockerCommand(`${folder}/docker`)).exec("one", command);
    const output: Record<ExecPiece["stream"], number[]> = { stdout: [], stderr: [] };
    const fed = (async () => {
      if (input.length > 0) await process.write(input);
      await process.endInput();
    })().catch(() => {});
    const pieces = process.run();
    for (;;) {
      const next = await pieces.next();
      if (next.done) {
        await fed;
        const text = (bytes: number[]) => new TextDecoder().decode(new Uint8Array(bytes));
        const end: ExecEnd = next.value;
        return { stdout: text(output.stdout), stderr: text(output.stderr), end, bytes: new Uint8Array(output.stdout) };
      }
      output[next.value.stream].push(...next.value.bytes);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function commandTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: noRun || noWrite, fn });
}

commandTest("a command is given to docker exec word by word, and its outputs and its code come back", async () => {
  const command = { ...LS, command: ["ls", "a  b", "--", "$HOME"], user: "root" };
  const { end, stderr, stdout } = await outcome('for word; do echo "[$word]"; done; echo err >&2; exit 7', { command });
  const words = ["exec", "--interactive", "--user=root", "--", "one", "ls", "a  b", "--", "$HOME"];
  assertEquals(stdout, words.map((word) => `[${word}]\n`).join(""));
  assertEquals([stderr, end], ["err\n", { code: 7 }]);
});

commandTest("bytes of any value pass through docker exec in both directions", async () => {
  const input = Uint8Array.from({ length: 300_000 }, (_, at) => at * 31 % 256);
  const { bytes, end } = await outcome("exec cat", { input });
  assertEquals([bytes, end], [input, { code: 0 }]);
});

commandTest("what docker says about a command that cannot be run is the reason, and no output", async () => {
  const { end, stderr, stdout } = await outcome(`echo '${NOT_FOUND}'; exit 126`);
  assertEquals([stdout, stderr], ["", ""]);
  assertEquals(end, { code: 127, problem: 'the command cannot be run: "ls": executable file not found in $PATH' });
  const gone = await outcome("echo 'Error response from daemon: No such container: one' >&2; exit 1");
  assertEquals([gone.stderr, gone.end], ["", { code: 125, problem: "No such container: one" }]);
});

commandTest("what Podman says about such a command comes on standard error, in several lines", async () => {
  const said =
    `Error: runc: exec failed: unable to start container process: exec: "ls": executable file not found in ` +
    "$PATH: OCI runtime attempted to invoke a command that was not found";
  const script = `echo '${said}' >&2; sleep 0.05; echo 'Error: read unixpacket: connection reset' >&2; exit 127`;
  const { end, stderr } = await outcome(script);
  const problem = 'the command cannot be run: "ls": executable file not found in $PATH';
  assertEquals([stderr, end], ["", { code: 127, problem }]);
  const refused = await outcome("echo 'unable to upgrade to tcp, received 500' >&2; exit 1");
  assertEquals(refused.end, { code: 125, problem: "unable to upgrade to tcp, received 500" });
});

commandTest("output that only begins as a reason does is passed on", async () => {
  const more = await outcome(`echo '${NOT_FOUND}'; sleep 0.05; echo more >&2; exit 126`);
  assertEquals([more.stdout, more.stderr, more.end], [`${NOT_FOUND}\n`, "more\n", { code: 126 }]);
  const good = await outcome(`echo '${NOT_FOUND}'`);
  assertEquals([good.stdout, good.end], [`${NOT_FOUND}\n`, { code: 0 }]);
  const own = await outcome("echo 'Error: mine' >&2; exit 2");
  assertEquals([own.stderr, own.end], ["Error: mine\n", { code: 2 }]);
});

const hasTerminals = !noRun && await hasPseudoTerminals();

Deno.test({
  name: "a command with a terminal has one of its own, of the right size, also after a change",
  ignore: noRun || noWrite || !hasTerminals,
  fn: async () => {
    const terminal = { columns: 97, rows: 31 };
    const script = 'echo "$*"; stty size; read line; stty size; echo "got $line" >&2; exit 7';
    const folder = await Deno.makeTempDir({ prefix: "command-exec-" });
    try {
      await Deno.writeTextFile(`${folder}/docker`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      const api = new CommandApi(new DockerCommand(`${folder}/docker`));
      using process = await api.exec("one", { command: ["it's", "a  b"], user: undefined, terminal });
      const pieces = process.run();
      let text = "";
      const shows = async (wanted: string) => {
        while (!text.includes(wanted)) {
          const { done, value } = await pieces.next();
          if (done) throw new Error(`it has ended after ${JSON.stringify(text)}`);
          text += new TextDecoder().decode(value.bytes);
        }
      };
      await shows("31 97\r\n");
      await process.resize({ columns: 132, rows: 50 });
      await process.write(new TextEncoder().encode("hello\r"));
      await shows("got hello\r\n");
      assertEquals(await pieces.next(), { done: true, value: { code: 7 } });
      const words = "exec --interactive --tty -- one it's a  b\r\n";
      assertEquals(text, `${words}31 97\r\nhello\r\n50 132\r\ngot hello\r\n`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

commandTest("disposing of a command ends docker exec with what it has started", async () => {
  const folder = await Deno.makeTempDir({ prefix: "command-exec-" });
  try {
    await Deno.writeTextFile(`${folder}/docker`, "#!/bin/sh\necho here; sleep 100", { mode: 0o755 });
    const process = await new CommandApi(new DockerCommand(`${folder}/docker`)).exec("one", LS);
    const pieces = process.run();
    assert(!(await pieces.next()).done);
    process[Symbol.dispose]();
    assertEquals(await pieces.next(), { done: true, value: { code: 137 } });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
