import type { Flag } from "./flags.ts";

const ADDRESSES = "Addresses";
const SERVICES = "Services";
const LIMITS = "Limits";
const ENGINE = "Containers";
const LOG = "Log";

/** The flags of `cless serve`, in the order of its help. */
export const SERVE_FLAGS: readonly Flag[] = [
  {
    name: "listen",
    value: "HOST:PORT",
    group: ADDRESSES,
    default: "0.0.0.0:80",
    repeatable: true,
    help: "Where requests for services come in",
  },
  {
    name: "admin",
    value: "HOST:PORT",
    group: ADDRESSES,
    default: "127.0.0.1:1323",
    help: "Where the admin API answers; on the proxy it is also the host admin.localhost",
  },
  {
    name: "admin-public",
    group: ADDRESSES,
    help: "Answer on the admin hosts of the proxy for everybody, not only for this machine and trusted proxies",
  },
  {
    name: "domain",
    value: "NAME",
    group: ADDRESSES,
    default: "cless.cloud",
    help: "Names the host admin.NAME, and is used in printed URLs; services answer under any domain",
  },
  {
    name: "trusted-proxy",
    value: "CIDR",
    group: ADDRESSES,
    repeatable: true,
    help: "Whose X-Forwarded-* and Forwarded are believed; everybody else's are replaced",
  },
  {
    name: "config",
    value: "FILE",
    group: SERVICES,
    help: "A YAML file that declares services; read at the start and again on SIGHUP",
  },
  {
    name: "convention",
    group: SERVICES,
    default: "on",
    help: "Let the hostname label L mean the local image L-docker, port 8080",
  },
  {
    name: "start-timeout",
    value: "TIME",
    group: LIMITS,
    default: "30s",
    help: "From the start of a container to its first answer",
  },
  {
    name: "request-timeout",
    value: "TIME",
    group: LIMITS,
    default: "5m",
    help: "From a request's arrival to the answer's headers; stands still while an upload moves",
  },
  {
    name: "pause-after",
    value: "TIME",
    group: LIMITS,
    default: "60s",
    help: "How long an instance may be idle before it is paused: it keeps its memory and uses no processor",
  },
  {
    name: "stop-after",
    value: "TIME",
    group: LIMITS,
    default: "10m",
    help: "How long an instance may be idle before it is stopped",
  },
  {
    name: "memory-budget",
    value: "SIZE",
    group: LIMITS,
    default: "half of the machine's memory",
    help: "Where all instances use more, paused ones are stopped early, the longest idle first; 0 for no limit",
  },
  {
    name: "drain-timeout",
    value: "TIME",
    group: LIMITS,
    default: "30s",
    help: "What a request in flight gets to finish, on exit and when its container is replaced",
  },
  {
    name: "max-pending",
    value: "N",
    group: LIMITS,
    default: "2000",
    help: "How many requests may wait for the start of one service",
  },
  {
    name: "data-dir",
    value: "DIR",
    group: ENGINE,
    default: "/var/lib/cless as root, else the XDG state folder",
    help: "What outlives the process: services, secrets, its id, and the token of the admin API",
  },
  {
    name: "allow-host-path",
    value: "DIR",
    group: ENGINE,
    repeatable: true,
    help: "Below it, volumes may name folders of the host",
  },
  {
    name: "on-exit",
    value: "HOW",
    group: ENGINE,
    default: "stop",
    help: "stop stops the containers on exit, keep leaves them for the next start, as for an upgrade",
  },
  { name: "docker", value: "PATH", group: ENGINE, default: "docker", help: "The docker command" },
  {
    name: "engine-api",
    value: "HOW",
    group: ENGINE,
    default: "auto",
    help: "socket asks the engine over its unix socket, command runs docker for it, auto takes what fits",
  },
  {
    name: "upstream",
    value: "HOW",
    group: ENGINE,
    default: "auto",
    help: "direct sends to a container's own address, published to a port of 127.0.0.1, auto takes what works",
  },
  {
    name: "forward",
    value: "HOW",
    group: ENGINE,
    default: "exact",
    help: "exact passes requests and answers on to the byte, fetch goes through the platform's fetch",
  },
  {
    name: "port-range",
    value: "FIRST-LAST",
    group: ENGINE,
    default: "20000-29999",
    help: "The ports for published containers",
  },
  {
    name: "log-format",
    value: "FORMAT",
    group: LOG,
    default: "text on a terminal, else json",
    help: "text or json",
  },
  { name: "log-level", value: "LEVEL", group: LOG, default: "info", help: "debug, info, warning or error" },
];

/** The flags of `cless doctor`. */
export const DOCTOR_FLAGS: readonly Flag[] = [...SERVE_FLAGS, { name: "json", help: "Print the findings as JSON" }];
