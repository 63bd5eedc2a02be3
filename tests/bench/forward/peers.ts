import { freePorts } from "../../support/free_ports.ts";
import { caddyConfig, haproxyConfig, nginxConfig, type Place } from "./peer_configs.ts";
import { Program } from "../support/program.ts";
import { buildGo, type Tool, TOOLS } from "../support/tool.ts";

const HERE = `${import.meta.dirname}/peers`;

/** Another proxy to compare cless with. */
export interface Peer {
  /** For `--peers`. */
  readonly id: string;
  readonly name: string;
  /** What has to be installed for it. */
  readonly tool?: Tool;
  /** Done before it is started. */
  readonly prepare?: (place: Place, signal: AbortSignal) => Promise<void>;
  /** What listens on the port and sends to the origin, in one process: the CPU of children is not counted. */
  readonly command: (place: Place) => [command: string, ...args: string[]];
  readonly env?: (place: Place) => Record<string, string>;
}

/** The least that a proxy of `Deno.serve` and `fetch` can do; the others are measured against it. */
export const FLOOR: Peer = {
  id: "floor",
  name: "bare Deno.serve + fetch (floor)",
  command: ({ port, origin }) => [
    Deno.execPath(),
    "run",
    "--quiet",
    "--no-prompt",
    "--allow-net",
    `${HERE}/floor.ts`,
    `${port}`,
    origin,
  ],
};

/** Also what cless is compared with elsewhere, with another Caddyfile. */
export const CADDY: Peer = {
  id: "caddy",
  name: "Caddy",
  tool: TOOLS.caddy,
  prepare: (place) => Deno.writeTextFile(`${place.folder}/Caddyfile`, caddyConfig(place)),
  command: ({ folder }) => ["caddy", "run", "--config", `${folder}/Caddyfile`, "--adapter", "caddyfile"],
  env: ({ folder }) => ({ XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }),
};

/** All others. */
export const PEERS: readonly Peer[] = [
  {
    id: "go",
    name: "Go httputil.ReverseProxy, pool of 256",
    tool: TOOLS.go,
    prepare: ({ folder }, signal) => buildGo(`${HERE}/go`, `${folder}/proxy`, signal),
    command: ({ folder, port, origin }) => [`${folder}/proxy`, `-listen=127.0.0.1:${port}`, `-to=${origin}`],
  },
  CADDY,
  {
    id: "haproxy",
    name: "HAProxy",
    tool: TOOLS.haproxy,
    prepare: (place) => Deno.writeTextFile(`${place.folder}/haproxy.cfg`, haproxyConfig(place)),
    command: ({ folder }) => ["haproxy", "-db", "-f", `${folder}/haproxy.cfg`],
  },
  {
    id: "nginx",
    name: "nginx",
    tool: TOOLS.nginx,
    prepare: (place) => Deno.writeTextFile(`${place.folder}/nginx.conf`, nginxConfig(place)),
    command: ({ folder }) => ["nginx", "-e", "stderr", "-p", folder, "-c", `${folder}/nginx.conf`],
  },
];

/**
 * Starts a peer, and waits until it listens.
 *
 * @param folder Empty, and its own.
 */
export async function startPeer(
  peer: Peer,
  { origin, folder }: Omit<Place, "port">,
  signal: AbortSignal,
): Promise<{ program: Program; url: string }> {
  const place = { port: freePorts(1), origin, folder };
  await peer.prepare?.(place, signal);
  const [command, ...args] = peer.command(place);
  const program = Program.start(peer.name, command, { args, env: peer.env?.(place) ?? {} });
  const url = `http://127.0.0.1:${place.port}/`;
  try {
    await program.untilListening(url, signal);
    return { program, url };
  } catch (error) {
    await program[Symbol.asyncDispose]();
    throw error;
  }
}
