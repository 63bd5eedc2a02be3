import { atMost } from "../base/async.ts";
import { systemClock } from "../base/clock.ts";
import { type Config, readConfig, serveVariables, variableOf } from "../base/config.ts";
import { messageOf, OperatorError } from "../base/errors.ts";
import { configureLogging, logger } from "../base/log.ts";
import { portHolder } from "../base/machine.ts";
import { VERSION } from "../base/version.ts";
import type { Cless } from "../cless.ts";
import { formatEndpoint } from "../model/host.ts";
import { dashboardUrl } from "./dashboard_url.ts";
import { type Flag, inGroup, nearest } from "./flags.ts";
import type { Call, Verb } from "./verb.ts";

const log = logger("serve");
/** Stopping an interrupted start may take this long. An engine that hangs must not keep the program from ending. */
const EARLY_STOP_MS = 10_000;
const PREFIX = "CLESS_";
/** The variables of cless that set no flag of `cless serve`. */
const OTHER_VARIABLES = ["CLESS_SECRET_KEY", "CLESS_SERVER", "CLESS_TOKEN"];

/** The flags of `cless serve`, in the order of its help. */
const FLAGS: readonly Flag[] = [
  ...inGroup("Addresses", {
    "--listen HOST:PORT… = 0.0.0.0:80": "Where requests for services arrive",
    "--admin HOST:PORT = 127.0.0.1:1323":
      "Where the admin API and the dashboard answer; on the proxy they are also the host admin.localhost",
    "--admin-public":
      "Answer on the admin hosts of the proxy for everybody, not only for this machine, also over plain HTTP",
    "--admin-https": "Answer on admin.NAME for everybody whose request a trusted proxy got over HTTPS",
    "--domain NAME = cless.cloud":
      "Names the host admin.NAME, and printed URLs are below NAME, or below localhost without this flag; services answer under any domain",
    "--public-url URL":
      "How clients reach the services through a proxy in front: https://NAME, with its port if it has one; printed URLs are like it, and NAME is the domain too",
    "--oidc-host HOST":
      "One hostname to which OpenID providers send people back who sign in to any service, such as auth.example.org; by default each service's own",
    "--trusted-proxy CIDR…":
      "Proxies before cless, which say who the client is; forwarding headers of all others are replaced",
  }),
  ...inGroup("Services", {
    "--config FILE": "A YAML file that declares services; read at the start and again on SIGHUP",
    "--[no-]convention": "Let the hostname label L mean the local image L-docker, port 8080",
    "--wake-except-robots":
      "Let the robots that cless robots lists wake no service; they get 503 while a service sleeps",
    "--wake-log HOW = path":
      "What cless wakes shows, for a day, of a request that woke a service: path keeps the path without its query and the client's network, full the query and the client's address too, off neither",
  }),
  ...inGroup("Limits", {
    "--start-timeout TIME = 30s": "How long a container may take from its start to its first answer",
    "--request-timeout TIME = 5m":
      "How long from a request's arrival to the headers of its answer, not counting the upload",
    "--client-timeout TIME = 60s":
      "How long a client may stop sending its request or reading its answer; 0 for no limit",
    "--pause-after TIME = 60s":
      "How long an instance may be idle before it is paused: it keeps its memory and uses no processor",
    "--hibernate-after TIME = 5m":
      "How long an instance may be idle before its memory is moved to the machine's swap; 0 is never",
    "--stop-after TIME = 10m": "How long an instance may be idle before it is stopped; 24h if it hibernates",
    "--memory-budget SIZE = half of the machine's memory":
      "If all instances use more, paused ones hibernate or are stopped early, the longest idle first; 0 for no limit",
    "--swap-budget SIZE = half of the machine's swap":
      "What does not fit stays in memory; if all instances use more all the same, hibernated ones are stopped; 0 for no limit",
    "--default-memory SIZE = the memory budget":
      "Memory of an instance of a service that sets no limit, so that one app cannot take the machine; 0 for no limit",
    "--default-cpus N": "CPUs of an instance of a service that sets no limit, such as 0.5",
    "--stream-budget SIZE = 64m":
      "How much memory uploads and answers on their way may take together; each gets less as more of it is in use",
    "--drain-timeout TIME = 30s":
      "How long requests in flight may take to finish, on exit and when their container is replaced",
    "--max-pending N = 2000":
      "How many requests may wait for one service to start; while it runs, only as many wait as get a slot in time",
    "--max-in-flight N = adapts to cless's own lag":
      "How many requests may be in flight; more get 503 overloaded at once, and 0 switches that off",
  }),
  ...inGroup("Containers", {
    "--data-dir DIR = /var/lib/cless as root, else the XDG state folder":
      "The folder for what outlives the process: services, secrets, its id and the token of the admin API",
    "--allow-host-path DIR…": "Let volumes name folders of the host below this one",
    "--no-host-access": "Keep apps from all ports of this machine except the proxy's; needs root",
    "--take-over":
      "Take over from the cless that uses the data-dir, without a failed request; starts as usual if there is none",
    "--on-exit HOW = stop":
      "stop stops the containers on exit, keep leaves them for the next start, such as after an upgrade",
    "--docker PATH = docker": "The docker command",
    "--freezer HOW = auto":
      "How idle containers are paused: cgroup freezes them without the engine, and wakes them in a millisecond; docker lets the engine do it; auto takes cgroup where that is possible",
    "--freezer-socket PATH = /run/cless-freezer.sock":
      "The socket of the helper that freezes containers, if cless does not run as root",
    "--engine-api HOW = auto":
      "socket asks the engine over its unix socket, command runs docker for it, auto takes what fits",
    "--upstream HOW = auto":
      "direct sends to a container's own address, published to a port of 127.0.0.1, auto to what works",
    "--forward HOW = exact": "exact passes on requests and answers byte by byte, fetch uses the platform's fetch",
    "--port-range FIRST-LAST = 20000-29999, with --engine swarm 61000-65535": "The ports for published containers",
  }),
  ...inGroup("Several machines", {
    "--engine HOW = docker":
      "docker runs instances on this machine, swarm on all machines of the Docker Swarm that this one is in",
    "--manager HOST:PORT…":
      "On a worker of the Swarm: where the cless of a manager listens for its peers; cless join prints it",
    "--peer-listen HOST:PORT = port 1324 of the node's address":
      "Where the cless processes of the other machines reach this one, over TLS",
    "--open-ports": "Start even if the ports of instances cannot be closed to all but the Swarm's machines",
  }),
  ...inGroup("Log", {
    "--log-format FORMAT = text on a terminal, else json": "text or json",
    "--log-level LEVEL = info": "debug, info, warning or error",
    "--access-log FILE":
      "Write a line for each request to this file, or to standard output (-); the file is opened again on SIGHUP",
    "--access-log-format HOW = json": "json or combined",
    "--access-log-query": "Write queries to the access log too; they may have secrets",
  }),
];

