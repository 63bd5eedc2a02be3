import { type Endpoint, formatEndpoint } from "../model/host.ts";
import { certificateLog } from "./places.ts";
import type { EdgeSettings } from "./settings.ts";

/**
 * The time for a request's headers. It is also the time for a whole TLS handshake, in which Caddy gets the certificate
 * of a new name: with less, a slow authority would make the first visit fail.
 */
const HEADER_TIME = "30s";
/** Requests for a cless that is restarting wait so long: it is gone for less than a second. */
const RESTART_TIME = "5s";
/** So many connections to cless are kept. With its default of 32, Caddy needs a third more CPU for 256 clients at once. */
const KEPT_CONNECTIONS = 256;
/** The streams that are open when Caddy stops may go on for so long. */
export const GRACE_S = 30;

/** What logs about certificates: the second one in versions before 2.8 only. */
const CERTIFICATE_LOGGERS = "include tls http.acme_client";

/** Where the parts are that the Caddyfile connects. */
export interface Wiring {
  /** Where cless takes requests. */
  readonly upstream: Endpoint;
  /** Where the admin API of cless answers. */
  readonly admin: Endpoint;
  /** Where Caddy listens: an address, or all of them if there is none. */
  readonly bind?: string;
  readonly httpPort: number;
  readonly httpsPort: number;
  /** The folder with Caddy's certificates, accounts and log. */
  readonly storage: string;
  /** The unix socket of Caddy's admin API; without it, there is none. */
  readonly socket?: string;
  /** The folder whose `*.caddy` files the operator adds. */
  readonly additions: string;
}

/** The names by which the snippet is imported; also by what the operator adds. */
const SNIPPET = "cless";

/**
 * The configuration of Caddy, for version 2.6 and later. The name of the snippet is part of the interface: what the
 * operator adds has `import cless`.
 *
 * There is no limit on the rate of new certificates here: cless itself bounds what `/v1/ask` says yes to.
 *
 * @param settings Its files are named as Caddy sees them.
 */
export function caddyfileOf(settings: EdgeSettings, wiring: Wiring): string {
  const { own } = settings;
  const { httpPort, httpsPort } = wiring;
  const port = httpsPort === 443 ? "" : `:${httpsPort}`;
  return [
    block("", globalOptions(settings, wiring)),
    block(`(${SNIPPET})`, proxyTo(wiring.upstream)),
    [`import ${wiring.additions}/*.caddy`],
    block(httpPort === 80 ? "http://" : `http://:${httpPort}`, [`redir https://{host}${port}{uri} 308`]),
    ...own === undefined ? [] : [
      block(own.names.map((name) => `https://${name}${port}`).join(", "), [
        `tls ${own.certificate} ${own.key}`,
        `import ${SNIPPET}`,
      ]),
    ],
    block(`https://${port}`, [...block("tls", ["on_demand"]), `import ${SNIPPET}`]),
  ].map((lines) => lines.join("\n") + "\n").join("\n");
}

function globalOptions(settings: EdgeSettings, wiring: Wiring): string[] {
  const { email, acmeUrl, acmeRoot } = settings;
  const { admin, bind, httpPort, httpsPort, socket, storage } = wiring;
  return [
    `admin ${socket === undefined ? "off" : `unix/${socket}`}`,
    `storage file_system ${storage}`,
    ...email === undefined ? [] : [`email ${email}`],
    ...acmeUrl === undefined ? [] : [`acme_ca ${acmeUrl}`],
    ...acmeRoot === undefined ? [] : [`acme_ca_root ${acmeRoot}`],
    ...httpPort === 80 ? [] : [`http_port ${httpPort}`],
    ...httpsPort === 443 ? [] : [`https_port ${httpsPort}`],
    ...bind === undefined ? [] : [`default_bind ${bind}`],
    "auto_https disable_redirects", // those that Caddy makes have no limits of time
    `grace_period ${GRACE_S}s`,
    ...block("on_demand_tls", [`ask http://${formatEndpoint(admin)}/v1/ask`]),
    ...block("servers", [
      ...block("timeouts", [`read_header ${HEADER_TIME}`, "idle 2m"]),
      "max_header_size 64KB",
      "protocols h1 h2 h3",
    ]),
    ...block("log", ["output stderr", "format json"]),
    ...block("log journal", ["output stderr", "format json", CERTIFICATE_LOGGERS]), // the first one leaves these out
    ...block("log certificates", [
      ...block(`output file ${certificateLog(storage)}`, ["roll_size 1MiB", "roll_keep 2"]),
      "format json",
      CERTIFICATE_LOGGERS,
    ]),
  ];
}

/**
 * Sends requests to cless. While cless restarts, requests wait that were not sent yet; not those with a body, until
 * https://github.com/caddyserver/caddy/pull/7547. Caddy writes `X-Forwarded-*` anew; `Forwarded` it would pass on from
 * any client. It flushes streams by itself; with `flush_interval -1` it would also go on reading for clients that have
 * left.
 */
function proxyTo(upstream: Endpoint): string[] {
  return block(`reverse_proxy ${formatEndpoint(upstream)}`, [
    "header_up -Forwarded",
    `lb_try_duration ${RESTART_TIME}`,
    "lb_try_interval 100ms",
    ...block("lb_retry_match", ["method NONE"]), // nothing that was sent is sent again
    ...block("transport http", ["dial_timeout 2s", `keepalive_idle_conns_per_host ${KEPT_CONNECTIONS}`]),
  ]);
}

function block(head: string, body: readonly string[]): string[] {
  return [head === "" ? "{" : `${head} {`, ...body.map((line) => `\t${line}`), "}"];
}
