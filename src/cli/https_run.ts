import { resolve } from "node:path";
import { systemClock } from "../base/clock.ts";
import { OperatorError } from "../base/errors.ts";
import { configureLogging, logger } from "../base/log.ts";
import { writeAtomically } from "../base/atomic_file.ts";
import { findCaddy } from "../edge/caddy.ts";
import type { CaddyLine } from "../edge/caddy_log.ts";
import { caddyfileOf, type Wiring } from "../edge/caddyfile.ts";
import { CaddyChild } from "../edge/child.ts";
import { defaultStorage } from "../edge/foreground.ts";
import { listenerOn, portFaults } from "../edge/ports.ts";
import { parsePlainPath } from "../edge/settings.ts";
import { serveFlags } from "../edge/units.ts";
import { defined } from "../model/defined.ts";
import { parseEndpoint } from "../model/host.ts";
import { parseIp } from "../model/ip.ts";
import { settingsOf } from "./https_settings.ts";
import { type Call, parseWhole } from "./verb.ts";

const log = logger("edge");
/** What Caddy logs when it serves. It logs some lines more just after that. */
const SERVING = "serving initial configuration";
const LAST_LINES_MS = 500;
/** If Caddy does not say that it serves, the command is told after this time. */
const TELL_AFTER_MS = 5000;

/**
 * Runs Caddy as a child until a signal comes. cless itself is another process, with an end of its own: so an update or a
 * crash of it ends no connection, as under systemd.
 */
export async function runEdge(call: Call): Promise<number> {
  const settings = await settingsOf(call);
  const wiring = wiringOf(call);
  const caddy = await findCaddy(call.text("caddy") ?? "caddy", call.surroundings.env("PATH") ?? "");
  if (typeof caddy === "string") throw new OperatorError(caddy);
  const ports = [wiring.httpPort, wiring.httpsPort];
  const listeners = await Promise.all(ports.map((port) => listenerOn(port, wiring.bind)));
  const [fault] = portFaults(listeners.filter((listener) => listener !== undefined));
  if (fault !== undefined) throw new OperatorError(fault);
  const { surroundings } = call;
  const colour = surroundings.terminal && !surroundings.env("NO_COLOR");
  configureLogging({ format: surroundings.terminal ? "text" : "json", level: "info", colour });

  await Deno.mkdir(wiring.storage, { recursive: true, mode: 0o700 });
  const file = `${wiring.storage}/Caddyfile`;
  writeAtomically(file, caddyfileOf(settings, wiring));
  const flags = serveFlags(settings, wiring.upstream, wiring.httpsPort);
  log.info("starting Caddy", { version: caddy.version, file, storage: wiring.storage });
  const command = commandOf(flags, call.text("admin-api"));
  // Told last, so that Caddy's own lines do not hide it.
  const tell = () => log.info("now start cless beside it", { command });
  let cancel = systemClock.after(TELL_AFTER_MS, tell);
  const child = new CaddyChild(caddy.path, file, wiring.storage, (line) => {
    passOn(line);
    if (line.message !== SERVING) return;
    cancel();
    cancel = systemClock.after(LAST_LINES_MS, tell);
  });
  return await untilSignal(child).finally(() => cancel());
}

/** Resolves with the exit code: 0 if a signal has ended Caddy. @throws {OperatorError} If Caddy has ended by itself. */
async function untilSignal(child: CaddyChild): Promise<number> {
  let isStopping = false;
  const stop = () => {
    if (isStopping) child.kill();
    else child.stop();
    isStopping = true;
  };
  const signals = ["SIGTERM", "SIGINT"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, stop);
  try {
    const { code, reason } = await child.ended();
    if (isStopping) return 0;
    throw new OperatorError(`Caddy has ended with exit code ${code}: ${reason ?? "it does not say why"}`);
  } finally {
    for (const signal of signals) Deno.removeSignalListener(signal, stop);
  }
}

/** What the flags say about where Caddy, cless and their files are. */
export function wiringOf(call: Call): Wiring {
  const storage = call.read("storage", (text) => parsePlainPath(resolve(text)))[0] ?? defaultStorage(call.surroundings);
  return defined({
    upstream: call.read("listen", parseEndpoint)[0] ?? { hostname: "127.0.0.1", port: 8080 },
    admin: call.read("admin-api", parseEndpoint)[0] ?? { hostname: "127.0.0.1", port: 1323 },
    bind: call.read("bind", parseAddress)[0],
    httpPort: call.read("http-port", parsePort)[0] ?? 80,
    httpsPort: call.read("https-port", parsePort)[0] ?? 443,
    storage,
    socket: undefined,
    additions: storage,
  });
}

/** The command that starts cless behind the edge. */
function commandOf(flags: Readonly<Record<string, string>>, admin: string | undefined): string {
  const all = { ...flags, ...admin === undefined ? {} : { admin } };
  const words = Object.entries(all).map(([flag, value]) => value === "true" ? `--${flag}` : `--${flag} ${value}`);
  return ["cless", ...words].join(" ");
}

/** Writes a line of Caddy's log to that of cless. */
function passOn({ level, message, fields }: CaddyLine): void {
  log[level](message, fields);
}

function parsePort(text: string): number {
  const port = parseWhole(text);
  if (port < 1 || port > 65535) throw new RangeError("expected a port from 1 to 65535");
  return port;
}

function parseAddress(text: string): string {
  if (parseIp(text) === undefined || text.includes("%")) throw new RangeError("expected an IP address");
  return text;
}
