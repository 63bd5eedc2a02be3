import { type Endpoint, parseEndpoint, parseHostname } from "../model/host.ts";
import { parseCidr } from "../model/ip.ts";
import { parsePublicUrl } from "../model/public_url.ts";
import { parseDuration } from "../model/time.ts";
import { limitOf, parseDefaultMemory, parseMachineMemory, parseMemoryBudget } from "../model/memory.ts";
import { messageOf, UsageError } from "./errors.ts";
import { readProcSync } from "./machine.ts";

/** The environment of the docker command: https://docs.docker.com/reference/cli/docker/#environment-variables */
export interface DockerEnv {
  /** `DOCKER_HOST`, where the engine is. */
  readonly host: string | undefined;
  /** `DOCKER_CONTEXT`, the name of the docker context, which says where the engine is. */
  readonly context: string | undefined;
  /** `DOCKER_DEFAULT_PLATFORM`, the platform of the containers. */
  readonly platform: string | undefined;
  /** The absolute path of the folder with the command's settings; `undefined` if it is not known. */
  readonly folder: string | undefined;
}

/** The settings of `cless serve`; read once, then passed down. A duration of `Infinity` means never. */
export type Config = ReturnType<typeof readConfig>;
/** How requests reach an instance. */
export type Upstream = Config["upstream"];
/** What forwards requests to the apps. */
export type Forward = Config["forward"];
/** The format of log lines. */
export type LogFormat = Config["logFormat"];
/** The lowest level of lines that are written. */
export type LogLevel = Config["logLevel"];

/** The surroundings of the process; a parameter, so that a test can replace them. */
export interface Surroundings {
  env(name: string): string | undefined;
  /** The names of all environment variables. */
  variables(): readonly string[];
  readonly root: boolean;
  readonly terminal: boolean;
  /** The machine's memory, bytes; `Infinity` if it is not known. */
  memory(): number;
}

/** The surroundings of this process. */
export function systemSurroundings(): Surroundings {
  return {
    env: (name) => Deno.env.get(name),
    variables: () => Object.keys(Deno.env.toObject()),
    // Only when it is asked for: most verbs need no permission for it.
    get root() {
      return Deno.uid() === 0;
    },
    terminal: Deno.stderr.isTerminal(),
    memory: systemMemory,
  };
}

