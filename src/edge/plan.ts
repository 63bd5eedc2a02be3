import { variableOf } from "../base/config.ts";
import { type Endpoint, parseEndpoint } from "../model/host.ts";
import { isLoopback } from "../model/ip.ts";
import type { Caddy } from "./caddy.ts";
import { caddyfileOf, type Wiring } from "./caddyfile.ts";
import { CLESS_UNIT, EDGE_UNIT, isMarked, MARK, type Places } from "./places.ts";
import { type Listener, portFaults } from "./ports.ts";
import type { EdgeSettings } from "./settings.ts";
import { asSeenByUnit, clessEnvOf, dropInOf, serveFlags, unitOf } from "./units.ts";

/** Where Caddy is said to be if it is not installed yet. */
const USUAL_CADDY = "/usr/bin/caddy";
const DEFAULT_ADMIN = "127.0.0.1:1323";
/** The flags that the edge sets by variables. A flag on the command line of the unit would win. */
const EDGE_FLAGS = ["listen", "trusted-proxy", "public-url", "admin-https"];

/** What a plan depends on. */
export interface MachineState {
  readonly isRoot: boolean;
  readonly hasSystemd: boolean;
  /** Whether the unit of cless is installed. */
  readonly isInstalled: boolean;
  /** The command line of the unit of cless. */
  readonly command: string;
  /** Caddy, or what is wrong with it. */
  readonly caddy: Caddy | string;
  /** Who has the ports of the edge, except for cless and the edge. */
  readonly listeners: readonly Listener[];
  /** The contents of the files that the edge consists of, by path; `undefined` for a missing one. */
  readonly files: ReadonlyMap<string, string | undefined>;
  /** The operator's settings of cless. */
  readonly userEnv: Readonly<Record<string, string>>;
  /** The settings of cless by an edge that is on. */
  readonly edgeEnv: Readonly<Record<string, string>>;
  /** A port of 127.0.0.1 where nobody listens; `undefined` if there is none. */
  readonly freePort: number | undefined;
}

/** The ports of the edge. */
export interface EdgePorts {
  readonly http: number;
  readonly https: number;
}

/** What is to be on the machine. */
export interface Plan {
  readonly wiring: Wiring;
  /** The contents of the files by path. */
  readonly files: ReadonlyMap<string, string>;
  /** What systemctl is told once the files are there. */
  readonly commands: readonly (readonly string[])[];
}

/** Plans an edge that is on. */
export function planEdge(settings: EdgeSettings, ports: EdgePorts, found: MachineState, places: Places): Plan {
  const upstream = listenOf(found, ports);
  const wiring: Wiring = {
    upstream,
    admin: adminOf(found.userEnv) ?? parseEndpoint(DEFAULT_ADMIN),
    httpPort: ports.http,
    httpsPort: ports.https,
    storage: places.storage,
    socket: places.socket,
    additions: places.folder,
  };
  const caddy = typeof found.caddy === "string" ? USUAL_CADDY : found.caddy.path;
  const trusted = found.userEnv[variableOf("trusted-proxy")];
  const files = new Map([
    [places.caddyfile, `${MARK}\n${caddyfileOf(asSeenByUnit(settings, places), wiring)}`],
    [places.clessEnv, clessEnvOf(serveFlags(settings, upstream, ports.https), trusted || undefined)],
    [places.dropIn, dropInOf(places)],
    [places.unit, unitOf(caddy, settings, places)],
  ]);
  return { wiring, files, commands: commandsOf(settings, files, found, places) };
}

/** cless leaves the ports of the edge before Caddy takes them. */
function commandsOf(
  { own }: EdgeSettings,
  files: Plan["files"],
  found: MachineState,
  { caddyfile, clessEnv, dropIn, unit }: Places,
): string[][] {
  const changed = (...paths: string[]) => paths.some((path) => files.get(path) !== found.files.get(path));
  const edge = changed(unit) || own !== undefined // systemd reads the files of a certificate at a start
    ? "restart"
    : changed(caddyfile)
    ? "reload-or-restart"
    : "start";
  return [
    ["daemon-reload"],
    [changed(clessEnv, dropIn) ? "reload-or-restart" : "start", CLESS_UNIT],
    ["enable", EDGE_UNIT],
    [edge, EDGE_UNIT],
  ];
}

