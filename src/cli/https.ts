import { UsageError } from "../base/errors.ts";
import { parsePlainPath } from "../edge/settings.ts";
import { type Flag, inGroup } from "./flags.ts";
import { switchOff, switchOn } from "./https_on.ts";
import { runEdge, wiringOf } from "./https_run.ts";
import { readEdgeFlags } from "./https_settings.ts";
import { showStatus } from "./https_status.ts";
import { CLIENT_FLAGS } from "./client_settings.ts";
import { actionOf, type Call, clientVerb } from "./verb.ts";

const ACTIONS: Readonly<Record<string, (call: Call) => Promise<number>>> = {
  on: (call) => switchOn(call),
  off: (call) => switchOff(call),
  status: (call) => showStatus(call),
  run: runEdge,
};

const COMMON_FLAGS: readonly Flag[] = inGroup("For on and run", {
  "--domain DOMAIN": "Services answer at NAME.DOMAIN; needed",
  "--email ADDRESS": "Where the authority writes to if a certificate is about to end",
  "--admin": "Let admin.DOMAIN answer everybody who has a token, over HTTPS only",
  "--cert FILE": "A certificate of your own, in PEM with its chain; other names than its own still get theirs",
  "--key FILE": "The key of that certificate",
  "--acme-url URL = Let's Encrypt, then ZeroSSL": "The directory of another authority",
  "--acme-ca-root FILE": "The root certificate of that authority's own HTTPS, in PEM",
  "--staging": "Get certificates for tests from Let's Encrypt; browsers do not trust them",
  "--caddy PATH = caddy": "Caddy 2.6 or later, such as one with a DNS plugin",
});
const STORAGE_FLAGS: readonly Flag[] = inGroup("For run and status", {
  "--storage DIR = /var/lib/cless-edge as root, else in the XDG state folder":
    "Where run keeps certificates and accounts, and status finds them",
});
const RUN_FLAGS: readonly Flag[] = inGroup("For run", {
  "--listen HOST:PORT = 127.0.0.1:8080": "Where cless takes requests",
  "--admin-api HOST:PORT = 127.0.0.1:1323": "Where the admin API of cless answers",
  "--bind ADDRESS = all addresses": "The address that Caddy listens on",
  "--http-port N = 80": "The port of plain HTTP, for redirects and for the authority",
  "--https-port N = 443": "The port of HTTPS",
});
const [DRY_RUN_FLAG] = inGroup("For on and off", {
  "--dry-run": "Show what would be written and done, and change nothing",
});
const [STATUS_FLAG] = inGroup("For status", { "--json": "Print JSON" });

/** Which flags each action takes. */
const FLAGS: Readonly<Record<string, readonly Flag[]>> = {
  on: [...COMMON_FLAGS, DRY_RUN_FLAG!],
  off: [DRY_RUN_FLAG!],
  status: [...STORAGE_FLAGS, STATUS_FLAG!, ...CLIENT_FLAGS],
  run: [...COMMON_FLAGS, ...RUN_FLAGS, ...STORAGE_FLAGS],
};

/** `cless https`: HTTPS by Caddy, which cless configures. */
export const https = clientVerb({
  name: "https",
  summary: "Put Caddy in front, which gets a certificate for every name that is served",
  args: [Object.keys(ACTIONS).join("|")],
  flags: [...COMMON_FLAGS, DRY_RUN_FLAG!, ...RUN_FLAGS, ...STORAGE_FLAGS, STATUS_FLAG!],
  notes: [
    "on checks everything first, and changes nothing if something is missing. Then it writes a configuration for Caddy and a unit for systemd, lets cless listen behind Caddy, and requests something over HTTPS. Said again with other flags, it changes them. off takes all of it back, but no certificates. status shows the certificates and what the authority has said. run has Caddy in the foreground, for machines without systemd, and says how to start cless beside it.",
  ],
  example: [
    "sudo cless https on --domain example.org --email me@example.org",
    "sudo cless https status",
    "sudo cless https off",
  ],
  check: (call) => {
    const [action] = call.args;
    if (action === undefined || call.attempt(() => actionOf("https", action, ACTIONS)) === undefined) return;
    const surplus = [...call.flags.keys()].filter((name) => !FLAGS[action]!.some((flag) => flag.name === name));
    call.attempt(() => {
      if (surplus.length > 0) throw new UsageError(surplus.map((name) => `--${name} is not for https ${action}`));
    });
    if (action === "on" || action === "run") readEdgeFlags(call);
    if (action === "on") call.read("caddy", parsePlainPath);
    if (action === "run") wiringOf(call);
  },
  run: (call) => actionOf("https", call.args[0]!, ACTIONS)(call),
});
