import type { Upstream } from "../base/config.ts";
import { type DockerCommand, jsonLines } from "./command.ts";
import { EngineSocket } from "./engine_socket.ts";
import { freeBytes } from "./machine.ts";
import { LABEL } from "./run_args.ts";

const GIB = 1024 ** 3;
const LEAST_BYTES = GIB / 4;
const SCARCE_BYTES = 2 * GIB;

/** What was found out about one thing that cless needs. */
export interface Finding {
  readonly check: string;
  readonly state: "ok" | "warning" | "failed";
  /** What is so. */
  readonly fact: string;
  /** What to do about it. */
  readonly remedy?: string;
}

/** Whether the host reaches the addresses of containers, as far as the engine's default network tells. */
export async function checkReach(docker: DockerCommand, upstream: Upstream): Promise<Finding> {
  const check = "containers";
  const output = await docker.run(["network", "inspect", "bridge", "--format={{json .IPAM.Config}}"]);
  const [config] = jsonLines<{ Gateway?: string; Subnet?: string }[]>(output);
  const gateway = config?.[0]?.Gateway ?? config?.[0]?.Subnet?.replace(/0\/\d+$/, "1");
  if (Deno.networkInterfaces().some(({ address }) => address === gateway)) {
    return { check, state: "ok", fact: "this machine reaches the containers' own addresses" };
  }
  const fact = "this machine does not reach the containers' own addresses";
  return upstream === "direct"
    ? { check, state: "failed", fact, remedy: "leave out --upstream direct" }
    : { check, state: "ok", fact: `${fact}; ports of 127.0.0.1 are used instead, at about half the speed` };
}

/** Whether containers can be paused and resumed in the fast way. */
export async function checkSocket(docker: DockerCommand): Promise<Finding> {
  const check = "socket";
  using socket = new EngineSocket(docker);
  await socket.find();
  const { path, problem } = socket;
  if (path !== undefined) return { check, state: "ok", fact: `containers are paused and resumed over ${path}` };
  return {
    check,
    state: "ok",
    fact: `containers are paused and resumed by the docker command, which is slower: ${problem}`,
  };
}

/** Whether there is room for images and containers. */
export async function checkDisk(docker: DockerCommand): Promise<Finding> {
  const check = "disk";
  const folder = /^\/.*$/m.exec(await docker.run(["info", "--format={{.DockerRootDir}}"]))?.[0];
  if (folder === undefined) return { check, state: "warning", fact: "the engine does not say where it keeps its data" };
  const free = await freeBytes(folder);
  if (free === undefined) return { check, state: "ok", fact: `${folder} cannot be seen from here` };
  const fact = `${(free / GIB).toFixed(1)} GiB are free in ${folder}`;
  const remedy = "make room, for example with: docker system prune";
  if (free < LEAST_BYTES) return { check, state: "failed", fact, remedy };
  return free < SCARCE_BYTES ? { check, state: "warning", fact, remedy } : { check, state: "ok", fact };
}

/**
 * Finds what a cless has left behind that is not coming back: networks whose data-dir is gone.
 *
 * @param isInUse Whether a data-dir is in use; `undefined` where it does not exist.
 */
export async function checkLeftovers(
  docker: DockerCommand,
  isInUse: (dataDir: string) => Promise<boolean | undefined>,
): Promise<Finding[]> {
  const check = "networks";
  const output = await docker.run([
    "network",
    "ls",
    `--filter=label=${LABEL.owner}`,
    `--format={"name":{{json .Name}},"owner":{{json (.Label "${LABEL.owner}")}},` +
    `"dataDir":{{json (.Label "${LABEL.dataDir}")}}}`,
  ]);
  const networks = jsonLines<{ name: string; owner: string; dataDir: string }>(output, "name", "dataDir");
  const findings: Finding[] = [];
  for (const { name, owner, dataDir } of networks) {
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