/**
 * Where cless is to listen: where it did behind the edge before, or on this machine alone, else on a free port. The
 * ports of the edge are Caddy's. The port is 0 if none is free.
 */
function listenOf({ edgeEnv, freePort, userEnv }: MachineState, ports: EdgePorts): Endpoint {
  const unusable = [0, ports.http, ports.https];
  const before = [edgeEnv, userEnv].flatMap((env) => endpointsIn(env[variableOf("listen")] ?? ""));
  return before.find(({ hostname, port }) => hostname === "127.0.0.1" && !unusable.includes(port)) ??
    { hostname: "127.0.0.1", port: freePort ?? 0 };
}

function endpointsIn(text: string): Endpoint[] {
  return text.split(/\s*,\s*/).flatMap((part) => {
    try {
      return [parseEndpoint(part)];
    } catch {
      return []; // cless itself complains
    }
  });
}

/** Where Caddy reaches the admin API; `undefined` if that is not by a loopback address. */
function adminOf(userEnv: MachineState["userEnv"]): Endpoint | undefined {
  const [admin] = endpointsIn(userEnv[variableOf("admin")] || DEFAULT_ADMIN);
  if (admin === undefined || admin.port === 0) return undefined;
  const { hostname, port } = admin;
  if (["0.0.0.0", "::", "localhost"].includes(hostname)) return { hostname: "127.0.0.1", port };
  return isLoopback(hostname) ? admin : undefined;
}

/** Everything that keeps an edge from being switched on, each with what to do. */
export function faultsOf(found: MachineState, ports: EdgePorts, places: Places): string[] {
  const { caddy, command, files, hasSystemd, isInstalled, listeners, userEnv } = found;
  const flags = EDGE_FLAGS.filter((flag) => new RegExp(`\\s--${flag}[\\s=]`).test(`${command} `));
  return [
    ...hasSystemd ? [] : ["systemd does not run this machine: use cless https run"],
    ...isInstalled || !hasSystemd ? [] : [`${CLESS_UNIT} is not installed: make install`],
    ...caddyFaults(caddy),
    ...portFaults(listeners),
    ...[...files].filter(([, text]) => text !== undefined && !isMarked(text))
      .map(([path]) => `${path} was not written by cless: move it away`),
    ...adminOf(userEnv) === undefined
      ? [
        `${variableOf("admin")} in ${places.userEnv} is not an address of this machine alone: make it ${DEFAULT_ADMIN}`,
      ]
      : [],
    ...flags.map((flag) =>
      `${CLESS_UNIT} starts cless with --${flag}, which would win: set ${variableOf(flag)} in ${places.userEnv} instead`
    ),
    ...listenOf(found, ports).port === 0 ? ["no port from 8080 on is free for cless"] : [],
  ];
}

/** Caddy's unit does not see the folders of users: systemd.exec(5), `ProtectHome=` and `PrivateTmp=`. */
function caddyFaults(caddy: MachineState["caddy"]): string[] {
  if (typeof caddy === "string") return [caddy];
  const isHidden = /^\/(home|root|run\/user|tmp|var\/tmp)\//.test(caddy.path);
  return isHidden ? [`Caddy's unit cannot run ${caddy.path}: move it to /usr/local/bin`] : [];
}

/** The lines that a file loses and gets, such as `- email a@example.org`. */
export function changedLines(before: string, after: string): string[] {
  const [old, fresh] = [before, after].map((text) => text.split("\n").map((line) => line.trim()));
  return [
    ...old!.filter((line) => !fresh!.includes(line)).map((line) => `- ${line}`),
    ...fresh!.filter((line) => !old!.includes(line)).map((line) => `+ ${line}`),
  ];
}
