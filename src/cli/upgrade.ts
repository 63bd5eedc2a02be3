import { delay } from "../base/async.ts";
import { systemClock } from "../base/clock.ts";
import { defaultDataDir, environmentLike, serveVariables, variableOf } from "../base/config.ts";
import { messageOf, OperatorError, UsageError } from "../base/errors.ts";
import { readProc } from "../base/machine.ts";
import { isDataDirInUse, lockHolder, readCall, type ServeCall } from "../control/data_dir.ts";
import { flag } from "./flags.ts";
import type { Call, Verb } from "./verb.ts";

const LOOK_MS = 20;

/** Replaces this shell by a program. If possible, the program's output goes where that of process `$1` goes. */
const WITH_OUTPUT_OF = `
pid=$1
shift
if (: >>"/proc/$pid/fd/1") 2>/dev/null; then exec >>"/proc/$pid/fd/1"; fi
if (: >>"/proc/$pid/fd/2") 2>/dev/null; then exec 2>>"/proc/$pid/fd/2"; fi
exec "$@"`;

/** `cless upgrade`: has a new process take over from the running one, with the same settings. */
export const upgrade: Verb = {
  name: "upgrade",
  summary: "Put a new process in the place of the running one, without a failed request",
  flags: [
    flag("--binary PATH", "The executable to run; by default the one that runs this"),
    flag(
      "--data-dir DIR = /var/lib/cless as root, else the XDG state folder",
      "The data-dir of the running cless; or CLESS_DATA_DIR",
    ),
  ],
  notes: [
    "The new process has the flags, the CLESS_ variables and the folder of the running one, and writes where that one writes. If it fails, the running one goes on. Run it as the same user. As a service of systemd, use systemctl reload cless.",
  ],
  example: ["cless upgrade", "cless upgrade --binary ./cless --data-dir .dev/data-0"],
  run: async (call) => {
    const dataDir = dataDirOf(call);
    const running = await readCall(dataDir);
    await checkUpgrade(call, dataDir, running);
    const command = await commandOf(call.text("binary"));
    const version = await versionOf(command);
    console.log(`pid ${running.pid} is cless ${running.version}; starting ${version}`);
    const pid = await succeed(call, dataDir, running, command);
    console.log(`pid ${pid} has taken over`);
  },
};

function dataDirOf(call: Call): string {
  const { surroundings } = call;
  return call.text("data-dir") ?? (surroundings.env(variableOf("data-dir"))?.trim() || defaultDataDir(surroundings));
}

async function checkUpgrade({ surroundings }: Call, dataDir: string, running: ServeCall): Promise<void> {
  if (!await isDataDirInUse(dataDir)) throw new OperatorError(`no cless is running with the data-dir ${dataDir}`);
  if (running.pid === 1) {
    throw new OperatorError(
      "the running cless is process 1 of a container, which would end with it; replace the container",
    );
  }
  if (running.uid !== Deno.uid()) {
    throw new OperatorError(`the running cless is of the user with the id ${running.uid}; run this as that user`);
  }
  const { INVOCATION_ID: invocation, NOTIFY_SOCKET: manager } = running.env;
  if (invocation !== undefined && manager !== undefined && surroundings.env("INVOCATION_ID") !== invocation) {
    throw new OperatorError("the running cless is a service of systemd; use systemctl reload cless");
  }
}

/** The words that run cless: the given executable, or whatever runs this process. */
async function commandOf(binary: string | undefined): Promise<string[]> {
  if (binary !== undefined) {
    try {
      return [await Deno.realPath(binary)];
    } catch (error) {
      throw new UsageError(`--binary: "${binary}" is not allowed: ${messageOf(error)}`);
    }
  }
  const words = (await readProc(`/proc/${Deno.pid}/cmdline`)).split("\0").slice(0, -1);
  const flags = words.slice(1, words.length - Deno.args.length);
  // When run from source, the last word is the path of the program, which may be relative to this folder.
  return [Deno.execPath(), ...flags.slice(0, -1), ...flags.length > 0 ? [new URL(Deno.mainModule).pathname] : []];
}

async function versionOf([program, ...args]: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await outputOf(program!, [...args, "--version"]);
  const text = new TextDecoder().decode(stdout).trim();
  if (success && text.startsWith("cless ")) return text;
  throw new OperatorError(
    `${program} is not cless: ${(new TextDecoder().decode(stderr) || text).trim().slice(0, 200)}`,
  );
}

async function outputOf(program: string, args: string[]): Promise<Deno.CommandOutput> {
  try {
    return await new Deno.Command(program, { args, stdin: "null" }).output();
  } catch (error) { // thrown if the program cannot be executed, not if it fails
    throw new OperatorError(`cannot run ${program}: ${messageOf(error)}`);
  }
}

/** Starts the successor, and waits until it has taken over. Returns its process id. */
async function succeed(
  { surroundings }: Call,
  dataDir: string,
  running: ServeCall,
  command: readonly string[],
): Promise<number> {
  const isService = surroundings.env("INVOCATION_ID") !== undefined;
  const serve = [...command, "serve", ...running.args, "--take-over"];
  const [program, ...args] = isService ? serve : ["sh", "-c", WITH_OUTPUT_OF, "sh", String(running.pid), ...serve];
  const child = new Deno.Command(program!, {
    args,
    cwd: running.folder,
    clearEnv: true,
    env: isService ? environmentLike(serveVariables(true)) : environmentLike(running.env),
    detached: true, // so that it does not end with this terminal
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  let code: number | undefined;
  child.status.then((status) => code = status.code);
  while (!await hasTakenOver(dataDir, running.pid, child.pid)) {
    if (code !== undefined) {
      const left = await isDataDirInUse(dataDir) ? "the running one goes on" : "the one before has ended too";
      throw new OperatorError(`the new process has ended with exit code ${code}, and ${left}; its log says why`);
    }
    await delay(systemClock, LOOK_MS);
  }
  child.unref();
  return child.pid;
}

/**
 * Whether the new process serves. Once it serves, it writes its pid to `serve.json`. It may be unable to, for example
 * because the disk is full. Then it counts as serving once it has locked the data-dir and the old process has ended.
 */
async function hasTakenOver(dataDir: string, oldPid: number, newPid: number): Promise<boolean> {
  if ((await readCall(dataDir).catch(() => undefined))?.pid === newPid) return true;
  // A process that has ended has no command line, even if its parent has not noticed yet.
  return await lockHolder(dataDir) === newPid && await readProc(`/proc/${oldPid}/cmdline`) === "";
}
