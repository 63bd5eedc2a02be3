import { atMost, delay } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { Endpoint } from "../model/host.ts";
import type { Server } from "./server.ts";

const log = logger("server");
/** How long the next connection may take to arrive. */
const PATIENCE_MS = 3000;
const KNOCK_MS = 2;

/**
 * Lowers the limit of file descriptors of process `$1`, see prlimit(1), and raises it again when its input ends.
 */
const LOWER_LIMIT = `
old=$(prlimit --pid "$1" --nofile --output SOFT --noheadings --raw) || exit 1
prlimit --pid "$1" --nofile=1: || exit 1
read -r _
prlimit --pid "$1" --nofile="$old":`;

/**
 * Closes the listeners of servers, so that another process gets all new connections, and leaves their connections open.
 *
 * The platform can only shut down a server, and then cuts uploads and WebSockets, and connections whose request has not
 * arrived. But its listener also ends, and nothing else does, when a connection cannot be accepted. So this process may
 * open no file for some milliseconds, until a connection has arrived at each listener; {@linkcode knock} sees to that.
 * If that is not possible, the servers are shut down.
 */
export async function stopAccepting(servers: readonly Server[], clock: Clock): Promise<void> {
  const ended = Promise.all(servers.map((server) => server.untilDeaf()));
  try {
    const helper = new Deno.Command("sh", {
      args: ["-c", LOWER_LIMIT, "sh", String(Deno.pid)],
      stdin: "piped",
      stdout: "null",
      stderr: "null",
    }).spawn();
    await atMost(Promise.race([ended, helper.status]), clock, PATIENCE_MS);
    await helper.stdin.close().catch(() => {}); // it has ended by itself
    await helper.status;
  } catch (error) {
    log.debug("cannot change the limit of file descriptors", { reason: messageOf(error) });
  }
  for (const server of servers) if (!server.isDeaf) server.shutdown();
}

/** Connects to addresses, and sends nothing, until another process listens there no more: see `stopAccepting`. */
export async function knock(endpoints: readonly Endpoint[], closed: Promise<void>, clock: Clock): Promise<void> {
  const over = new AbortController();
  closed.finally(() => over.abort());
  while (!over.signal.aborted) {
    for (const { hostname, port } of endpoints) {
      Deno.connect({ hostname, port }).then((conn) => conn.close(), () => {}); // it may be this process's own
    }
    await delay(clock, KNOCK_MS, over.signal);
  }
}

/**
 * Lets connections that wait in the queue of a listener that closes go to another one at the same address, if this user
 * may set that: https://docs.kernel.org/networking/ip-sysctl.html
 */
export async function allowMigration(): Promise<void> {
  // By a command: Deno itself writes to these files only with all permissions.
  const set = new Deno.Command("sh", {
    args: ["-c", "echo 1 >/proc/sys/net/ipv4/tcp_migrate_req"],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  });
  await set.output().catch(() => {});
}
