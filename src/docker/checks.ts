import type { Config, Upstream } from "../base/config.ts";
import { systemClock } from "../base/clock.ts";
import { messageOf, OperatorError } from "../base/errors.ts";
import { LABEL } from "./container_spec.ts";
import type { EngineApi } from "./engine_api.ts";
import type { EngineChoice } from "./engine_choice.ts";
import { CommandApi } from "./command_api.ts";
import { canFreeze, FreezerHelper, socketHelper } from "./freezer/helper.ts";
import { findHelper, type HelperConfig, type HelperPlace } from "./freezer/helper_choice.ts";
import { readSwap, swapProblem } from "./freezer/hibernator.ts";
import { freeBytes } from "../base/machine.ts";

const GIB = 1024 ** 3;
const MIN_BYTES = GIB / 4;
const SCARCE_BYTES = 2 * GIB;
/** More swap is rarely of use. */
const MAX_SWAP_BYTES = 32 * GIB;

/** The result of a check. */
export interface Finding {
  readonly check: string;
  readonly state: "ok" | "warning" | "failed";
  readonly fact: string;
  readonly remedy?: string;
}

/** Whether the host reaches containers' addresses, to judge by the engine's default network. */
export async function checkReach(api: Pick<EngineApi, "networks">, upstream: Upstream): Promise<Finding> {
  const check = "containers";
  const bridge = (await api.networks()).find(({ name }) => name === "bridge")?.subnets[0];
  const gateway = bridge?.gateway ?? bridge?.subnet.replace(/0\/\d+$/, "1");
  if (Deno.networkInterfaces().some(({ address }) => address === gateway)) {
    return { check, state: "ok", fact: "this machine reaches the containers' own addresses" };
  }
  const fact = "this machine does not reach the containers' own addresses";
  return upstream === "direct"
    ? { check, state: "failed", fact, remedy: "leave out --upstream direct" }
    : { check, state: "ok", fact: `${fact}; ports of 127.0.0.1 are used instead, at about half the speed` };
}

/** Says how the engine is reached, and whether the docker command, which pulls images, reaches the same engine. */
export async function checkChoice({ api, docker, whyNotSocket }: Omit<EngineChoice, "reserve">): Promise<Finding> {
  const check = "socket";
  if (api instanceof CommandApi) {
    const fact = "containers are started, paused and resumed by the docker command, which is slower";
    return { check, state: "ok", fact: whyNotSocket === undefined ? fact : `${fact}: ${whyNotSocket}` };
  }
  const fact = `containers are started, paused and resumed over ${api.via}`;
  const [own, commands] = await Promise.all([api.info(), new CommandApi(docker).info().catch(messageOf)]);
  if (typeof commands === "string") {
    const remedy = "install the docker command, or name it with --docker";
    return { check, state: "warning", fact: `${fact}, but no image can be pulled: ${commands}`, remedy };
  }
  if (own.id === commands.id) return { check, state: "ok", fact };
  const other = `${fact}, but the docker command, which pulls images, asks another engine`;
  const remedy = "choose one for everything with --engine-api command, or with DOCKER_HOST";
  return { check, state: "warning", fact: other, remedy };
}

/**
 * What freezes idle containers, or why nothing does. Without an engine, only some of the reasons are found.
 *
 * @throws {OperatorError} When control groups are demanded, and not possible.
 */
async function findFreezer(config: HelperConfig, api: Pick<EngineApi, "info"> | undefined): Promise<HelperPlace> {
  const place = findHelper(config);
  const { via } = place;
  if (place.whyNot !== undefined || api === undefined) return place;
  const { dataFolder, runtime } = await api.info();
  if (!await exists(`${dataFolder}/containers`)) {
    return { via, whyNot: `the engine is not Docker on this machine: ${dataFolder}/containers is not there` };
  }
  if (!canFreeze(runtime)) {
    return { via, whyNot: `the engine's default runtime is ${runtime}, and only runc and crun will do` };
  }
  if (via === "child") return place;
  await using helper = new FreezerHelper(() => socketHelper(config.freezerSocket), systemClock);
  const problem = await helper.prepare();
  if (problem === undefined) return place;
  return { via, whyNot: `the helper at ${config.freezerSocket} does not work: ${problem}` };
}

