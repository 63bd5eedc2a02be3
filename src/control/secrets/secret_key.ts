import { concat } from "@std/bytes/concat";
import { OperatorError, plainMessageOf } from "../../base/errors.ts";
import { readIfThere, writeAtomically } from "../../base/atomic_file.ts";
import { makePrivate } from "../data_dir.ts";

const KEY_BYTES = 32;
const ID_BYTES = 8;
/** The length that NIST SP 800-38D recommends for GCM. With random nonces, a key is safe for about 2^32 values. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * The first byte of a sealed value, to distinguish future formats. The key's id, the nonce and the ciphertext follow.
 */
const FORMAT = 1;
const HEAD_BYTES = 1 + ID_BYTES;

const VARIABLE = "CLESS_SECRET_KEY";

const encoder = new TextEncoder();

/** The key is missing, damaged, or a different one than a secret was sealed with; the message says what to do. */
export class SecretKeyError extends OperatorError {}

/** The key is right, but the sealed value is damaged; the message says what to do. */
export class UnreadableSecretError extends OperatorError {}

/** Where the key comes from. */
export interface SecretKeySource {
  /** The locked data-dir; its file `secret-key` has the 32 bytes of the key as base64. */
  readonly folder: string;
  /** The key as base64. If it is given, the file is neither read nor created. */
  readonly text?: string | undefined;
}

/** The key that encrypts ("seals") secrets with AES-GCM. It cannot be extracted. */
export class SecretKey {
  readonly #key: CryptoKey;
  /** The same key, for other keys to be derived from. */
  readonly #base: CryptoKey;
  /** Identifies the key without revealing anything about it. */
  readonly #id: Uint8Array<ArrayBuffer>;
  /** Where the key comes from, for messages. */
  readonly #origin: string;

  private constructor(key: CryptoKey, base: CryptoKey, id: Uint8Array<ArrayBuffer>, origin: string) {
    this.#key = key;
    this.#base = base;
    this.#id = id;
    this.#origin = origin;
  }

  /**
   * Reads the key, or creates one if there is none.
   *
   * @param mayMake Whether a key may be created. A new key cannot unseal existing values.
   * @throws {SecretKeyError} If the key is missing or wrong, or the file cannot be used.
   */
  static async open({ folder, text }: SecretKeySource, mayMake: boolean): Promise<SecretKey> {
    if (text !== undefined) {
      const bytes = parse(text);
      if (bytes !== undefined) return await SecretKey.#of(bytes, VARIABLE);
      throw new SecretKeyError(
        `${VARIABLE} must be ${KEY_BYTES} bytes as base64; give the one that was in use so far, or make one with ` +
          "`openssl rand -base64 32`",
      );
    }
    const path = `${folder}/secret-key`;
    try {
      return await SecretKey.#of(await readOrMake(path, mayMake), path);
    } catch (error) {
      if (error instanceof SecretKeyError) throw error;
      const reason = plainMessageOf(error);
      throw new SecretKeyError(
        `cannot use ${path}: ${reason}; it must be a file, in a folder in which this user may read and write`,
        { cause: error },
      );
    }
  }

