import type { Revision } from "../model/revision.ts";
import type { Volume } from "../model/template.ts";
import { carryEnv } from "./container_env.ts";
import { kindOf } from "./engine_error.ts";

/** The labels by which cless recognises its containers and its network. */
export const LABEL = {
  owner: "cless.owner",
  dataDir: "cless.data-dir",
  service: "cless.service",
  revision: "cless.revision",
  image: "cless.image",
  address: "cless.address",
  origin: "cless.origin",
  volumes: "cless.volumes",
} as const;

const NANO = 1e9;
/**
 * Where an app can write in a container that is otherwise read-only. It is in memory, and counts towards the memory
 * limit.
 */
export const WRITABLE = { path: "/tmp", mode: 0o1777, options: "mode=1777" };

/** What all containers have. */
export const FIXED = {
  /** The name by which containers reach their host, as in Docker Desktop. */
  extraHost: "host.docker.internal:host-gateway",
  securityOpt: "no-new-privileges",
  pidsLimit: 1024,
} as const;

/** How the engine stores an app's output, within a limit. */
export interface Logging {
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
}

/** How Docker stores output. */
export const DOCKER_LOGGING: Logging = { driver: "local", options: { "max-size": "10m", "max-file": "3" } };
/** Podman has no driver `local`: https://docs.podman.io/en/stable/markdown/podman-run.1.html#log-driver-driver */
const PODMAN_LOGGING: Logging = { driver: "k8s-file", options: { "max-size": "10m" } };

/** The log driver to use: Docker's, until the engine refuses it, and then Podman's. */
export class ChosenLogging {
  #logging = DOCKER_LOGGING;

