import { freePort, Program } from "./program.ts";
import { buildGo, type Tool, TOOLS } from "./tool.ts";

const HERE = `${import.meta.dirname}/peers`;

/** What a peer is started with. */
interface Place {
  /** Of the loopback address. */
  readonly port: number;
  /** The app, such as `http://172.18.0.2:8080`. */
  readonly origin: string;
  /** For files that go with the bench. */
  readonly folder: string;
}

/** Another proxy to compare cless with. */
export interface Peer {
  readonly name: string;
  /** What has to be installed for it. */
  readonly tool?: Tool;
  /** Done before it is started. */
  readonly prepare?: (place: Place, signal: AbortSignal) => Promise<void>;
  readonly command: (place: Place) => [command: string, ...args: string[]];
  readonly env?: (place: Place) => Record<string, string>;
}

/** The least that a proxy of cless's shape can do; the others are measured against it. */
export const FLOOR: Peer = {
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

/** All others. */
export const PEERS: readonly Peer[] = [
  goProxy("Go httputil.ReverseProxy, pool of 256", 256),
  goProxy("Go httputil.ReverseProxy, default pool", 0),
  {
    name: "Caddy reverse_proxy",
    tool: TOOLS.caddy,
    prepare: ({ port, origin, folder }) =>
      Deno.writeTextFile(
        `${folder}/Caddyfile`,
        `{
          admin off
          auto_https off
        }
        http://:${port} {
          bind 127.0.0.1
          reverse_proxy ${origin}
        }`,
      ),
    command: ({ folder }) => ["caddy", "run", "--config", `${folder}/Caddyfile`, "--adapter", "caddyfile"],
    env: ({ folder }) => ({ XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }),
  },
];

function goProxy(name: string, idle: number): Peer {
  const executable = (folder: string) => `${folder}/go-proxy`;
  return {
    name,
    tool: TOOLS.go,
    prepare: ({ folder }, signal) => buildGo(`${HERE}/go`, executable(folder), signal),
    command: ({ folder, port, origin }) => [
      executable(folder),
      `-listen=127.0.0.1:${port}`,
      `-to=${origin}`,
      `-idle=${idle}`,
    ],
  };
}

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
  const place = { port: freePort(), origin, folder };
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
