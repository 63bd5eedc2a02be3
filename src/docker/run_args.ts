import type { Revision } from "../model/revision.ts";
import type { Volume } from "../model/template.ts";
import { carryEnv } from "./container_env.ts";

/** The labels by which cless knows its containers and its network. */
export const LABEL = {
  owner: "cless.owner",
  dataDir: "cless.data-dir",
  service: "cless.service",
  revision: "cless.revision",
  image: "cless.image",
  address: "cless.address",
  origin: "cless.origin",
} as const;

const NANO = 1e9;

/** What every container is made with. */
export const FIXED = {
  /** By this name containers reach the machine that they run on, as in Docker Desktop. */
  extraHost: "host.docker.internal:host-gateway",
  securityOpt: "no-new-privileges",
  pidsLimit: 1024,
  logDriver: "local",
  logOptions: { "max-size": "10m", "max-file": "3" },
} as const;

/** A revision's variables, and `PORT` as most platforms have it, where nobody has said otherwise. */
export function environmentOf({ env, port }: Pick<Revision, "env" | "port">): Readonly<Record<string, string>> {
  return { PORT: String(port), ...env };
}

/**
 * How much of the processors' time a container gets, in billionths of one's, which is as fine as the engine takes it.
 * Never 0: that would be no limit.
 */
export function nanoCpus(cpus: number): number {
  return Math.max(1, Math.round(cpus * NANO));
}

/** What a container is marked with. */
export function labelsOf(revision: Revision, placement: Placement): Readonly<Record<string, string>> {
  return {
    [LABEL.owner]: placement.owner,
    [LABEL.service]: revision.service,
    [LABEL.revision]: revision.name,
    [LABEL.image]: revision.imageId,
    [LABEL.address]: placement.address,
    [LABEL.origin]: placement.origin,
  };
}

/** Where and as what a container is started. */
export interface Placement {
  readonly id: string;
  readonly owner: string;
  readonly network: string;
  /** The address that the container gets on the network. */
  readonly address: string;
  /** The port of the host's loopback address that leads to the app; missing where the host reaches the address itself. */
  readonly hostPort: number | undefined;
  /** Where the host reaches the app. */
  readonly origin: string;
}

/**
 * The arguments of `docker run` for an instance of a revision. The values of its environment are not among them:
 * {@linkcode carryEnv} says how they come along.
 *
 * @throws {DockerError} When a variable cannot be given to a container.
 */
export function runArgs(revision: Revision, placement: Placement): string[] {
  const { hostPort } = placement;
  return [
    "run",
    "--detach",
    "--pull=never", // what is started is content that is here, never a name that could mean something else by now
    `--name=${placement.id}`,
    ...Object.entries(labelsOf(revision, placement)).map(([name, value]) => `--label=${name}=${value}`),
    `--network=${placement.network}`,
    `--ip=${placement.address}`,
    ...(hostPort === undefined ? [] : [`--publish=127.0.0.1:${hostPort}:${revision.port}`]),
    `--add-host=${FIXED.extraHost}`,
    `--security-opt=${FIXED.securityOpt}`,
    `--pids-limit=${FIXED.pidsLimit}`,
    `--log-driver=${FIXED.logDriver}`,
    ...Object.entries(FIXED.logOptions).map(([name, value]) => `--log-opt=${name}=${value}`),
    ...limitArgs(revision),
    ...revision.volumes.map(mountArg),
    ...carryEnv(environmentOf(revision)).args,
    revision.imageId,
    ...revision.command, // behind the image nothing is a flag of the docker command any more
  ];
}

function limitArgs({ memory, cpus }: Revision): string[] {
  return [
    // Swap counts as memory: a limit that only makes the machine swap is none.
    ...(memory === undefined ? [] : [`--memory=${memory}`, `--memory-swap=${memory}`]),
    ...(cpus === undefined ? [] : [`--cpus=${nanoCpus(cpus) / NANO}`]),
  ];
}

/** Unlike `--volume`, this refuses a folder that is not there, and has no colons in it to be misread. */
function mountArg({ source, path, readOnly }: Volume): string {
  const fields = [
    source.startsWith("/") ? "type=bind" : "type=volume",
    `source=${source}`,
    `target=${path}`,
    ...(readOnly ? ["readonly"] : []),
  ];
  return `--mount=${fields.map(csvField).join(",")}`;
}

/** A field of a line of CSV: RFC 4180. */
function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
