import type { Config } from "../base/config.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { messageOf, OperatorError, plainMessageOf } from "../base/errors.ts";
import { FileReserve } from "../base/file_reserve.ts";
import { DockerCommand } from "./command.ts";
import { CommandApi } from "./command_api.ts";
import { readCommandSettings } from "./command_settings.ts";
import type { CallOptions, EngineApi } from "./engine_api.ts";
import { SocketApi } from "./socket_api.ts";

/** Enough for one start: requests to the engine, the app's output, and the probes. */
const RESERVED_FILES = 16;
const DEFAULT_SOCKET = "/var/run/docker.sock";
const START_IT = "start it (systemctl start docker), or say with DOCKER_HOST where it is";

/** How the engine is reached. */
export interface EngineChoice {
  readonly api: EngineApi;
  /** Does what only the docker command can do, such as pulling. */
  readonly docker: DockerCommand;
  /** File descriptors for requests to the engine, in reserve for when clients use all others. */
  readonly reserve: FileReserve;
  /** The path of the engine's socket, if that is used. */
  readonly socket?: string;
  /** Why `auto` does not use the socket. Missing if the socket is used, or if the settings demand the command. */
  readonly whyNotSocket?: string;
}

/**
 * Chooses how to reach the engine, without contacting it. `auto` takes the socket that the docker command would use.
 * But it takes the command itself if the command is a wrapper, if its engine is on another machine, or if its settings
 * change the containers (with proxies, or with `DOCKER_DEFAULT_PLATFORM`).
 *
 * @throws {OperatorError} When the socket is demanded and there is none.
 */
export async function chooseEngineApi(
  config: Pick<Config, "docker" | "dockerEnv" | "engineApi"> & Partial<Pick<Config, "engine">>,
  clock: Clock = systemClock,
): Promise<EngineChoice> {
  const reserve = new FileReserve(clock, RESERVED_FILES);
  const docker = new DockerCommand(config.docker, clock, reserve);
  if (config.engineApi === "command") return { api: new CommandApi(docker), docker, reserve };
  const isSwarm = config.engine === "swarm"; // it is used by the socket alone
  const found = await findSocket(isSwarm ? { ...config, engineApi: "socket" } : config);
  if (found.path !== undefined) {
    return { api: new SocketApi(found.path, { clock, reserve }), docker, reserve, socket: found.path };
  }
  if (config.engineApi === "socket" || isSwarm) {
    const flag = isSwarm ? "--engine swarm" : "--engine-api socket";
    throw new OperatorError(`there is no Docker socket for ${flag}: ${found.problem}; ${START_IT}`);
  }
  return { api: new CommandApi(docker), docker, reserve, whyNotSocket: found.problem };
}

/** The socket to use, or why none is used. */
type Found = { readonly path: string; readonly problem?: never } | { readonly path?: never; readonly problem: string };

async function findSocket(
  { docker, dockerEnv: { context, folder, host, platform }, engineApi }: Pick<
    Config,
    "docker" | "dockerEnv" | "engineApi"
  >,
): Promise<Found> {
  const settings = await readSettings(folder);
  if (engineApi === "auto") {
    if (docker !== "docker") return { problem: `--docker names ${docker}, which may do more than ask the engine` };
    if (platform !== undefined) return { problem: "DOCKER_DEFAULT_PLATFORM is set, which only the command follows" };
    if (settings === undefined) return { problem: "the settings of the docker command cannot be read" };
    if (settings.hasProxies) return { problem: "the settings of the docker command have proxies for containers" };
  }
  const address = host ?? await contextHost(folder, context ?? settings?.currentContext);
  if (address === undefined) return { problem: "the docker command's context cannot be read" };
  const path = /^unix:\/\/(\/.+)$/.exec(address)?.[1];
  if (path === undefined) return { problem: `the engine is at ${address}, which is not a unix socket` };
  try {
    if ((await Deno.stat(path)).isSocket) return { path };
    return { problem: `${path} is not a socket` };
  } catch (error) {
    return { problem: `${path}: ${plainMessageOf(error)}` };
  }
}

/** What matters of the docker command's settings; `undefined` if they cannot be read. */
async function readSettings(folder: string | undefined) {
  if (folder === undefined) return undefined;
  try {
    const settings = await readCommandSettings(folder);
    const currentContext = settings.get("currentcontext");
    return {
      currentContext: typeof currentContext === "string" && currentContext !== "" ? currentContext : undefined,
      hasProxies: settings.has("proxies"),
    };
  } catch {
    return undefined;
  }
}

/**
 * The engine's address in a context, from the docker command's files; `undefined` if they cannot be read.
 * https://docs.docker.com/engine/manage-resources/contexts/
 */
async function contextHost(folder: string | undefined, name = "default"): Promise<string | undefined> {
  if (name === "default") return `unix://${DEFAULT_SOCKET}`;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(name));
  try {
    const text = await Deno.readTextFile(`${folder}/contexts/meta/${new Uint8Array(digest).toHex()}/meta.json`);
    const host = JSON.parse(text)?.Endpoints?.docker?.Host;
    return typeof host === "string" ? host : undefined;
  } catch {
    return undefined;
  }
}

/** Asks the engine for its version. @throws {OperatorError} When none answers; the message says what to do. */
export async function findEngine(api: Pick<EngineApi, "version">, options: CallOptions = {}): Promise<string> {
  try {
    return await api.version(options);
  } catch (error) {
    const reason = messageOf(error);
    throw new OperatorError(`no Docker engine answers: ${reason}; ${remedy(reason)}`);
  }
}

function remedy(reason: string): string {
  if (/^there is no command|^cannot run/.test(reason)) {
    return "install Docker (Debian, Ubuntu: apt-get install docker.io), or name the command with --docker";
  }
  if (/permission denied/i.test(reason)) return "run cless with sudo, or add your user to the group docker";
  return START_IT;
}
