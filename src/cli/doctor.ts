import { type Config, readConfig, systemSurroundings } from "../base/config.ts";
import { isDataDirInUse } from "../control/data_dir.ts";
import { checkDisk, checkLeftovers, checkReach, checkSocket, type Finding } from "../docker/checks.ts";
import { DockerCommand } from "../docker/command.ts";
import { findEngine } from "../docker/engine.ts";
import { readProc } from "../docker/machine.ts";
import { type Endpoint, formatEndpoint } from "../model/endpoint.ts";
import { messageOf, plainMessageOf, UsageError } from "../base/errors.ts";
import { parseFlags } from "./flags.ts";
import { doctorHelp } from "./help.ts";
import { portHolder } from "./port_holder.ts";
import { DOCTOR_FLAGS } from "./serve_flags.ts";

const ENGINE_PATIENCE_MS = 10_000;
const LEAST_FILES = 1024;
const ENOUGH_FILES = 8192;
const GIB = 1024 ** 3;
/** Below that hardly anything would ever stay paused, bytes. */
const LEAST_BUDGET = GIB / 4;

/** `cless doctor`: finds out what would keep `cless serve` with the same flags from working, and says what to do. */
export async function doctor(args: readonly string[]): Promise<number> {
  const { given, rest } = parseFlags(args, DOCTOR_FLAGS);
  if (given.get("help") === true) {
    console.log(doctorHelp());
    return 0;
  }
  if (rest.length > 0) throw new UsageError(`doctor takes no argument "${rest[0]}"; see cless doctor --help`);
  const surroundings = systemSurroundings();
  const findings = await examine(readConfig(given, surroundings), surroundings.memory());
  console.log(given.get("json") === true ? JSON.stringify(findings, null, 2) : findings.map(show).join("\n"));
  return findings.some(({ state }) => state === "failed") ? 1 : 0;
}

/** @param memory How much the machine has, bytes; `Infinity` where it does not tell. */
async function examine(config: Config, memory: number): Promise<Finding[]> {
  const docker = new DockerCommand(config.docker);
  const engine = await findEngine(docker, { timeout: ENGINE_PATIENCE_MS }).then(
    ({ version }): Finding => ({ check: "engine", state: "ok", fact: `Docker ${version} answers` }),
    (error): Finding => {
      const [fact, remedy] = messageOf(error).split(/; (?=[^;]*$)/);
      return { check: "engine", state: "failed", fact: fact!, ...(remedy === undefined ? {} : { remedy }) };
    },
  );
  const withEngine = engine.state === "failed" ? [] : await Promise.all([
    attempt("containers", () => checkReach(docker, config.upstream)),
    attempt("socket", () => checkSocket(docker)),
    attempt("disk", () => checkDisk(docker)),
    attempt("networks", () => checkLeftovers(docker, isDataDirInUse)),
  ]);
  const inUse = await isDataDirInUse(config.dataDir).catch(() => undefined) ?? false;
  return [
    engine,
    await checkDataDir(config.dataDir, inUse),
    ...await Promise.all([...config.listen, config.admin].map((endpoint) => checkPort(endpoint, inUse))),
    await checkFiles(),
    checkMemory(config.memoryBudget, memory),
    ...withEngine.flat(),
  ];
}

async function attempt(check: string, examine: () => Promise<Finding | Finding[]>): Promise<Finding | Finding[]> {
  try {
    return await examine();
  } catch (error) {
    return { check, state: "failed", fact: messageOf(error) };
  }
}

async function checkDataDir(path: string, inUse: boolean): Promise<Finding> {
  const check = "data-dir";
  if (inUse) return { check, state: "ok", fact: `${path} is in use by a running cless` };
  try {
    // The folder itself may not be there yet: then what counts is the nearest one that is.
    let folder = path;
    while (!await Deno.stat(folder).then((info) => info.isDirectory || failAs("is not a folder"), ifMissing)) {
      folder = folder.replace(/\/?[^/]*\/*$/, "") || (path.startsWith("/") ? "/" : ".");
    }
    await Deno.remove(await Deno.makeTempFile({ dir: folder }));
    return { check, state: "ok", fact: `${path} can be written` };
  } catch (error) {
    const fact = `${path} cannot be used: ${plainMessageOf(error)}`;
    return { check, state: "failed", fact, remedy: "run cless with sudo, or name another folder with --data-dir" };
  }
}

function failAs(message: string): never {
  throw new Error(message);
}

function ifMissing(error: unknown): false {
  if (error instanceof Deno.errors.NotFound) return false;
  throw error;
}

async function checkPort(endpoint: Endpoint, inUse: boolean): Promise<Finding> {
  const where = formatEndpoint(endpoint);
  const check = "port";
  try {
    Deno.listen({ hostname: endpoint.hostname, port: endpoint.port }).close();
    return { check, state: "ok", fact: `${where} is free` };
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) {
      const holder = await portHolder(endpoint.port);
      // The cless that has the data-dir may well be the one that has the port.
      if (inUse && (holder === undefined || /^(cless|deno)\b/.test(holder))) {
        return { check, state: "ok", fact: `${where} is in use by a running cless` };
      }
      const fact = `${where} is in use${holder === undefined ? "" : ` by ${holder}`}`;
      return {
        check,
        state: "failed",
        fact,
        remedy: "stop that program, or choose another port with --listen or --admin",
      };
    }
    if (error instanceof Deno.errors.PermissionDenied) {
      const remedy = "run cless with sudo, or choose a port from 1024 on with --listen";
      return { check, state: "failed", fact: `${where} needs root`, remedy };
    }
    return { check, state: "failed", fact: `${where}: ${messageOf(error)}` };
  }
}

/** The limit on open files, which every connection counts against: proc_pid_limits(5). */
async function checkFiles(): Promise<Finding> {
  const check = "files";
  const limits = await readProc(`/proc/${Deno.pid}/limits`);
  const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  if (soft === undefined) return { check, state: "ok", fact: "this system does not tell the limit on open files" };
  const fact = `${soft} files may be open at once`;
  const remedy = "raise the limit, for example with: ulimit -n 65536";
  if (Number(soft) < LEAST_FILES) return { check, state: "failed", fact, remedy };
  return Number(soft) < ENOUGH_FILES ? { check, state: "warning", fact, remedy } : { check, state: "ok", fact };
}

/** Whether paused instances make room before the machine has none. */
function checkMemory(budget: number, memory: number): Finding {
  const check = "memory";
  const remedy = "choose another one with --memory-budget";
  const size = (bytes: number) => `${(bytes / GIB).toFixed(1)} GiB`;
  if (budget === Infinity) return { check, state: "ok", fact: "paused instances are kept, whatever memory they use" };
  const fact = `where instances use more than ${size(budget)}, paused ones are stopped early`;
  if (budget > memory) return { check, state: "warning", fact: `${fact}; this machine has ${size(memory)}`, remedy };
  return budget < LEAST_BUDGET ? { check, state: "warning", fact, remedy } : { check, state: "ok", fact };
}

function show({ check, state, fact, remedy }: Finding): string {
  const mark = { ok: "ok  ", warning: "warn", failed: "FAIL" }[state];
  return `${mark}  ${check.padEnd(10)}  ${fact}` + (remedy === undefined ? "" : `\n${" ".repeat(18)}-> ${remedy}`);
}