  static async #of(bytes: Uint8Array<ArrayBuffer>, origin: string): Promise<SecretKey> {
    const key = await crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]);
    const digest = await crypto.subtle.digest("SHA-256", concat([encoder.encode("cless secret key id\n"), bytes]));
    const base = await crypto.subtle.importKey("raw", bytes, "HKDF", false, ["deriveKey"]);
    return new SecretKey(key, base, new Uint8Array(digest).slice(0, ID_BYTES), origin);
  }

  /** A key for AES-GCM that is used for one purpose alone: HKDF, RFC 5869. It is the same after a restart. */
  async derive(purpose: string): Promise<CryptoKey> {
    const info = encoder.encode(`cless ${purpose}`);
    const parameters = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info };
    const algorithm = { name: "AES-GCM", length: 8 * KEY_BYTES };
    return await crypto.subtle.deriveKey(parameters, this.#base, algorithm, false, ["encrypt", "decrypt"]);
  }

  /** Seals a value for one version of one secret. It cannot be unsealed for another version or secret. */
  async seal(value: Uint8Array, name: string, version: number): Promise<Uint8Array> {
    const head = concat([Uint8Array.of(FORMAT), this.#id]);
    const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    const parameters = { name: "AES-GCM", iv: nonce, additionalData: binding(head, name, version) };
    const encrypted = await crypto.subtle.encrypt(parameters, this.#key, new Uint8Array(value));
    return concat([head, nonce, new Uint8Array(encrypted)]);
  }

  /**
   * Unseals the value of a version of a secret.
   *
   * @throws {SecretKeyError} If it was sealed with another key.
   * @throws {UnreadableSecretError} If it belongs to another secret or version, was changed, or has an unknown format.
   */
  async unseal(sealed: Uint8Array, name: string, version: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(sealed);
    if (bytes.length > 0 && bytes[0] !== FORMAT) {
      throw new UnreadableSecretError(
        `version ${version} of the secret ${name} is sealed in a way that this cless does not know; use a newer one, ` +
          "or set the secret again and deploy what uses it",
      );
    }
    if (bytes.length >= HEAD_BYTES && !this.#id.every((byte, at) => byte === bytes[1 + at])) {
      throw new SecretKeyError(
        `version ${version} of the secret ${name} was sealed with another key than that of ${this.#origin}; put the ` +
          "right key there and restart cless, or set the secret again and deploy what uses it",
      );
    }
    try {
      if (bytes.length < HEAD_BYTES + NONCE_BYTES + TAG_BYTES) throw new RangeError("too short");
      const parameters = {
        name: "AES-GCM",
        iv: bytes.subarray(HEAD_BYTES, HEAD_BYTES + NONCE_BYTES),
        additionalData: binding(bytes.subarray(0, HEAD_BYTES), name, version),
      };
      return new Uint8Array(
        await crypto.subtle.decrypt(parameters, this.#key, bytes.subarray(HEAD_BYTES + NONCE_BYTES)),
      );
    } catch (error) {
      throw new UnreadableSecretError(
        `version ${version} of the secret ${name} is damaged; set the secret again and deploy what uses it`,
        { cause: error },
      );
    }
  }
}

/**
 * The additional data that ties a sealed value to its secret and version. It is unambiguous, since names have no
 * spaces.
 */
function binding(head: Uint8Array, name: string, version: number): Uint8Array<ArrayBuffer> {
  return concat([head, encoder.encode(`${version} ${name}`)]);
}

/** The bytes of a key; `undefined` if the text is not a key. */
function parse(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    const bytes = Uint8Array.fromBase64(text.trim());
    return bytes.length === KEY_BYTES ? bytes : undefined;
  } catch {
    return undefined; // the error's message could contain a part of the key
  }
}

async function readOrMake(path: string, mayMake: boolean): Promise<Uint8Array<ArrayBuffer>> {
  const found = await read(path);
  if (found !== undefined) return found;
  if (!mayMake) {
    throw new SecretKeyError(
      `${path} is missing, and there are secrets that only its key opens; put it back or give the key as ${VARIABLE}, ` +
        `or, where it is lost for good, make a new one with \`(umask 077; openssl rand -base64 32 > ${path})\`, set ` +
        "every secret again, and deploy what uses them",
    );
  }
  // The key is written before any secret is stored. A key file that has appeared meanwhile is not replaced.
  const text = crypto.getRandomValues(new Uint8Array(KEY_BYTES)).toBase64() + "\n";
  writeAtomically(path, text, { existing: "keep" });
  const made = await read(path);
  if (made === undefined) throw new Error(`${path} is gone again`);
  return made;
}

/** The key in a file; `undefined` if there is no file. */
async function read(path: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  const bytes = parse(text);
  if (bytes === undefined) {
    throw new SecretKeyError(
      `${path} is damaged: it must have ${KEY_BYTES} bytes as base64; put back a copy of it, or move it away, and see ` +
        "what cless says then",
    );
  }
  await makePrivate(path);
  return bytes;
}
