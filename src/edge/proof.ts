import { connect } from "node:tls";
import { delay, within } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import { lastErrors } from "./certificate_errors.ts";
import { type Certificate, readCertificate } from "./certificates.ts";

/** How long a certificate may take. */
const PATIENCE_MS = 90_000;
/** While a request waits, the errors of the authority are read this often. */
const LOOK_MS = 500;
const PAUSE_MS = 1000;

/** The answer to a request over HTTPS. */
export interface Proof {
  readonly status: number;
  readonly certificate: Certificate;
  /** Whether this machine trusts the certificate, as browsers do. */
  readonly isTrusted: boolean;
}

/** What is requested to prove that HTTPS works. */
export interface ProofRequest {
  readonly hostname: string;
  readonly path: string;
  /** The port of this machine. */
  readonly port: number;
  /** Where Caddy keeps what the authority has said. */
  readonly storage: string;
  /** A root to trust, in PEM; by default those of the system. */
  readonly root?: string;
}

/**
 * Requests something over HTTPS, again and again until there is an answer. Returns the reason as a text if the authority
 * refuses the certificate, or if there is no answer in time.
 *
 * @param nowMs When it begins, ms since 1970: errors of the authority before that do not count.
 */
export async function prove(request: ProofRequest, clock: Clock, nowMs: number): Promise<Proof | string> {
  const deadline = clock.now() + PATIENCE_MS;
  for (;;) {
    const aborter = new AbortController();
    const asked = requestOnce(request, aborter.signal).catch(messageOf);
    try {
      let outcome: Proof | string | undefined;
      // A refusal does not end the connection: Caddy tries again while its client waits.
      while (outcome === undefined) {
        outcome = await within(asked, clock, LOOK_MS) ?? await refusalOf(request, nowMs);
        if (typeof outcome !== "string" && outcome !== undefined) return outcome;
        if (outcome === undefined && clock.now() > deadline) outcome = `no answer in ${PATIENCE_MS / 1000} s`;
      }
      const refusal = await refusalOf(request, nowMs);
      if (refusal !== undefined) return refusal;
      if (clock.now() > deadline) return String(outcome);
    } finally {
      aborter.abort();
      await asked;
    }
    await delay(clock, PAUSE_MS);
  }
}

/** What the authority has said against the certificate; `undefined` if nothing. */
async function refusalOf({ hostname, storage }: ProofRequest, sinceMs: number): Promise<string | undefined> {
  const errors = await lastErrors(storage).catch(() => []);
  const error = errors.find(({ name, at }) => name === hostname && at >= sinceMs);
  if (error === undefined) return undefined;
  return `the authority gives no certificate: ${error.reason}${
    error.remedy === undefined ? "" : ` -> ${error.remedy}`
  }`;
}

/** @throws {Error} If there is no answer. */
function requestOnce({ hostname, path, port, root }: ProofRequest, signal: AbortSignal): Promise<Proof> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: "127.0.0.1",
      port,
      servername: hostname,
      rejectUnauthorized: false,
      ...root === undefined ? {} : { ca: root },
    });
    const end = () => {
      reject(new Error("it was given up"));
      socket.destroy();
    };
    let text = "";
    signal.addEventListener("abort", end, { once: true });
    socket.on("secureConnect", () => {
      socket.write(`GET ${path} HTTP/1.1\r\nhost: ${hostname}\r\nconnection: close\r\n\r\n`);
    });
    socket.on("data", (bytes: Uint8Array) => {
      text += new TextDecoder().decode(bytes);
      const status = /^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1];
      if (status === undefined) return;
      try {
        // Deno gives a Uint8Array, which does not know how to write itself as base64 in Node.js's way.
        const { raw } = socket.getPeerCertificate();
        const pem = `-----BEGIN CERTIFICATE-----\n${new Uint8Array(raw).toBase64()}\n-----END CERTIFICATE-----\n`;
        resolve({ status: Number(status), certificate: readCertificate(pem), isTrusted: socket.authorized });
      } catch (error) {
        reject(error);
      }
      socket.destroy();
    });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("the connection was closed")));
  });
}