/**
 * `cless serve`: serves requests until told to stop. It imports its parts when it runs, so that other verbs do not load
 * them.
 */
export const serve: Verb = {
  name: "serve",
  summary: "Serve requests, until it is told to stop",
  flags: FLAGS,
  notes: [
    "Every flag can also be set by an environment variable: --stop-after is CLESS_STOP_AFTER; a flag wins.",
    "Durations are written 250ms, 30s, 5m or 1h; 0 means never.",
  ],
  example: [
    "docker build -t golang-docker images/golang",
    "cless --listen 127.0.0.1:8080",
    "curl http://golang.localhost:8080/",
  ],
  check: (call: Call) => {
    call.attempt(() => readConfig(call.flags, call.surroundings));
  },
  run: async ({ flags, surroundings }: Call) => {
    const config = readConfig(flags, surroundings);
    const colour = surroundings.terminal && !surroundings.env("NO_COLOR");
    configureLogging({ format: config.logFormat, level: config.logLevel, colour });
    for (const { name, nearest } of misspelledVariables(surroundings.variables())) {
      log.warning("a variable sets nothing; is its name misspelled?", { variable: name, nearest });
    }

    // One unforeseen failure of a request must not end all others.
    globalThis.addEventListener("unhandledrejection", (event) => {
      event.preventDefault();
      log.error("unexpected failure", { reason: messageOf(event.reason), stack: event.reason?.stack });
    });
    const ended = signalled();
    const starting = start(config);
    const first = await Promise.race([starting, ended]);
    if (typeof first === "string") {
      log.info("stopping before the start has ended", { signal: first });
      await atMost(starting.then((cless) => cless.stop()), systemClock, EARLY_STOP_MS);
      return;
    }
    keepCall(first);
    announce(first, config);
    Deno.addSignalListener("SIGHUP", () => void first.reload());
    const signal = await Promise.race([ended, first.superseded]);
    if (typeof signal === "number") {
      log.info("another process has taken over; finishing what is in flight", { pid: signal });
      await first.leave();
      log.info("stopped", {});
      return;
    }
    log.info("stopping", { signal, containers: first.instances, hint: "a second signal ends it at once" });
    await first.stop();
    log.info("stopped", {});
  },
};

