import { readIfThere } from "../base/atomic_file.ts";
import { defined } from "../model/defined.ts";
import { readLine } from "./caddy_log.ts";
import { certificateLog } from "./places.ts";

/** What went wrong the last time that a certificate was requested. */
export interface CertificateError {
  readonly name: string;
  /** When, ms since 1970. */
  readonly at: number;
  readonly reason: string;
  /** What to do, if it is known. */
  readonly remedy?: string;
}

/** The last error of each name that has got no certificate since; the latest first. */
export async function lastErrors(storage: string): Promise<CertificateError[]> {
  return errorsIn(await readIfThere(certificateLog(storage)) ?? "");
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