  /** Creates a container. If the engine does not know the log driver, creates it with the other one. */
  async run<T>(make: (logging: Logging) => Promise<T>): Promise<T> {
    try {
      return await make(this.#logging);
    } catch (error) {
      if (kindOf(error) !== "no_log_driver" || this.#logging === PODMAN_LOGGING) throw error;
      this.#logging = PODMAN_LOGGING;
      return await make(this.#logging);
    }
  }
}

/** The id and the addresses of a container. */
export interface Placement {
  readonly id: string;
  readonly owner: string;
  readonly network: string;
  readonly address: string;
  /** The port of 127.0.0.1 that leads to the app; missing if the host reaches the container's address. */
  readonly hostPort: number | undefined;
  readonly origin: string;
}

/** A revision's variables, and `PORT` unless the revision sets it, as on most platforms. */
export function environmentOf({ env, port }: Pick<Revision, "env" | "port">): Readonly<Record<string, string>> {
  return { PORT: String(port), ...env };
}

/** The arguments of `docker run` for an instance, without its environment's values. @throws As {@linkcode carryEnv}. */
export function runArgs(revision: Revision, placement: Placement, logging = DOCKER_LOGGING): string[] {
  const { hostPort } = placement;
  const { capabilities, cpus, memoryBytes, readOnly, runtime, user } = revision;
  return [
    "run",
    "--detach",
    "--pull=never", // the image's id is local; nothing else may be fetched instead
    `--name=${placement.id}`,
    ...Object.entries(labelsOf(revision, placement)).map(([name, value]) => `--label=${name}=${value}`),
    `--network=${placement.network}`,
    `--ip=${placement.address}`,
    ...(hostPort === undefined ? [] : [`--publish=127.0.0.1:${hostPort}:${revision.port}`]),
    `--add-host=${FIXED.extraHost}`,
    `--security-opt=${FIXED.securityOpt}`,
    `--pids-limit=${FIXED.pidsLimit}`,
    "--no-healthcheck=true", // cless probes its apps itself, and a paused app would count as unhealthy
    `--log-driver=${logging.driver}`,
    ...Object.entries(logging.options).map(([name, value]) => `--log-opt=${name}=${value}`),
    ...capabilities.drop.map((name) => `--cap-drop=${name}`),
    ...capabilities.add.map((name) => `--cap-add=${name}`),
    ...(readOnly ? ["--read-only"] : []),
    ...(needsTmpfs(revision) ? [`--tmpfs=${WRITABLE.path}:${WRITABLE.options}`] : []),
    ...(user === undefined ? [] : [`--user=${user}`]),
    ...(runtime === undefined ? [] : [`--runtime=${runtime}`]),
    ...(memoryBytes === undefined ? [] : [`--memory=${memoryBytes}`, `--memory-swap=${withSwap(memoryBytes)}`]),
    ...(cpus === undefined ? [] : [`--cpus=${nanoCpus(cpus) / NANO}`]),
    ...revision.volumes.map(mountArg),
    ...carryEnv(environmentOf(revision)).args,
    revision.imageId,
    ...revision.command, // after the image, the docker command takes no flags
  ];
}

/**
 * The body of the API request that creates the same container as {@linkcode runArgs}. It contains the environment's
 * values, so it must not be logged.
 * https://docs.docker.com/reference/api/engine/version/v1.45/#tag/Container/operation/ContainerCreate
 */
export function createBody(
  revision: Revision,
  placement: Placement,
  logging = DOCKER_LOGGING,
): Record<string, unknown> {
  const { capabilities, command, cpus, imageId, memoryBytes, port, readOnly, runtime, user } = revision;
  const { address, hostPort, network } = placement;
  const published = `${port}/tcp`;
  return {
    Image: imageId,
    ...(command.length === 0 ? {} : { Cmd: command }),
    ...(user === undefined ? {} : { User: user }),
    Env: Object.entries(environmentOf(revision)).map(([name, value]) => `${name}=${value}`),
    Labels: labelsOf(revision, placement),
    Healthcheck: { Test: ["NONE"] },
    ...(hostPort === undefined ? {} : { ExposedPorts: { [published]: {} } }),
    HostConfig: {
      NetworkMode: network,
      ...(hostPort === undefined
        ? {}
        : { PortBindings: { [published]: [{ HostIp: "127.0.0.1", HostPort: String(hostPort) }] } }),
      ExtraHosts: [FIXED.extraHost],
      SecurityOpt: [FIXED.securityOpt],
      PidsLimit: FIXED.pidsLimit,
      LogConfig: { Type: logging.driver, Config: logging.options },
      CapDrop: capabilities.drop,
      CapAdd: capabilities.add,
      ...(readOnly ? { ReadonlyRootfs: true } : {}),
      ...(needsTmpfs(revision) ? { Tmpfs: { [WRITABLE.path]: WRITABLE.options } } : {}),
      ...(runtime === undefined ? {} : { Runtime: runtime }),
      ...(memoryBytes === undefined ? {} : { Memory: memoryBytes, MemorySwap: withSwap(memoryBytes) }),
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

/** Whether a read-only container gets a writable folder in memory: it does unless a volume is at that path. */
export function needsTmpfs({ readOnly, volumes }: Pick<Revision, "readOnly" | "volumes">): boolean {
  return readOnly && volumes.every(({ path }) => path !== WRITABLE.path);
}

/**
 * The limit of memory and swap together. It equals the memory limit, so that an app at its limit is killed and does not
 * make the machine swap. With control groups of version 2, `freezer.sh` lifts this while it moves a sleeping app's
 * memory to swap.
 */
function withSwap(memoryBytes: number): number {
  return memoryBytes;
}

/** Billionths of a processor, the engine's unit; never 0, which would mean no limit. */
export function nanoCpus(cpus: number): number {
  return Math.max(1, Math.round(cpus * NANO));
}

/** An argument for `--mount`. Unlike `--volume`, it refuses a missing folder, and colons in a path are unambiguous. */
function mountArg(volume: Volume): string {
  const { source, path, readOnly } = volume;
  const fields = [`type=${mountType(volume)}`, `source=${source}`, `target=${path}`, ...(readOnly ? ["readonly"] : [])];
  return `--mount=${fields.map(csvField).join(",")}`;
}

/** A mount for {@linkcode createBody}; like `--mount`, it refuses a missing folder. */
function mount(volume: Volume): Record<string, unknown> {
  const { path, readOnly, source } = volume;
  return { Type: mountType(volume), Source: source, Target: path, ...(readOnly ? { ReadOnly: true } : {}) };
}

/** How a volume is mounted: as a folder of the host or by its name. */
export function mountType({ source }: Volume): "bind" | "volume" {
  return source.startsWith("/") ? "bind" : "volume";
}

/** A field of a line of CSV: RFC 4180. */
function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