/** Finds the variables whose names are nearly, but not quite, those of settings. @param names All variables. */
export function misspelledVariables(names: readonly string[]): { readonly name: string; readonly nearest: string }[] {
  const known = [...FLAGS.map(({ name }) => variableOf(name)), ...OTHER_VARIABLES].map(withoutPrefix);
  return names.filter((name) => name.startsWith(PREFIX)).flatMap((name) => {
    const near = nearest(withoutPrefix(name), known);
    return near === undefined || PREFIX + near === name ? [] : [{ name, nearest: PREFIX + near }];
  });
}

function withoutPrefix(variable: string): string {
  return variable.slice(PREFIX.length);
}

/** Resolves with the first signal to end. A second signal ends the process at once. */
function signalled(): Promise<Deno.Signal> {
  const { promise, resolve } = Promise.withResolvers<Deno.Signal>();
  let seen = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    Deno.addSignalListener(signal, () => {
      if (seen) Deno.exit(1);
      seen = true;
      resolve(signal);
    });
  }
  Deno.addSignalListener("SIGHUP", () => {});
  return promise;
}

/** Starts the program. If a port is taken, the error says what to do and, if known, which program uses it. */
async function start(config: Config): Promise<Cless> {
  const { Cless } = await import("../cless.ts");
  const { ListenError } = await import("../http/server.ts");
  try {
    return await Cless.start(config);
  } catch (error) {
    if (!(error instanceof ListenError)) throw error;
    const holder = error.cause instanceof Deno.errors.AddrInUse ? await portHolder(error.endpoint.port) : undefined;
    const by = holder === undefined ? "" : ` by ${holder}`;
    const flags = config.engine === "swarm" ? "--listen, --admin or --peer-listen" : "--listen or --admin";
    throw new OperatorError(`${error.message}${by}; choose another one with ${flags}`);
  }
}

/** Stores how this process was started, for `cless upgrade`. */
function keepCall(cless: Cless): void {
  const args = Deno.args.filter((arg) => !/^--(no-)?take-over(=|$)/.test(arg));
  const own = args[0] === "serve" ? args.slice(1) : args;
  try {
    const { pid } = Deno;
    cless.keepCall({
      pid,
      version: VERSION,
      uid: Deno.uid(),
      args: own,
      env: serveVariables(false),
      folder: Deno.cwd(),
    });
  } catch (error) {
    log.warning("cannot keep how it was started; cless upgrade will not work", { reason: messageOf(error) });
  }
}

function announce(cless: Cless, config: Config): void {
  const { endpoints: { listen, admin }, tokenFile } = cless;
  const labels = cless.labels();
  const example = cless.urlOf(labels.includes("golang") ? "golang" : labels[0] ?? "NAME");
  const dashboard = dashboardUrl(`http://${formatEndpoint(admin)}`);
  const facts = { listen: listen.map(formatEndpoint), admin: formatEndpoint(admin), dashboard, tokenFile, example };
  if (config.logFormat === "json") {
    log.info("serving", { version: VERSION, ...facts });
    return;
  }
  const images = labels.length > 0
    ? `  try it      ${example}\n              curl ${example}`
    : `  no image here is named NAME-docker yet; build one, and it answers at ${example}`;
  const print = config.accessLog === "-" ? console.error : console.log; // nothing else may be among its lines
  print([
    `cless ${VERSION}`,
    `  serving     ${facts.listen.map((address) => `http://${address}`).join("  ")}`,
    `  admin API   http://${facts.admin}  (token: ${tokenFile})`,
    `  dashboard   ${dashboard}`,
    images,
  ].join("\n"));
}
