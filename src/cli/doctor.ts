import { dirname } from "node:path";
import { type Config, readConfig, type Surroundings } from "../base/config.ts";
import { isDataDirInUse } from "../control/data_dir.ts";
import {
  checkChoice,
  checkDisk,
  checkFreezer,
  checkLeftovers,
  checkReach,
  checkSwap,
  type Finding,
} from "../docker/checks.ts";
import { chooseEngineApi, type EngineChoice, findEngine } from "../docker/engine_choice.ts";
import type { EngineApi } from "../docker/engine_api.ts";
import { readProc } from "../base/machine.ts";
import { readOlderRecords } from "../sqlite/older_records.ts";
import { defined } from "../model/defined.ts";
import { type Endpoint, formatEndpoint, parseEndpoint } from "../model/host.ts";
import { isLoopback } from "../model/ip.ts";
import { messageOf, plainMessageOf } from "../base/errors.ts";
import { checkEdge } from "../edge/checks.ts";
import { defaultStorage, upstreamIn } from "../edge/foreground.ts";
import { Machine } from "../edge/machine.ts";
import { type Listener, listenerOn, remedyOf } from "../edge/ports.ts";
import { edgeStatus } from "../edge/status.ts";
import { examineSwarm } from "./doctor_swarm.ts";
import { flag } from "./flags.ts";
import { misspelledVariables, serve } from "./serve.ts";
import { printResult, type Verb } from "./verb.ts";

const ENGINE_TIMEOUT_MS = 10_000;
/** If fewer files may be open at once, the check fails. */
const MIN_FILES = 1024;
/** If fewer files may be open at once, the check warns. */
const ENOUGH_FILES = 8192;
const GIB = 1024 ** 3;
/** If the memory budget is smaller, the check warns: hardly any instance could stay paused. */
const MIN_BUDGET_BYTES = GIB / 4;

/** `cless doctor`: finds what would prevent `cless serve` with these flags from working, and says what to do. */
export const doctor: Verb = {
  name: "doctor",
  summary: "Find out what would keep serve with the same flags from working, and what to do",
  flags: [...serve.flags, flag("--json", "Print the findings as JSON")],
  notes: ["It checks this machine, and asks no server. Exit code 1 if something would not work."],
  example: ["sudo cless doctor", "cless doctor --listen 127.0.0.1:8080 --json"],
  run: async (call) => {
    const { flags, surroundings } = call;
    const machine = new Machine(surroundings.root, surroundings.env("PATH") ?? "");
    const edge = await edgeStatus(machine);
    const given = readConfig(flags, surroundings);
    const listen = edge?.listen ?? await behindRun(given, surroundings);
    const config = listen === undefined ? given : behind(listen, given);
    const findings = [
      ...await examine(config, surroundings.memory()),
      ...edge === undefined ? [] : await checkEdge(edge, machine, Date.now()),
      ...checkVariables(surroundings.variables()),
    ];
    printResult(call, findings, findings.map(findingText).join("\n"));
    return findings.some(({ state }) => state === "failed") ? 1 : 0;
  },
};

/** The settings, except that cless does not listen on the port that Caddy has for it. */
function behind(listen: string, config: Config): Config {
  return config.listen.some(({ port }) => port !== 80) ? config : { ...config, listen: [parseEndpoint(listen)] };
}

/** Where cless listens behind `cless https run`, if Caddy has port 80 and nobody has said where to listen. */
async function behindRun({ sources }: Config, surroundings: Surroundings): Promise<string | undefined> {
  if (sources.has("listen")) return undefined;
  const upstream = await upstreamIn(defaultStorage(surroundings));
  if (upstream === undefined) return undefined;
  return (await listenerOn(80))?.holder?.startsWith("caddy ") ? upstream : undefined;
}