/** The machine's memory, proc_meminfo(5), and the limits of the container that cless itself may run in, cgroups(7). */
const MEMORY_FILES = [
  "/proc/meminfo",
  "/sys/fs/cgroup/memory.max",
  "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];

function systemMemory(): number {
  return parseMachineMemory(readProcSync(...MEMORY_FILES)) ?? Infinity;
}

/** The flags on the command line: the values of a flag, or the state of a switch. */
export type GivenFlags = ReadonlyMap<string, readonly string[] | boolean>;

/** The environment variable of a flag. */
export function variableOf(flag: string): string {
  return `CLESS_${flag.toUpperCase().replaceAll("-", "_")}`;
}

/**
 * Makes the settings from flags, `CLESS_…` environment variables (a flag wins) and defaults.
 *
 * @throws {UsageError} If values are wrong; it names each flag or variable, and what is allowed.
 */
export function readConfig(given: GivenFlags, surroundings: Surroundings) {
  /** Where each flag was given: `--FLAG` or the name of its variable. */
  const sources = new Map<string, string>();
  const mistakes: string[] = [];
  /** All values of a flag; `split` splits the text of a variable. */
  const values = <T>(flag: string, parse: (text: string) => T, split: (text: string) => string[]): T[] => {
    const onCommandLine = given.get(flag);
    const variable = surroundings.env(variableOf(flag))?.trim();
    const [source, texts] = Array.isArray(onCommandLine)
      ? [`--${flag}`, onCommandLine]
      : [variableOf(flag), variable ? split(variable) : []];
    if (texts.length > 0) sources.set(flag, source);
    return texts.flatMap((text) => {
      try {
        return [parse(text)];
      } catch (error) {
        mistakes.push(`${source}: "${text}" is not allowed: ${messageOf(error)}`);
        return [];
      }
    });
  };
  const all = <T>(flag: string, parse: (text: string) => T): readonly T[] =>
    values(flag, parse, (text) => text.split(/\s*,\s*/));
  const one = <T>(flag: string, parse: (text: string) => T, fallback: T): T =>
    values(flag, parse, (text) => [text])[0] ?? fallback;
  const toggle = (flag: string, fallback: boolean): boolean => {
    const onCommandLine = given.get(flag);
    if (typeof onCommandLine === "boolean") {
      sources.set(flag, onCommandLine ? `--${flag}` : `--no-${flag}`);
      return onCommandLine;
    }
    return one(flag, (text) => choice("true", "false", "1", "0")(text) === "true" || text === "1", fallback);
  };

  const listen = all("listen", parseEndpoint);
  /** Whether instances are on this machine, or on the machines of a Swarm. */
  const engine = one("engine", choice("docker", "swarm"), "docker");
  const domain = one("domain", parseDomain, undefined);
  const publicUrl = one("public-url", parsePublicUrl, undefined);
  /** Whether apps are kept from all ports of their host except the proxy's. */
  const noHostAccess = toggle("no-host-access", false);
  if (noHostAccess && !surroundings.root) {
    mistakes.push(
      "--no-host-access needs root, since it sets rules of the firewall; run cless with sudo, or leave it out",
    );
  }
  const memoryBudgetBytes = one("memory-budget", parseMemoryBudget, undefined) ?? Math.floor(surroundings.memory() / 2);
  const config = Object.freeze({
    /** The flags that were given, each with where: `--FLAG`, or the name of its variable. */
    sources: sources as ReadonlyMap<string, string>,
    listen: listen.length > 0 ? listen : [{ hostname: "0.0.0.0", port: 80 }],
    admin: one("admin", parseEndpoint, { hostname: "127.0.0.1", port: 1323 }),
    adminPublic: toggle("admin-public", false),
    /** Whether the admin API answers everybody who comes over HTTPS, through a trusted proxy. */
    adminHttps: toggle("admin-https", false),
    domain: domain ?? publicUrl?.domain ?? "cless.cloud",
    /** Whether a domain was given; without one, printed URLs are `*.localhost`. */
    domainGiven: domain !== undefined || publicUrl !== undefined,
    /** How clients outside reach the services, if a proxy in front of cless has another scheme, domain or port. */
    publicUrl,
    dataDir: one("data-dir", (text) => text, undefined) ?? defaultDataDir(surroundings),
    /** The one host to which providers for sign-in send browsers back; `undefined` for each service's own. */
    oidcHost: one("oidc-host", parseDomain, undefined),
    /** The key of the secrets as base64; `undefined` for the key file in the data-dir. */
    secretKey: surroundings.env("CLESS_SECRET_KEY") || undefined,
    /** The file that declares services, if any. */
    configFile: one("config", (text) => text, undefined),
    convention: toggle("convention", true),
    /** Whether known robots wake no service. */
    wakeExceptRobots: toggle("wake-except-robots", false),
    /** What is kept of a request that wakes a service. */
    wakeLog: one("wake-log", choice("off", "path", "full"), "path"),
    /** The absolute folders of the host in which volumes may be. */
    allowHostPaths: all("allow-host-path", parseAbsolutePath),
    /** Whether instances are on this machine, or on the machines of a Swarm. */
    engine,
    /** Where the cless processes of managers listen for their peers; only a worker needs one. */
    managers: all("manager", parsePeer),
    /** Whether the ports of instances may be open to everybody who reaches the machines. */
    openPorts: toggle("open-ports", false),
    /** Where this process listens for its peers; `undefined` for port {@linkcode PEER_PORT} of the node's address. */
    peerListen: one("peer-listen", parseEndpoint, undefined),
    docker: one("docker", (text) => text, "docker"),
    /** How cless talks to the Docker engine. */
    engineApi: one("engine-api", choice("auto", "socket", "command"), "auto"),
    dockerEnv: readDockerEnv(surroundings),
    /** What pauses containers: their control groups or the engine; `auto` takes control groups where it can. */
    freezer: one("freezer", choice("auto", "cgroup", "docker"), "auto"),
    /** Where a helper listens that may write the files of control groups. */
    freezerSocket: one("freezer-socket", parseAbsolutePath, "/run/cless-freezer.sock"),
    noHostAccess,
    portRange: one("port-range", parsePortRange, engine === "swarm" ? SWARM_PORTS : { first: 20000, last: 29999 }),
    upstream: one("upstream", choice("auto", "direct", "published"), "auto"),
    forward: one("forward", choice("exact", "fetch"), "exact"),
    startTimeoutMs: one("start-timeout", parseDuration, 30_000),
    requestTimeoutMs: one("request-timeout", parseDuration, 300_000),
    clientTimeoutMs: one("client-timeout", parseDuration, 60_000),
    /** How much memory streams may take together; `Infinity` for no limit. */
    streamBudgetBytes: one("stream-budget", parseMemoryBudget, 64 * 1024 ** 2),
    pauseAfterMs: one("pause-after", parseDuration, 60_000),
    hibernateAfterMs: one("hibernate-after", parseDuration, 300_000),
    stopAfterMs: one("stop-after", parseDuration, 600_000),
    /** The same flag, but with another default: memory on disk costs little. */
    stopHibernatedAfterMs: one("stop-after", parseDuration, 86_400_000),
    /** The swap that all containers together may use, bytes; `undefined` for half of the machine's. */
    swapBudgetBytes: one("swap-budget", parseMemoryBudget, undefined),
    drainTimeoutMs: one("drain-timeout", parseDuration, 30_000),
    maxPending: one("max-pending", parseCount, 2000),
    /** How many requests may be in flight; 0 for no limit, `undefined` for a limit that follows cless's own lag. */
    maxInFlight: one("max-in-flight", parseCountOrNone, undefined),
    /** When all instances together use more memory than this, paused ones are stopped; `Infinity` for no limit. */
    memoryBudgetBytes,
    /** The memory limit of a container whose template names no limit; `Infinity` for no limit. */
    defaultMemoryBytes: one("default-memory", parseDefaultMemory, undefined) ?? limitOf(memoryBudgetBytes),
    defaultCpus: one("default-cpus", parseCpus, undefined),
    /** Whether to take over from the process that uses the data-dir. */
    takeOver: toggle("take-over", false),
    /** The service manager's socket for notifications, if there is one: sd_notify(3). */
    notifySocket: surroundings.env("NOTIFY_SOCKET") || undefined,
    /** What happens to the containers when the program ends. */
    onExit: one("on-exit", choice("stop", "keep"), "stop"),
    trustedProxies: all("trusted-proxy", parseCidr),
    /** The file that gets a line for each request, `-` for standard output; `undefined` for none. */
    accessLog: one("access-log", (text) => text, undefined),
    accessLogFormat: one("access-log-format", choice("json", "combined"), "json"),
    /** Whether the lines include queries. */
    accessLogQuery: toggle("access-log-query", false),
    logFormat: one("log-format", choice("text", "json"), surroundings.terminal ? "text" : "json"),
    logLevel: one("log-level", choice("debug", "info", "warning", "error"), "info"),
  });
  if (mistakes.length === 0) mistakes.push(...engineMistakes(config)); // a wrong value may have come out as a default
  if (mistakes.length > 0) throw new UsageError(mistakes);
  return config;
}

/**
 * The port where peers listen if nothing else is said: next to that of the admin API, and where neither Swarm, the ports
 * of instances nor those that systems hand out are.
 */
export const PEER_PORT = 1324;

/**
 * The ports of instances with `--engine swarm`. All of them are closed to others than the Swarm's machines, so that they
 * are none that people give to services, as 27017, and none that systems hand out.
 */
const SWARM_PORTS = { first: 61000, last: 65535 };

/** The flags that mean something only with `--engine swarm`. */
const SWARM_FLAGS = ["manager", "open-ports", "peer-listen"];

/** What is wrong with flags that the engine cannot follow. */
function engineMistakes(
  { engine, engineApi, noHostAccess, sources, upstream }: Pick<
    Config,
    "engine" | "engineApi" | "noHostAccess" | "sources" | "upstream"
  >,
): string[] {
  if (engine === "docker") {
    return SWARM_FLAGS.filter((flag) => sources.has(flag))
      .map((flag) => `${sources.get(flag)} is for several machines; add --engine swarm, or leave it out`);
  }
  const refused: [flag: string, isRefused: boolean, why: string][] = [
    ["no-host-access", noHostAccess, "its rules are for a network of cless's own, which Swarm's containers lack"],
    ["engine-api", engineApi === "command", "it needs the engine's socket"],
    ["upstream", upstream !== "auto", "instances are reached at the addresses of their machines"],
  ];
  return refused.filter(([, isRefused]) => isRefused)
    .map(([flag, , why]) => `${sources.get(flag)} is not possible with --engine swarm: ${why}; leave it out`);
}

/** Whether a `cless serve` depends on a variable. */
function isServeVariable(name: string): boolean {
  return /^(CLESS|DOCKER)_/.test(name) || ["HOME", "XDG_STATE_HOME", "NOTIFY_SOCKET", "INVOCATION_ID"].includes(name);
}

/**
 * The variables that a `cless serve` depends on.
 *
 * @param withKey Whether to include the key of the secrets, which must not be written to disk.
 */
export function serveVariables(withKey: boolean): Record<string, string> {
  const kept = Object.entries(Deno.env.toObject()).filter(([name]) => isServeVariable(name));
  return Object.fromEntries(kept.filter(([name]) => withKey || name !== "CLESS_SECRET_KEY"));
}

/** The environment of this process, except that its {@linkcode serveVariables} are replaced by these. */
export function environmentLike(variables: Readonly<Record<string, string>>): Record<string, string> {
  const others = Object.entries(Deno.env.toObject()).filter(([name]) => !isServeVariable(name));
  return { ...Object.fromEntries(others), ...variables };
}

/** The folder for the state of a program: https://specifications.freedesktop.org/basedir-spec/latest/ */
export function defaultDataDir({ env, root }: Surroundings): string {
  if (root) return "/var/lib/cless";
  const state = env("XDG_STATE_HOME");
  const home = state?.startsWith("/") ? state : env("HOME") && `${env("HOME")}/.local/state`;
  if (!home) {
    throw new UsageError("neither HOME nor XDG_STATE_HOME is set; say with --data-dir where to keep the state");
  }
  return `${home}/cless`;
}

function readDockerEnv({ env }: Surroundings): DockerEnv {
  const folder = env("DOCKER_CONFIG") || (env("HOME") && `${env("HOME")}/.docker`);
  return {
    host: env("DOCKER_HOST") || undefined,
    context: env("DOCKER_CONTEXT") || undefined,
    platform: env("DOCKER_DEFAULT_PLATFORM") || undefined,
    folder: folder?.startsWith("/") ? folder : undefined,
  };
}

function choice<const T extends string>(...allowed: T[]): (text: string) => T {
  return (text) => {
    const found = allowed.find((value) => value === text);
    if (found === undefined) throw new RangeError(`expected ${allowed.join(", ").replace(/, ([^,]*)$/, " or $1")}`);
    return found;
  };
}

function parseCount(text: string): number {
  const count = /^\d{1,7}$/.test(text) ? Number(text) : NaN;
  if (!(count >= 1)) throw new RangeError("expected a whole number from 1 to 9999999");
  return count;
}

function parseCpus(text: string): number {
  const cpus = /^\d{1,4}(\.\d{1,9})?$/.test(text) ? Number(text) : NaN;
  if (!(cpus > 0 && cpus <= 1024)) throw new RangeError("expected a number such as 0.5 or 2, at most 1024");
  return cpus;
}

function parseCountOrNone(text: string): number {
  if (!/^\d{1,7}$/.test(text)) throw new RangeError("expected a whole number up to 9999999, or 0 for no limit");
  return Number(text);
}

function parsePortRange(text: string): { first: number; last: number } {
  const [, first = NaN, last = NaN] = /^(\d{1,5})-(\d{1,5})$/.exec(text)?.map(Number) ?? [];
  if (!(first >= 1 && first <= last && last <= 65535)) {
    throw new RangeError("expected FIRST-LAST such as 20000-29999, with ports from 1 to 65535");
  }
  return { first, last };
}

function parsePeer(text: string): Endpoint {
  const endpoint = parseEndpoint(text);
  if (text.startsWith(":") || endpoint.port === 0) {
    throw new RangeError(`expected HOST:PORT of another machine's cless, such as 10.0.0.1:${PEER_PORT}`);
  }
  return endpoint;
}

function parseAbsolutePath(text: string): string {
  if (!text.startsWith("/") || /(^|\/)\.\.?(\/|$)/.test(text)) {
    throw new RangeError("expected an absolute path without . and ..");
  }
  return text.replaceAll(/\/+/g, "/").replace(/(?<=.)\/$/, "");
}

function parseDomain(text: string): string {
  const hostname = parseHostname(text);
  if (hostname === undefined || text.includes(":")) throw new RangeError("expected a domain name such as example.org");
  return hostname.name;
}
