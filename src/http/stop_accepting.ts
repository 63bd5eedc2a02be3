import { atMost, delay } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { Endpoint } from "../model/host.ts";
import type { Server } from "./server.ts";

const log = logger("server");
/** How long the next connection may take to arrive. */
const PATIENCE_MS = 5000;
/** The pauses between connections that only make the other process try to accept one. */
const FIRST_KNOCK_MS = 1;
const LONGEST_KNOCK_MS = 100;

/**
 * Lowers the limit of file descriptors of process `$1`, see prlimit(1), says so, and raises it again when its input
 * ends.
 */
const LOWER_LIMIT = `
old=$(prlimit --pid "$1" --nofile --output SOFT --noheadings --raw) || exit 1
prlimit --pid "$1" --nofile=1: || exit 1
echo low
read -r _
prlimit --pid "$1" --nofile="$old":`;

/**
 * Closes the listeners of servers, so that another process gets all new connections, and leaves their connections open.
 *
 * The platform can only shut down a server, and then cuts uploads and WebSockets, and connections whose request has not
 * arrived. But its listener also ends, and nothing else does, when a connection cannot be accepted. So this process may
 * open no file for some milliseconds, until a connection has arrived at each listener; {@linkcode knock} sees to that.
 * If that is not possible, the servers are shut down.
 *
 * @param onLow Called when the next connection to each server closes its listener.
 */
export async function stopAccepting(servers: readonly Server[], clock: Clock, onLow: () => void): Promise<void> {
  const ended = Promise.all(servers.map((server) => server.untilDeaf()));
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
      await atMost(ended, clock, PATIENCE_MS);
    }
    await output.cancel();
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
  for (let waitMs = FIRST_KNOCK_MS; !over.signal.aborted; waitMs = Math.min(LONGEST_KNOCK_MS, waitMs * 1.5)) {
    // One after the other: a machine that is busy must not drown in them.
    for (const { hostname, port } of endpoints) {
      const connected = Deno.connect({ hostname, port }).then((conn) => conn.close()); // perhaps to this process itself
      await Promise.race([connected.catch(() => {}), closed]);
    }
    await delay(clock, waitMs, over.signal);
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
