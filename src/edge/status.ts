import { variableOf } from "../base/config.ts";
import { plainMessageOf } from "../base/errors.ts";
import { defined } from "../model/defined.ts";
import { type CertificateError, lastErrors } from "./certificate_errors.ts";
import { type Certificate, covers, readCertificate, storedCertificates } from "./certificates.ts";
import type { Machine } from "./machine.ts";
import { CLESS_UNIT, EDGE_UNIT, isMarked } from "./places.ts";
import { ownCertificateIn, readEnv } from "./units.ts";

/** How HTTPS is doing on a machine with systemd. */
export interface EdgeStatus {
  /** Where clients reach the services, such as `https://example.org`. */
  readonly url: string;
  /** Where cless listens. */
  readonly listen: string;
  /** Since when Caddy runs, as systemd writes it; empty if it does not run. */
  readonly since: string;
  /** The state of each unit, such as `active`. */
  readonly units: { readonly edge: string; readonly cless: string };
}

/** What is known about the certificates. */
export interface CertificateStatus {
  /** That of the operator's own. */
  readonly own?: Certificate;
  /** Those that Caddy has got; the next to end comes first. It renews one when its name is visited. */
  readonly certificates: readonly Certificate[];
  /** What went wrong, the latest first; without what an older configuration met, if the name has a certificate. */
  readonly errors: readonly CertificateError[];
}

/** How HTTPS is doing; `undefined` if it is not on. */
export async function edgeStatus(machine: Machine): Promise<EdgeStatus | undefined> {
  const env = await Deno.readTextFile(machine.places.clessEnv).catch(() => "");
  if (!isMarked(env)) return undefined;
  const values = readEnv(env);
  const [edge, cless, since] = await Promise.all([
    machine.show(EDGE_UNIT, "ActiveState"),
    machine.show(CLESS_UNIT, "ActiveState"),
    machine.show(EDGE_UNIT, "ActiveEnterTimestamp"),
  ]);
  return {
    url: values[variableOf("public-url")] ?? "",
    listen: values[variableOf("listen")] ?? "",
    since: edge === "active" ? since : "",
    units: { edge: edge || "unknown", cless: cless || "unknown" },
  };
}

/**
 * What Caddy's storage tells, and the operator's own certificate. Returns why that cannot be read as a text.
 *
 * @param caddyfile The path of Caddy's configuration.
 * @param unit The path of Caddy's unit, which names the operator's own certificate.
 */
export async function certificateStatus(
  storage: string,
  caddyfile: string,
  unit?: string,
): Promise<CertificateStatus | string> {
  try {
    const own = unit === undefined ? undefined : await ownCertificate(unit);
    const certificates = await storedCertificates(storage);
    const changedAt = (await Deno.stat(caddyfile).catch(() => undefined))?.mtime?.getTime() ?? 0;
    const errors = (await lastErrors(storage))
      .filter(({ name }) => own === undefined || !covers(own, name))
      // Another authority may have refused it.
      .filter(({ at, name }) => at >= changedAt || !certificates.some((certificate) => covers(certificate, name)));
    return defined({ own, certificates, errors });
  } catch (error) {
    return `the certificates cannot be read: ${plainMessageOf(error)}`;
  }
}

async function ownCertificate(unit: string): Promise<Certificate | undefined> {
  const text = await Deno.readTextFile(unit).catch(() => "");
  const file = ownCertificateIn(text);
  return file === undefined ? undefined : readCertificate(await Deno.readTextFile(file));
}
