import type { Revision } from "../model/revision.ts";
import type { Volume } from "../model/template.ts";
import { carryEnv } from "./container_env.ts";

/** The labels by which cless recognises its containers and its network. */
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
const FIXED = {
  /** By this name containers reach the machine that they run on, as in Docker Desktop. */
  extraHost: "host.docker.internal:host-gateway",
  securityOpt: "no-new-privileges",
  pidsLimit: 1024,
  logDriver: "local",
  logOptions: { "max-size": "10m", "max-file": "3" },
} as const;

/** Where and under which name a container is started. */
export interface Placement {
  /** The container's name, which is the instance's id. */
  readonly id: string;
  readonly owner: string;
  readonly network: string;
  /** The address that the container gets on the network. */
  readonly address: string;
  /** The port of 127.0.0.1 that leads to the app; missing where the host reaches the container's address itself. */
  readonly hostPort: number | undefined;
  /** Where the host reaches the app. */
  readonly origin: string;
}

/** A revision's variables, and `PORT` as most platforms have it unless the revision sets it. */
export function environmentOf({ env, port }: Pick<Revision, "env" | "port">): Readonly<Record<string, string>> {
  return { PORT: String(port), ...env };
}

/**
 * The arguments of `docker run` for an instance of a revision. The values of its environment are not among them: see
 * {@linkcode carryEnv}.
 *
 * @throws {EngineError} When a variable cannot be given to a container.
 */
export function runArgs(revision: Revision, placement: Placement): string[] {
  const { hostPort } = placement;
  const { cpus, memory } = revision;
  return [
    "run",
    "--detach",
    "--pull=never", // the image is named by its content, which is local; nothing else may be fetched in its place
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
    // Swap counts as memory: otherwise the limit would only make the machine swap.
    ...(memory === undefined ? [] : [`--memory=${memory}`, `--memory-swap=${memory}`]),
    ...(cpus === undefined ? [] : [`--cpus=${nanoCpus(cpus) / NANO}`]),
    ...revision.volumes.map(mountArg),
    ...carryEnv(environmentOf(revision)).args,
    revision.imageId,
    ...revision.command, // what follows the image is no flag of the docker command
  ];
}

/**
 * The body of the request that makes the container which {@linkcode runArgs} describes. It holds the values of the
 * environment, and must not be logged.
 *
 * https://docs.docker.com/reference/api/engine/version/v1.45/#tag/Container/operation/ContainerCreate
 */
export function createBody(revision: Revision, placement: Placement): Record<string, unknown> {
  const { command, cpus, imageId, memory, port } = revision;
  const { address, hostPort, network } = placement;
  const published = `${port}/tcp`;
  return {
    Image: imageId,
    ...(command.length === 0 ? {} : { Cmd: command }),
    Env: Object.entries(environmentOf(revision)).map(([name, value]) => `${name}=${value}`),
    Labels: labelsOf(revision, placement),
    ...(hostPort === undefined ? {} : { ExposedPorts: { [published]: {} } }),
    HostConfig: {
      NetworkMode: network,
      ...(hostPort === undefined
        ? {}
        : { PortBindings: { [published]: [{ HostIp: "127.0.0.1", HostPort: String(hostPort) }] } }),
      ExtraHosts: [FIXED.extraHost],
      SecurityOpt: [FIXED.securityOpt],
      PidsLimit: FIXED.pidsLimit,
      LogConfig: { Type: FIXED.logDriver, Config: FIXED.logOptions },
      ...(memory === undefined ? {} : { Memory: memory, MemorySwap: memory }),
      ...(cpus === undefined ? {} : { NanoCpus: nanoCpus(cpus) }),
      Mounts: revision.volumes.map(mount),
    },
    NetworkingConfig: { EndpointsConfig: { [network]: { IPAMConfig: { IPv4Address: address } } } },
  };
}

function labelsOf(revision: Revision, placement: Placement): Readonly<Record<string, string>> {
  return {
    [LABEL.owner]: placement.owner,
    [LABEL.service]: revision.service,
    [LABEL.revision]: revision.name,
    [LABEL.image]: revision.imageId,
    [LABEL.address]: placement.address,
    [LABEL.origin]: placement.origin,
  };
}

/** Billionths of a processor, the finest that the engine knows. Never 0, which would mean no limit. */
function nanoCpus(cpus: number): number {
  return Math.max(1, Math.round(cpus * NANO));
}

/** Unlike `--volume`, `--mount` refuses a folder that does not exist, and has no colons that could be misread. */
function mountArg(volume: Volume): string {
  const { source, path, readOnly } = volume;
  const fields = [`type=${mountType(volume)}`, `source=${source}`, `target=${path}`, ...(readOnly ? ["readonly"] : [])];
  return `--mount=${fields.map(csvField).join(",")}`;
}

/** A mount for {@linkcode createBody}; a folder that does not exist is refused, as by `--mount`. */
function mount(volume: Volume): Record<string, unknown> {
  const { path, readOnly, source } = volume;
  return { Type: mountType(volume), Source: source, Target: path, ...(readOnly ? { ReadOnly: true } : {}) };
}

function mountType({ source }: Volume): "bind" | "volume" {
  return source.startsWith("/") ? "bind" : "volume";
}

/** A field of a line of CSV: RFC 4180. */
function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
