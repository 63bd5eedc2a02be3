import { createPrivateKey, X509Certificate } from "node:crypto";
import { readIfThere } from "../base/atomic_file.ts";
import { messageOf, plainMessageOf } from "../base/errors.ts";
import { parseHostname } from "../model/host.ts";
import { dayOf } from "../model/time.ts";
import type { OwnCertificate } from "./settings.ts";

/** A certificate that Caddy has. */
export interface Certificate {
  /** The hostnames that it covers. */
  readonly names: readonly string[];
  /** Who signed it, such as `Let's Encrypt R11`. */
  readonly authority: string;
  /** When it ends, ms since 1970. */
  readonly endsAt: number;
}

/** Reads a certificate in PEM; of a chain, the first one. @throws {RangeError} If it is none. */
export function readCertificate(pem: string): Certificate {
  let parsed: X509Certificate;
  try {
    parsed = new X509Certificate(pem);
  } catch (error) {
    throw new RangeError(`expected a certificate in PEM: ${messageOf(error)}`);
  }
  const names = (parsed.subjectAltName ?? "").split(", ").flatMap((text) => /^DNS:(.+)$/.exec(text)?.[1] ?? []);
  return { names, authority: authorityOf(parsed.issuer), endsAt: Date.parse(parsed.validTo) };
}

/** The name of an authority. @param issuer Its lines, such as `O=Let's Encrypt` and `CN=R11`. */
function authorityOf(issuer: string): string {
  const part = (key: string) => new RegExp(`^${key}=(.+)$`, "m").exec(issuer)?.[1];
  const [organization, name] = [part("O"), part("CN")];
  if (organization === undefined || name?.includes(organization)) return name ?? organization ?? "an unknown authority";
  return name === undefined ? organization : `${organization} ${name}`;
}

/**
 * Reads a certificate of the operator's own, and its key.
 *
 * @throws {RangeError} If a file cannot be read, the certificate covers no hostname or has ended, or the key is of
 * another one.
 */
export async function readOwn(certificate: string, key: string, nowMs: number): Promise<OwnCertificate> {
  const [pem, secret] = await Promise.all([readFile(certificate), readFile(key)]);
  const { names, endsAt } = readCertificate(pem);
  const usable = names.filter((name) => parseHostname(name.replace(/^\*\./, "")) !== undefined);
  if (usable.length === 0) throw new RangeError(`${certificate} covers no hostname`);
  if (endsAt <= nowMs) throw new RangeError(`${certificate} ended on ${dayOf(endsAt)}`);
  if (!isPair(pem, secret)) throw new RangeError(`${key} is not the key of ${certificate}`);
  return { certificate, key, names: usable };
}

function isPair(pem: string, key: string): boolean {
  try {
    return new X509Certificate(pem).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

async function readFile(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw new RangeError(`${path} cannot be read: ${plainMessageOf(error)}`);
  }
}

/** Whether a certificate covers a hostname. */
export function covers({ names }: Pick<Certificate, "names">, hostname: string): boolean {
  return names.includes(hostname) || names.includes(hostname.replace(/^[^.]+/, "*"));
}

/** The certificates in Caddy's storage. @throws {Error} If this user may not read it. */
export async function storedCertificates(storage: string): Promise<Certificate[]> {
  const found: Certificate[] = [];
  for (const authority of await namesIn(`${storage}/certificates`)) {
    for (const name of await namesIn(`${storage}/certificates/${authority}`)) {
      const file = `${storage}/certificates/${authority}/${name}/${name}.crt`;
      const pem = await readIfThere(file);
      if (pem !== undefined) found.push(readCertificate(pem));
    }
  }
  return found.sort((a, b) => a.endsAt - b.endsAt);
}

/** What a folder has; nothing if there is none. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
