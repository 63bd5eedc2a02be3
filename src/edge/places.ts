/** The first line of every file that `cless https on` writes. A file without it belongs to somebody else. */
export const MARK = "# Written by cless https on; cless https off removes it.";

/** Whether cless has written a file. */
export function isMarked(text: string): boolean {
  return text.startsWith(`${MARK}\n`);
}

/** Caddy's unit. */
export const EDGE_UNIT = "cless-edge.service";
/** The unit of cless. */
export const CLESS_UNIT = "cless.service";

/** Where things of the edge are. */
export type Places = ReturnType<typeof placesBelow>;

/** Where things are when systemd runs the edge. @param root Empty, or another folder for the root of the machine. */
export function placesBelow(root: string) {
  const folder = `${root}/etc/cless/edge`;
  const units = `${root}/etc/systemd/system`;
  return {
    /** Has what cless writes, and what the operator adds: `*.caddy` and {@linkcode caddyEnv}. */
    folder,
    caddyfile: `${folder}/Caddyfile`,
    /** The settings that cless gets from the edge. */
    clessEnv: `${folder}/cless.env`,
    /** Variables for Caddy, by the operator: the token of a DNS plugin. */
    caddyEnv: `${folder}/caddy.env`,
    unit: `${units}/${EDGE_UNIT}`,
    dropIn: `${units}/${CLESS_UNIT}.d/50-https.conf`,
    /** The settings of cless by the operator. The edge reads them, and never writes them. */
    userEnv: `${root}/etc/default/cless`,
    /** Where the unit of cless may be: systemd.unit(5). */
    clessUnits: ["/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib"].map((prefix) =>
      `${root}${prefix}/systemd/system/${CLESS_UNIT}`
    ),
    /** Is there if systemd runs the machine: sd_booted(3). */
    systemd: `${root}/run/systemd/system`,
    /** Caddy's certificates, accounts and log. */
    storage: `${root}/var/lib/cless-edge`,
    /** Caddy's admin API, for a reload. */
    socket: `${root}/run/cless-edge/caddy.sock`,
    /** Where systemd puts the files of `LoadCredential=`: systemd.exec(5). */
    credentials: `${root}/run/credentials/${EDGE_UNIT}`,
  } as const;
}

/** The log of what concerns certificates, below Caddy's storage. */
export function certificateLog(storage: string): string {
  return `${storage}/certificates.log`;
}
