import { Cless } from "../compose.ts";
import { type Config, readConfig, systemSurroundings } from "../base/config.ts";
import { formatEndpoint } from "../model/endpoint.ts";
import { messageOf, OperatorError, UsageError } from "../base/errors.ts";
import { configureLogging, logger } from "../base/log.ts";
import { atMost } from "../base/async.ts";
import { systemClock } from "../base/clock.ts";
import { ListenError } from "../http/server.ts";
import { parseFlags } from "./flags.ts";
import { serveHelp } from "./help.ts";
import { portHolder } from "./port_holder.ts";
import { SERVE_FLAGS } from "./serve_flags.ts";
import { VERSION } from "../base/version.ts";

const log = logger("serve");
const EARLY_PATIENCE_MS = 10_000;

/** `cless serve`: serves requests until it is told to stop. */
export async function serve(args: readonly string[]): Promise<number> {
  const { given, rest } = parseFlags(args, SERVE_FLAGS);
  if (given.get("help") === true) {
    console.log(serveHelp());
    return 0;
  }
  if (rest.length > 0) throw new UsageError(`serve takes no argument "${rest[0]}"; see cless serve --help`);
  const surroundings = systemSurroundings();
  const config = readConfig(given, surroundings);
  const colour = surroundings.terminal && !surroundings.env("NO_COLOR");
  configureLogging({ format: config.logFormat, level: config.logLevel, colour });

  // One request that goes wrong in a way that nobody thought of must not end all others.
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    log.error("unexpected failure", { reason: messageOf(event.reason), stack: event.reason?.stack });
  });
  const ended = signalled();
  const starting = Cless.start(config).catch(async (error) => {
    throw error instanceof ListenError ? await explainListenError(error) : error;
  });
  const early = await Promise.race([starting, ended]);
  if (typeof early === "string") {
    log.info("stopping before the start has ended", { signal: early });
    // An engine that hangs must not keep the program from ending.
    await atMost(starting.then((cless) => cless.stop()), systemClock, EARLY_PATIENCE_MS);
    return 0;
  }
  const cless = early;
  announce(cless, config);
  Deno.addSignalListener("SIGHUP", () => void cless.reload());
  const signal = await ended;
  log.info("stopping", { signal, containers: cless.instances, hint: "once more ends it at once" });
  await cless.stop();
  log.info("stopped", {});
  return 0;
}

/** Resolves with the first signal to end; a second one ends the process there and then. */
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

/** Says who has the port, where the machine tells, and what to do. */
async function explainListenError(error: ListenError): Promise<OperatorError> {
  const holder = error.cause instanceof Deno.errors.AddrInUse ? await portHolder(error.endpoint.port) : undefined;
  const by = holder === undefined ? "" : ` by ${holder}`;
  return new OperatorError(`${error.message}${by}; choose another one with --listen or --admin`);
}

/** Says what a person needs to know now. */
function announce(cless: Cless, config: Config): void {
  const { listen, admin } = cless.endpoints;
  const labels = cless.labels();
  const example = cless.urlOf(labels.includes("golang") ? "golang" : labels[0] ?? "NAME");
  const facts = {
    listen: listen.map(formatEndpoint),
    admin: formatEndpoint(admin),
    tokenFile: cless.tokenFile,
    example,
  };
  if (config.logFormat === "json") {
    log.info("serving", { version: VERSION, ...facts });
    return;
  }
  const images = labels.length > 0
    ? `  try it      ${example}\n              curl ${example}`
    : `  no image here is named NAME-docker yet; build one, and it answers at ${example}`;
  console.log([
    `cless ${VERSION}`,
    `  serving     ${facts.listen.map((address) => `http://${address}`).join("  ")}`,
    `  admin API   http://${facts.admin}  (token: ${facts.tokenFile})`,
    images,
  ].join("\n"));
}