/** @param memoryBytes The machine's memory; `Infinity` if it is not known. */
async function examine(config: Config, memoryBytes: number): Promise<Finding[]> {
  const { choice, finding } = await lookForEngine(config);
  const inUse = await isDataDirInUse(config.dataDir).catch(() => undefined) ?? false;
  const withEngine = choice === undefined ? [] : await Promise.all([
    attempt("containers", () => checkReach(choice.api, config.upstream)),
    attempt("socket", () => checkChoice(choice)),
    attempt("freezer", () => checkFreezer(config, choice.api)),
    attempt("disk", () => checkDisk(choice.api)),
    attempt("networks", () => checkLeftovers(choice.api, isDataDirInUse)),
    attempt("isolation", () => checkIsolation(config, choice.api)),
    attempt("swarm", () => checkMachines(config, choice.socket, inUse)),
  ]);
  const swap = await checkSwap(config, choice?.api, memoryBytes);
  choice?.api[Symbol.dispose]();
  return [
    finding,
    await checkDataDir(config.dataDir, inUse),
    ...await Promise.all([...config.listen, config.admin].map((endpoint) => checkPort(endpoint, inUse))),
    ...checkClients(config.listen),
    await checkFiles(),
    checkMemory(config.memoryBudgetBytes, memoryBytes),
    swap,
    ...withEngine.flat(),
  ];
}

/** Whether an engine answers and, if so, how it is reached. */
async function lookForEngine(config: Config): Promise<{ choice?: EngineChoice; finding: Finding }> {
  const check = "engine";
  try {
    const choice = await chooseEngineApi(config);
    const version = await findEngine(choice.api, { timeoutMs: ENGINE_TIMEOUT_MS });
    return { choice, finding: { check, state: "ok", fact: `Docker ${version} answers` } };
  } catch (error) {
    const [fact, remedy] = messageOf(error).split(/; (?=[^;]*$)/);
    return { finding: { check, state: "failed", fact: fact!, ...defined({ remedy }) } };
  }
}

/** @param names All variables. */
function checkVariables(names: readonly string[]): Finding[] {
  return misspelledVariables(names).map(({ name, nearest }) => ({
    check: "variables",
    state: "warning",
    fact: `the variable ${name} sets nothing`,
    remedy: `did you mean ${nearest}?`,
  }));
}

/** @param socket The path of the engine's socket, if that is used. */
async function checkMachines(config: Config, socket: string | undefined, inUse: boolean): Promise<Finding[]> {
  if (config.engine !== "swarm") return [];
  if (socket === undefined) throw new Error("--engine swarm needs the socket of the Docker engine");
  return await examineSwarm(config, socket, inUse);
}

async function attempt<T>(check: string, examine: () => Promise<T>): Promise<T | Finding> {
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
    // If the folder does not exist yet, its nearest existing parent counts.
    let folder = path;
    while (!await isFolder(folder)) folder = dirname(folder);
    await Deno.remove(await Deno.makeTempFile({ dir: folder }));
    return { check, state: "ok", fact: `${path} can be written` };
  } catch (error) {
    const fact = `${path} cannot be used: ${plainMessageOf(error)}`;
    return { check, state: "failed", fact, remedy: "run cless with sudo, or name another folder with --data-dir" };
  }
}

/** Whether there is a folder. @throws {Error} If it is something else, or cannot be read. */
async function isFolder(path: string): Promise<boolean> {
  try {
    if ((await Deno.stat(path)).isDirectory) return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
  throw new Error("is not a folder");
}

async function checkPort(endpoint: Endpoint, inUse: boolean): Promise<Finding> {
  const where = formatEndpoint(endpoint);
  const check = "port";
  try {
    Deno.listen({ hostname: endpoint.hostname, port: endpoint.port }).close();
    return { check, state: "ok", fact: `${where} is free` };
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) {
      const listener: Listener = await listenerOn(endpoint.port, endpoint.hostname) ?? { port: endpoint.port };
      const { holder } = listener;
      // The cless that uses the data-dir probably also uses the port.
      if (inUse && (holder === undefined || /^(cless|deno)\b/.test(holder))) {
        return { check, state: "ok", fact: `${where} is in use by a running cless` };
      }
      const fact = `${where} is in use${holder === undefined ? "" : ` by ${holder}`}`;
      const remedy = `${remedyOf(listener)}, or choose another port with --listen or --admin`;
      return { check, state: "failed", fact, remedy };
    }
    if (error instanceof Deno.errors.PermissionDenied) {
      const remedy = "run cless with sudo, or choose a port from 1024 on with --listen";
      return { check, state: "failed", fact: `${where} needs root`, remedy };
    }
    return { check, state: "failed", fact: `${where}: ${messageOf(error)}` };
  }
}

