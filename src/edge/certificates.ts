import { createPrivateKey, X509Certificate } from "node:crypto";
import { messageOf, plainMessageOf } from "../base/errors.ts";
import { parseHostname } from "../model/host.ts";
import { dayOf } from "../model/time.ts";
import { defined } from "../model/defined.ts";
import { readLine } from "./caddy.ts";
import { certificateLog } from "./places.ts";
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

/** What went wrong the last time that a certificate was requested. */
export interface CertificateError {
  readonly name: string;
  /** When, ms since 1970. */
  readonly at: number;
  readonly reason: string;
  /** What to do, if it is known. */
  readonly remedy?: string;
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
      const pem = await Deno.readTextFile(file).catch(ifMissing(undefined));
      if (pem !== undefined) found.push(readCertificate(pem));
    }
  }
  return found.sort((a, b) => a.endsAt - b.endsAt);
}

async function namesIn(folder: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(folder)).catch(ifMissing([]));
  return entries.map(({ name }) => name).sort();
}

function ifMissing<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof Deno.errors.NotFound) return value;
    throw error;
  };
}

/** The last error of each name that has got no certificate since; the latest first. */
export async function lastErrors(storage: string): Promise<CertificateError[]> {
  return errorsIn(await Deno.readTextFile(certificateLog(storage)).catch(ifMissing("")));
}

/** Like {@linkcode lastErrors}. @param log The content of the log. */
export function errorsIn(log: string): CertificateError[] {
  const errors = new Map<string, CertificateError>();
  const attempts = new Map<string, Attempt>();
  for (const line of log.split("\n")) {
    const { at = 0, fields, message } = readLine(line);
    const name = fields["identifier"] ?? RETRIED.exec(String(fields["error"]))?.[1];
    if (typeof name !== "string") continue;
    if (message === CHALLENGE_FAILURE && attempts.get(name)?.challenge !== "http-01") { // the one that says most
      const { refusal } = attempts.get(name) ?? {};
      attempts.set(name, defined({ challenge: String(fields["challenge_type"]), problem: problemOf(fields), refusal }));
    } else if (message === FAILURE) {
      const { problem = problemOf(fields), refusal = problem } = attempts.get(name) ?? {};
      attempts.set(name, { refusal }); // the next authority has its own challenges
    } else if (message === RETRY || SUCCESSES.includes(message)) {
      const { refusal = problemOf(fields) } = attempts.get(name) ?? {};
      attempts.delete(name);
      errors.delete(name); // so that it becomes the latest
      if (message === RETRY) errors.set(name, { name, at, ...explained(refusal) });
    }
  }
  return [...errors.values()].reverse();
}

/** What is known of an attempt to get a certificate, of one authority after the other. */
interface Attempt {
  /** The challenge that has failed, and its problem. */
  readonly challenge?: string;
  readonly problem?: Problem;
  /** Why the first authority gives none. */
  readonly refusal?: Problem;
}

/** What Caddy logs about a name: https://github.com/caddyserver/certmagic/blob/v0.17.2/config.go */
const SUCCESSES = ["certificate obtained successfully", "certificate renewed successfully"];
const CHALLENGE_FAILURE = "challenge failed";
/** One authority gives none. */
const FAILURE = "could not get certificate from issuer";
/** No authority gives one. The name is in the error: `[shop.example.org] Obtain: …`. */
const RETRY = "will retry";
const RETRIED = /^\[([^\]\s]+)\] /;

/** What to do about the authority's types of errors: RFC 8555, section 6.7. */
const REMEDIES: Readonly<Record<string, string>> = {
  caa: "a CAA record of the domain forbids this authority: change it, or choose another one with --acme-url",
  connection: "the authority cannot connect: open port 80 in every firewall and router on the way to this machine",
  dns: "the name has no usable DNS record: add an A or AAAA record with the address of this machine",
  rateLimited: "the authority has given enough for now, and says when it gives more; try with --staging meanwhile",
  rejectedIdentifier: "the authority gives no certificate for this name: use another name or another authority",
  tls: "something else answers at port 443 of the DNS record's address: let the name lead to this machine",
  unauthorized: "something else answers at the DNS record's address: let the name lead to this machine",
};

/** What an authority has said. */
interface Problem {
  /** The last part of its type: RFC 8555, section 6.7. */
  readonly type: string | undefined;
  readonly reason: string;
}

/** @param fields Of a line of the log. Since version 2.7, a failed challenge has an object. */
function problemOf(fields: Readonly<Record<string, unknown>>): Problem {
  const { type, detail } = (fields["problem"] ?? {}) as Record<string, unknown>;
  const error = String(detail ?? fields["error"]);
  const told = String(type ?? fields["problem_type"] ?? error);
  return {
    type: /urn:ietf:params:acme:error:(\w+)/.exec(told)?.[1],
    reason: error.replace(/^HTTP \d+ urn:ietf:params:acme:error:\w+ - /, ""),
  };
}

function explained({ type, reason }: Problem): { reason: string; remedy?: string } {
  const remedy = type !== undefined
    ? REMEDIES[type]
    : /dial tcp|no such host|i\/o timeout/.test(reason)
    ? "this machine has to reach the authority: look at its DNS and its firewall"
    : undefined;
  return { reason: type === undefined ? reason : `${type}: ${reason}`, ...remedy === undefined ? {} : { remedy } };
}
