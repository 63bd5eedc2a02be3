import { atMost, delay } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { Endpoint } from "../model/host.ts";
import type { Server } from "./server.ts";

const log = logger("server");
/** The next connection to each listener must arrive within this time. */
const CONNECTION_WAIT_MS = 5000;
/** The pauses between the connections of {@linkcode knock}. */
const FIRST_KNOCK_MS = 1;
const MAX_KNOCK_MS = 100;

/**
 * Lowers the limit of file descriptors of process `$1` with prlimit(1), prints `low`, and restores the limit when its
 * input ends.
 */
const LOWER_LIMIT = `
old=$(prlimit --pid "$1" --nofile --output SOFT --noheadings --raw) || exit 1
prlimit --pid "$1" --nofile=1: || exit 1
echo low
read -r _
prlimit --pid "$1" --nofile="$old":`;

/**
 * Closes the listeners of servers, so that another process gets all new connections. Open connections stay open.
 *
 * The platform has no such function: a shutdown also cuts uploads, WebSockets, and connections whose request has not
 * arrived yet. But a failed accept ends only the listener, not its connections. So this process lowers its limit of
 * open files for some milliseconds, until a connection has arrived at each listener. The other process makes these
 * connections with {@linkcode knock}. If the limit cannot be changed, the servers are shut down.
 *
 * @param onLow Called once the limit is low: from now on, the next connection to a server closes its listener.
 */
export async function stopAccepting(servers: readonly Server[], clock: Clock, onLow: () => void): Promise<void> {
  const ended = Promise.all(servers.map((server) => server.listenerClosed()));
  try {
    const helper = new Deno.Command("sh", {
      args: ["-c", LOWER_LIMIT, "sh", String(Deno.pid)],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const output = helper.stdout.getReader();
    if (!(await output.read()).done) {
      onLow();
      await atMost(ended, clock, CONNECTION_WAIT_MS);
    }
    await output.cancel();
    await helper.stdin.close().catch(() => {}); // the helper has already ended
    await helper.status;
  } catch (error) {
    log.debug("cannot change the limit of file descriptors", { reason: messageOf(error) });
  }
  for (const server of servers) if (server.isListening) server.shutdown();
}

/**
 * Makes and closes connections to addresses until another process no longer listens there: see {@linkcode
 * stopAccepting}.
 */
export async function knock(endpoints: readonly Endpoint[], closed: Promise<void>, clock: Clock): Promise<void> {
  const over = new AbortController();
  closed.finally(() => over.abort());
  for (let waitMs = FIRST_KNOCK_MS; !over.signal.aborted; waitMs = Math.min(MAX_KNOCK_MS, waitMs * 1.5)) {
    // One at a time, so that a busy machine is not flooded with them.
    for (const { hostname, port } of endpoints) {
      // The connection may reach this process instead, which does no harm.
      const connected = Deno.connect({ hostname, port }).then((conn) => conn.close());
      await Promise.race([connected.catch(() => {}), closed]);
    }
    await delay(clock, waitMs, over.signal);
  }
}

/**
 * Makes the kernel move the connections in a closing listener's queue to another listener at the same address, if this
 * user may set that: https://docs.kernel.org/networking/ip-sysctl.html
 */
export async function allowMigration(): Promise<void> {
  // `sh` writes it, since Deno itself needs all permissions for these files.
  const set = new Deno.Command("sh", {
    args: ["-c", "echo 1 >/proc/sys/net/ipv4/tcp_migrate_req"],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  });
  try {
    await set.output();
  } catch {
    // There is no sh, and what the kernel does by itself has to do.
  }
}