/**
 * Warns if other machines can connect: the platform's server does not close idle connections, nor those that send only
 * a part of a request's head.
 */
function checkClients(listen: readonly Endpoint[]): Finding[] {
  const open = listen.filter(({ hostname }) => hostname !== "localhost" && !isLoopback(hostname));
  if (open.length === 0) return [];
  const fact = `${open.map(formatEndpoint).join(", ")} can be reached from other machines, and cless does not close ` +
    "connections that are idle or send half a request's head";
  const remedy = "sudo cless https on --domain DOMAIN puts Caddy in front";
  return [{ check: "clients", state: "warning", fact, remedy }];
}

/** Checks the limit of open files, since every connection is one: proc_pid_limits(5). */
async function checkFiles(): Promise<Finding> {
  const check = "files";
  const limits = await readProc(`/proc/${Deno.pid}/limits`);
  const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  if (soft === undefined) return { check, state: "ok", fact: "the limit on open files is not known on this system" };
  const fact = `${soft} files may be open at once`;
  const remedy = "raise the limit, for example with: ulimit -n 65536";
  if (Number(soft) < MIN_FILES) return { check, state: "failed", fact, remedy };
  return Number(soft) < ENOUGH_FILES ? { check, state: "warning", fact, remedy } : { check, state: "ok", fact };
}

/** Checks that paused instances are stopped before the machine runs out of memory. */
function checkMemory(budgetBytes: number, memoryBytes: number): Finding {
  const check = "memory";
  const remedy = "choose another one with --memory-budget";
  const size = (bytes: number) => `${(bytes / GIB).toFixed(1)} GiB`;
  if (budgetBytes === Infinity) {
    return { check, state: "ok", fact: "paused instances are kept, however much memory they use" };
  }
  const fact = `if instances use more than ${size(budgetBytes)}, paused ones hibernate or are stopped early`;
  if (budgetBytes > memoryBytes) {
    return { check, state: "warning", fact: `${fact}; this machine has ${size(memoryBytes)}`, remedy };
  }
  return budgetBytes < MIN_BUDGET_BYTES ? { check, state: "warning", fact, remedy } : { check, state: "ok", fact };
}

/** Lists the revisions and images whose containers do not get the defaults of capabilities, memory and processors. */
async function checkIsolation(
  { convention, dataDir }: Pick<Config, "convention" | "dataDir">,
  api: Pick<EngineApi, "conventionImages">,
): Promise<Finding[]> {
  const check = "isolation";
  const older = readOlderRecords(dataDir);
  const present = convention && older !== undefined ? await api.conventionImages() : new Map<string, string>();
  const images = [...present].flatMap(([name, id]) => older?.images?.includes(id) ?? true ? [name] : []).sort();
  const before = "before containers had defaults of capabilities, memory and processors";
  const warnings: Finding[] = [
    ...listed(older?.revisions ?? [], "revisions", `made ${before}`, "cless deploy NAME --renew makes a new revision"),
    ...listed(images, "images", `there ${before}`, "build them again"),
  ].map((found) => ({ check, state: "warning", ...found }));
  if (warnings.length > 0) return warnings;
  return [{ check, state: "ok", fact: "every container has the defaults of capabilities, memory and processors" }];
}

/** One finding that lists names, or none if there are no names. */
function listed(names: readonly string[], what: string, since: string, remedy: string) {
  return names.length === 0 ? [] : [{ fact: `these ${what} were ${since}, and stay so: ${names.join(", ")}`, remedy }];
}

function findingText({ check, state, fact, remedy }: Finding): string {
  const mark = { ok: "ok  ", warning: "warn", failed: "FAIL" }[state];
  return `${mark}  ${check.padEnd(10)}  ${fact}` + (remedy === undefined ? "" : `\n${" ".repeat(18)}-> ${remedy}`);
}
