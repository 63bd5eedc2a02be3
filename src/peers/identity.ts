import { messageOf, OperatorError } from "../base/errors.ts";
import { readIfThere, writeAtomically } from "../base/atomic_file.ts";
import { makePrivate } from "../control/data_dir.ts";
import { type Certificate, makeCertificate } from "./certificate.ts";

const FILE = "peer-identity";
const SECRET_BYTES = 32;

/** By what the processes of one owner know each other. All of them have the same one. */
export interface PeerIdentity extends Certificate {
  /** Every request of a peer has it. */
  readonly secret: string;
}

/** A new identity. */
export async function makeIdentity(): Promise<PeerIdentity> {
  const secret = crypto.getRandomValues(new Uint8Array(SECRET_BYTES)).toBase64({ alphabet: "base64url" });
  return { ...await makeCertificate(), secret: secret.replace(/=+$/, "") };
}

/**
 * Reads the identity from a data-dir; makes and keeps one if there is none. @param folder Locked by this process.
 *
 * @throws {OperatorError} If the file is damaged, or cannot be used.
 */
export async function openIdentity(folder: string): Promise<PeerIdentity> {
  const path = `${folder}/${FILE}`;
  try {
    const text = await readIfThere(path);
    if (text === undefined) {
      const identity = await makeIdentity();
      keepIdentity(folder, identity);
      return identity;
    }
    await makePrivate(path);
    const identity = identityOf(JSON.parse(text));
    if (identity !== undefined) return identity;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw new OperatorError(`cannot use ${path}: ${messageOf(error)}`);
  }
  throw new OperatorError(
    `${path} is damaged; restore it, or remove it on every machine and join them again with a new cless join token`,
  );
}

/** Writes an identity to a data-dir, in place of any other. */
export function keepIdentity(folder: string, { certificate, key, secret }: PeerIdentity): void {
  writeAtomically(`${folder}/${FILE}`, `${JSON.stringify({ certificate, key, secret }, undefined, 2)}\n`);
}

/** Checks parsed JSON; `undefined` if it is no identity. */
export function identityOf(value: unknown): PeerIdentity | undefined {
  const { certificate, key, secret } = (value ?? {}) as Record<string, unknown>;
  if (typeof certificate !== "string" || !certificate.startsWith("-----BEGIN CERTIFICATE-----\n")) return undefined;
  if (typeof key !== "string" || !key.startsWith("-----BEGIN PRIVATE KEY-----\n")) return undefined;
  return typeof secret === "string" && /^[\w-]{43}$/.test(secret) ? { certificate, key, secret } : undefined;
}
