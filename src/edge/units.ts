import { variableOf } from "../base/config.ts";
import { type Endpoint, formatEndpoint } from "../model/host.ts";
import { GRACE_S } from "./caddyfile.ts";
import { CLESS_UNIT, MARK, type Places } from "./places.ts";
import type { EdgeSettings } from "./settings.ts";

/** Where the edge is for cless: the only peer whose `X-Forwarded-*` it believes. */
const EDGE_ADDRESS = "127.0.0.1/32";
/** Caddy may take this much longer than the streams that are open when it stops, s. */
const STOP_MARGIN_S = 10;

/** The names of the files that systemd hands to Caddy, whatever their own permissions are. */
const CREDENTIALS = { certificate: "certificate.pem", key: "key.pem", acmeRoot: "acme-root.pem" } as const;

/** The flags that `cless serve` needs behind the edge, with their values. */
export function serveFlags(settings: EdgeSettings, listen: Endpoint, httpsPort: number): Record<string, string> {
  return {
    "listen": formatEndpoint(listen),
    "trusted-proxy": EDGE_ADDRESS,
    "public-url": `https://${settings.domain}${httpsPort === 443 ? "" : `:${httpsPort}`}`,
    ...settings.admin ? { "admin-https": "true" } : {},
  };
}

/**
 * The environment file of cless. It is read after the operator's own, so it wins: systemd.exec(5), `EnvironmentFile=`.
 *
 * @param trusted The peers that the operator's own settings trust.
 */
export function clessEnvOf(flags: Readonly<Record<string, string>>, trusted: string | undefined): string {
  const lines = Object.entries(flags).map(([flag, value]) => {
    const all = flag === "trusted-proxy" && trusted !== undefined ? `${value},${trusted}` : value;
    return `${variableOf(flag)}=${all}`;
  });
  return [MARK, ...lines, ""].join("\n");
}

/** Reads an environment file without quotes over several lines: systemd.exec(5). */
export function readEnv(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split("\n").flatMap((line) => {
      const [, name, value = ""] = /^\s*([A-Za-z_]\w*)=(.*)$/.exec(line) ?? [];
      return name === undefined ? [] : [[name, value.trim().replace(/^(["'])(.*)\1$/, "$2")]];
    }),
  );
}

/** The drop-in by which cless's unit reads the settings of the edge. */
export function dropInOf({ clessEnv }: Pick<Places, "clessEnv">): string {
  return `${MARK}\n[Service]\nEnvironmentFile=${clessEnv}\n`;
}

/** The settings with the paths that Caddy's unit sees. */
export function asSeenByUnit(settings: EdgeSettings, { credentials }: Pick<Places, "credentials">): EdgeSettings {
  const { own, acmeRoot } = settings;
  const at = (name: string) => `${credentials}/${name}`;
  return {
    ...settings,
    ...own && { own: { ...own, certificate: at(CREDENTIALS.certificate), key: at(CREDENTIALS.key) } },
    ...acmeRoot !== undefined && { acmeRoot: at(CREDENTIALS.acmeRoot) },
  };
}

/** The file with the operator's own certificate that Caddy's unit names; `undefined` if there is none. */
export function ownCertificateIn(unit: string): string | undefined {
  return new RegExp(`^LoadCredential=${CREDENTIALS.certificate}:(.+)$`, "m").exec(unit)?.[1];
}

/** Caddy's unit. @param caddy The absolute path of Caddy. */
export function unitOf(caddy: string, { own, acmeRoot }: EdgeSettings, places: Places): string {
  const { caddyEnv, caddyfile, socket, storage } = places;
  const config = `--config ${caddyfile} --adapter caddyfile`;
  const files: [name: string, path: string | undefined][] = [
    [CREDENTIALS.certificate, own?.certificate],
    [CREDENTIALS.key, own?.key],
    [CREDENTIALS.acmeRoot, acmeRoot],
  ];
  const credentials = files.flatMap(([name, path]) => path === undefined ? [] : [`LoadCredential=${name}:${path}\n`]);
  return `${MARK}
[Unit]
Description=HTTPS for cless, by Caddy
Wants=network-online.target
After=network-online.target ${CLESS_UNIT}
StartLimitIntervalSec=60
StartLimitBurst=20

[Service]
Type=notify
ExecStart=${caddy} run ${config}
# Open downloads go on for ${GRACE_S} seconds; WebSockets end.
ExecReload=${caddy} reload ${config} --address unix/${socket} --force
# A dynamic user has no home, and Caddy ends without one.
Environment=HOME=${storage} XDG_CONFIG_HOME=${storage} XDG_DATA_HOME=${storage}
# Yours: variables for *.caddy files, such as the token of a DNS plugin.
EnvironmentFile=-${caddyEnv}
${credentials.join("")}Restart=on-failure
RestartSec=1s
TimeoutStopSec=${GRACE_S + STOP_MARGIN_S}
KillMode=mixed
LimitNOFILE=65536

DynamicUser=yes
AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
StateDirectory=cless-edge
StateDirectoryMode=0700
RuntimeDirectory=cless-edge
RuntimeDirectoryMode=0700
UMask=0077

NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RemoveIPC=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`;
}
