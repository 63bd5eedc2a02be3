import { withoutMapping } from "../model/ip.ts";

/** One command closes at most this many connections. */
const MAX_AT_ONCE = 100;

/** A socket's other end. */
export type Peer = Pick<Deno.NetAddr, "hostname" | "port">;

/** Asks the kernel about clients' connections, and closes them. */
export interface ClientSockets {
  /** How many bytes are queued for each client, by {@linkcode peerKey}; `undefined` if unknown. */
  queues(): Promise<ReadonlyMap<string, number> | undefined>;
  /** Closes the connections of these clients, if that is allowed. */
  destroy(peers: readonly Peer[]): Promise<void>;
}

/** Uses ss(8) of iproute2. Closing connections needs root: `SOCK_DESTROY` in sock_diag(7). */
export class KernelSockets implements ClientSockets {
  #ours = "";

  /** Sets the ports to which clients connect. Until then, the other methods do nothing. */
  listenOn(ports: readonly number[]): void {
    this.#ours = [...new Set(ports)].map((port) => `sport = :${port}`).join(" or ");
  }

  async queues(): Promise<ReadonlyMap<string, number> | undefined> {
    if (this.#ours === "") return undefined;
    const text = await ss("-Htn", `( ${this.#ours} )`);
    return text === undefined ? undefined : parseQueues(text);
  }

  async destroy(peers: readonly Peer[]): Promise<void> {
    if (this.#ours === "") return;
    for (let at = 0; at < peers.length; at += MAX_AT_ONCE) {
      const some = peers.slice(at, at + MAX_AT_ONCE).map(({ hostname, port }) =>
        hostname.includes(":") ? `dst [${hostname}]:${port}` : `dst ${hostname}:${port}`
      );
      await ss("-K", "-Htn", `( ${some.join(" or ")} ) and ( ${this.#ours} )`);
    }
  }
}

/** A client's address and port as a text. It is the same for an IPv4 address and its IPv6 form. */
export function peerKey(hostname: string, port: number | string): string {
  return `${withoutMapping(hostname)} ${port}`;
}

const LINE = /^\S+\s+\d+\s+(\d+)\s+\S+\s+\[?([^\s\]%]+)\]?(?:%[^\s:\]]+)?\]?:(\d+)[ \t]*$/gm;

/** Reads lines such as `ESTAB  0  2565120  127.0.0.1:8080  127.0.0.1:51234`. */
export function parseQueues(text: string): ReadonlyMap<string, number> {
  const queues = new Map<string, number>();
  for (const [, bytes, host, port] of text.matchAll(LINE)) {
    queues.set(peerKey(host!, port!), Number(bytes));
  }
  return queues;
}

/** What `ss` prints; `undefined` if it cannot be run. */
async function ss(...args: string[]): Promise<string | undefined> {
  try {
    const { stdout, success } = await new Deno.Command("ss", { args, stdin: "null", stderr: "null" }).output();
    return success ? new TextDecoder().decode(stdout) : undefined;
  } catch {
    return undefined;
  }
}
