import type { RevisionJson } from "../admin/operations/revisions.ts";
import type { ServiceJson } from "../admin/operations/services.ts";
import { systemClock } from "../base/clock.ts";
import { OperatorError } from "../base/errors.ts";
import { EXEC_CODE, type TerminalSize } from "../control/exec/process.ts";
import { defined } from "../model/defined.ts";
import { servicePath } from "./client.ts";
import { ExecSession, type SessionEnd } from "./exec_session.ts";
import { flag } from "./flags.ts";
import { withNearest } from "./nearest_service.ts";
import { RawTerminal, terminalSize, USUAL_SIZE } from "./raw_terminal.ts";
import { Progress } from "./progress.ts";
import { onlyWaits, stderrScreen } from "./terminal.ts";
import { plainText } from "./text.ts";
import { type Call, clientVerb } from "./verb.ts";

/** If the command does not run after this time, the user is told why. */
const NOTICE_MS = 300;
/** The signals that end a session, with their numbers. */
const ENDING: readonly (readonly [Deno.Signal, number])[] = [["SIGHUP", 1], ["SIGINT", 2], ["SIGTERM", 15]];

/** `cless exec`: runs a command in an instance of a service. */
export const exec = clientVerb({
  name: "exec",
  summary: "Run a command in an instance of a service, or a shell",
  args: ["NAME", "[CMD…]"],
  flags: [
    flag("--instance ID", "Run it in this instance, as cless instances lists them"),
    flag("--revision REVISION", "Run it in an instance of this revision"),
    flag("-u, --user USER", "Run it as this user of the image, such as root or 1000:1000"),
    {
      ...flag("-t, --[no-]tty", "Give it a terminal"),
      default: "if standard input and output are terminals",
    },
    flag("-i, --[no-]stdin", "Pass standard input on to it"),
  ],
  notes: [
    "Without a command, it runs bash, or sh if the image has no bash. Write -- before a command with flags of its own.",
    "The service is woken if it sleeps, and the instance stays awake until the command ends. A deploy or cless sleep waits for it as for a request, up to the drain timeout.",
    "If the service does not start, it says so with the app's last lines, and how to reach its volumes with docker.",
    "The exit code is that of the command; 127 if the image does not have it, 126 if it cannot be run, and 125 if something else has failed. If this program is killed, the command goes on, as with docker exec; without a terminal, it gets the end of its input.",
  ],
  example: ["cless exec web", "cless exec db -- pg_dump shop >shop.sql", "cless exec web --user root -- id"],
  run: async (call) => {
    const isAtTerminal = Deno.stdin.isTerminal() && Deno.stdout.isTerminal();
    const hasTerminal = call.flags.has("tty") ? call.on("tty") : isAtTerminal;
    try {
      return await run(call, hasTerminal ? terminalSize() ?? USUAL_SIZE : undefined);
    } catch (thrown) {
      const error = await withNearest(thrown, call.client, call.args.slice(0, 1));
      if (!(error instanceof OperatorError)) throw error;
      error.lines.forEach((line) => console.error(`cless: ${line}`));
      return EXEC_CODE.failed;
    }
  },
});

async function run(call: Call, terminal: TerminalSize | undefined): Promise<number> {
  const [name = ""] = call.args;
  const { opened, socket } = await call.client.webSocket(`${servicePath(name, "exec")}?${queryOf(call, terminal)}`);
  const screen = stderrScreen();
  let progress: Progress | undefined;
  const cancelNotice = systemClock.after(NOTICE_MS, () => {
    screen.live(`waking ${name}`);
    progress = Progress.begin(call.client, name, onlyWaits(screen));
  });
  const clear = () => {
    cancelNotice();
    progress?.[Symbol.asyncDispose]();
    screen.clear();
  };
  const { stderr, stdin, stdout } = Deno;
  const hasInput = !call.flags.has("stdin") || call.on("stdin");
  let end: SessionEnd;
  let isOnNewLine = true;
  let isStarted = false;
  {
    using raw = new RawTerminal();
    // Until the command runs, Ctrl-C ends the wait for it.
    const session = new ExecSession(socket, { stdin: hasInput ? stdin : undefined, stdout, stderr }, async () => {
      clear();
      isStarted = true;
      if (terminal === undefined) return;
      isOnNewLine = false;
      await raw.begin();
    });
    end = await withSignals(session, terminal !== undefined, () => session.run(opened)).finally(clear);
  }
  const { code, output = [], reason } = end;
  if (reason !== undefined) console.error(`${isOnNewLine ? "" : "\n"}cless: ${plainText(reason)}`);
  output.forEach((line) => console.error(`  ${plainText(line)}`));
  if (reason !== undefined && !isStarted) {
    const command = await volumeCommand(call, name);
    if (command !== undefined) console.error(`Where cless runs, this reaches the volumes without the app: ${command}`);
  }
  return code;
}

/** A command of docker that opens a shell with the volumes of a service, each at its path; `undefined` without any. */
async function volumeCommand(call: Call, name: string): Promise<string | undefined> {
  const revision = call.text("revision") ?? (await call.client.get<ServiceJson>(servicePath(name))).latestRevision;
  const { template } = await call.client.get<RevisionJson>(servicePath(name, "revisions", revision));
  const { volumes = [] } = template;
  if (volumes.length === 0) return undefined;
  const options = volumes.map(({ path, readOnly, source }) => ` -v ${source}:${path}${readOnly ? ":ro" : ""}`);
  return `docker run --rm -it${options.join("")} busybox`;
}

function queryOf(call: Call, terminal: TerminalSize | undefined): URLSearchParams {
  const query = new URLSearchParams(call.args.slice(1).map((word) => ["command", word]));
  const { columns, rows } = terminal ?? {};
  const named = { ...values(call), ...defined({ tty: terminal && true, columns, rows }) };
  for (const [name, value] of Object.entries(named)) query.set(name, String(value));
  return query;
}

function values(call: Call): Record<string, string> {
  return Object.fromEntries(["instance", "revision", "user"].flatMap((flag) => {
    const value = call.text(flag);
    return value === undefined ? [] : [[flag, value]];
  }));
}

/**
 * Runs a session while signals are passed to it: a new size of the terminal, and those that would end this program
 * before it has restored the terminal.
 */
async function withSignals<T>(session: ExecSession, hasTerminal: boolean, act: () => Promise<T>): Promise<T> {
  const listeners: [Deno.Signal, () => void][] = ENDING.map(([signal, number]) => [
    signal,
    () => session.leave(128 + number),
  ]);
  const resize = () => {
    const size = terminalSize();
    if (size !== undefined) session.resize(size);
  };
  if (hasTerminal) listeners.push(["SIGWINCH", resize]);
  for (const [signal, listener] of listeners) Deno.addSignalListener(signal, listener);
  try {
    return await act();
  } finally {
    for (const [signal, listener] of listeners) Deno.removeSignalListener(signal, listener);
  }
}