/** Says what pauses idle containers, and why not their control groups if it is the engine. */
export async function checkFreezer(config: HelperConfig, api: Pick<EngineApi, "info">): Promise<Finding> {
  const check = "freezer";
  try {
    const { via, whyNot } = await findFreezer(config, api);
    const by = via === "child" ? "a child process" : `the helper at ${config.freezerSocket}`;
    const fact = whyNot === undefined
      ? `idle containers are frozen by their control groups, by ${by}`
      : `idle containers are paused by the engine, and wake in about 10 ms instead of 1: ${whyNot}`;
    return { check, state: "ok", fact };
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    return { check, state: "failed", fact: error.message, remedy: "leave out --freezer cgroup" };
  }
}

/**
 * Says whether idle instances hibernate, and how to get swap for that.
 *
 * @param api Missing if there is no engine. @param memoryBytes The machine's memory. @param swap That of the machine.
 */
export async function checkSwap(
  { hibernateAfterMs, ...config }: HelperConfig & Pick<Config, "hibernateAfterMs">,
  api: Pick<EngineApi, "info"> | undefined,
  memoryBytes: number,
  swap = readSwap(),
): Promise<Finding> {
  const check = "swap";
  const never = (why: string): Finding => ({ check, state: "ok", fact: `idle instances do not hibernate: ${why}` });
  if (hibernateAfterMs === Infinity) return never("--hibernate-after 0 is set");
  try {
    const { whyNot } = await findFreezer(config, api);
    if (whyNot !== undefined) return never(`nothing freezes them by their control groups (${whyNot})`);
  } catch (error) {
    return never(messageOf(error));
  }
  const problem = swapProblem(swap);
  if (problem !== undefined) return { ...never(problem), remedy: await swapRemedy(memoryBytes) };
  const [total, free] = [swap.totalBytes, swap.freeBytes].map((bytes) => `${(bytes / GIB).toFixed(1)} GiB`);
  return { check, state: "ok", fact: `idle instances hibernate in ${total} of swap, of which ${free} are free` };
}

/** The commands that make a file for swap, which can be pasted as they are. */
async function swapRemedy(memoryBytes: number): Promise<string> {
  const diskBytes = await freeBytes("/") ?? Infinity;
  const gib = Math.round(Math.min(memoryBytes, diskBytes / 4, MAX_SWAP_BYTES) / GIB);
  if (gib < 1) return "use zram, since a file for swap needs more room on the disk";
  const path = await exists("/swapfile") ? "/swapfile2" : "/swapfile";
  const commands = [`fallocate -l ${gib}G ${path}`, `chmod 600 ${path}`, `mkswap ${path}`, `swapon ${path}`];
  const sudo = Deno.uid() === 0 ? "" : "sudo ";
  return `use zram, or make a file: ${commands.map((command) => sudo + command).join(" && ")}`;
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, (error) => !(error instanceof Deno.errors.NotFound));
}

/** Whether there is room for images and containers. */
export async function checkDisk(api: Pick<EngineApi, "info">): Promise<Finding> {
  const check = "disk";
  const { dataFolder: folder } = await api.info();
  if (folder === "") return { check, state: "warning", fact: "the engine does not say where it keeps its data" };
  const free = await freeBytes(folder);
  if (free === undefined) return { check, state: "ok", fact: `${folder} cannot be seen from here` };
  const fact = `${(free / GIB).toFixed(1)} GiB are free in ${folder}`;
  const remedy = "make room, for example with: docker system prune";
  if (free < MIN_BYTES) return { check, state: "failed", fact, remedy };
  return free < SCARCE_BYTES ? { check, state: "warning", fact, remedy } : { check, state: "ok", fact };
}

/** Finds the networks of data-dirs that are gone. @param isInUse Returns `undefined` if a data-dir does not exist. */
export async function checkLeftovers(
  api: Pick<EngineApi, "networks">,
  isInUse: (dataDir: string) => Promise<boolean | undefined>,
): Promise<Finding[]> {
  const check = "networks";
  const findings: Finding[] = [];
  for (const { name, labels: { [LABEL.owner]: owner, [LABEL.dataDir]: dataDir } } of await api.networks()) {
    if (owner === undefined || dataDir === undefined) continue;
    if (await isInUse(dataDir).catch(() => true) !== undefined) continue;
    findings.push({
      check,
      state: "warning",
      fact: `${name} was left behind by a cless whose data-dir ${dataDir} is gone`,
      remedy: `docker ps -aq --filter label=${LABEL.owner}=${owner} | xargs -r docker rm -f; docker network rm ${name}`,
    });
  }
  return findings.length > 0 ? findings : [{ check, state: "ok", fact: "none was left behind by a dead data-dir" }];
}
