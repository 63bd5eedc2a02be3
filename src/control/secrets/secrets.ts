import type { SecretVersion } from "../records.ts";
import { checkSecretName, InvalidError } from "../schema/invalid.ts";
import { SecretKey, type SecretKeySource } from "./secret_key.ts";
import { StaleError, type Store } from "../store.ts";

const MAX_BYTES = 64 * 1024;
/** So often a value is sealed again, if other processes take the version that it would have got. */
const MAX_TRIES = 10;

const encoder = new TextEncoder();

/** A secret, or the version of it that a revision needs, does not exist. */
export class UnknownSecretError extends Error {
  override readonly name = "UnknownSecretError";

  constructor(secret: string, version?: number) {
    super(
      version === undefined
        ? `there is no secret ${secret}; set it first`
        : `version ${version} of the secret ${secret} is gone; set the secret again and deploy what uses it`,
    );
  }
}

/** All secrets. Their values are sealed in the store, and unsealed only when a revision needs them. */
export class Secrets {
  readonly #store: Store;
  readonly #key: SecretKey;
  readonly #now: () => number;
  /** The last change; the next one waits for it. */
  #change: Promise<unknown> = Promise.resolve();

  private constructor(store: Store, key: SecretKey, now: () => number) {
    this.#store = store;
    this.#key = key;
    this.#now = now;
  }

  /**
   * Opens the secrets of a store. Creates a key if there is none and no secrets are stored.
   *
   * @param now Wall-clock time, ms since 1970.
   * @throws {SecretKeyError} If the key is missing or invalid. A wrong key is noticed only when a value is unsealed.
   */
  static async open(store: Store, source: SecretKeySource, now: () => number = Date.now): Promise<Secrets> {
    return new Secrets(store, await SecretKey.open(source, store.secretVersions().length === 0), now);
  }

  /**
   * Gives a secret a new value of at most 64 KiB. Existing revisions keep their version. Bytes are read as UTF-8.
   *
   * @throws {InvalidError} If the name or the value is invalid. @throws {StoreUnavailable}
   */
  async set(name: string, value: Uint8Array | string): Promise<SecretVersion> {
    checkSecretName(name);
    const bytes = bytesOf(value);
    return await this.#next(() => this.#add(name, bytes));
  }

  /** The newest version of every secret, by name. @throws {StoreUnavailable} */
  list(): SecretVersion[] {
    return this.#store.secretVersions();
  }

  /** Removes a secret with all of its versions; resolves with whether there was one. @throws {StoreUnavailable} */
  delete(name: string): Promise<boolean> {
    return this.#next(() => this.#store.deleteSecret(name));
  }

  /** The present versions of secrets, for a new revision. @throws {UnknownSecretError} For the first missing one. */
  currentVersions(names: Iterable<string>): Record<string, number> {
    const wanted = [...names];
    if (wanted.length === 0) return {};
    const versions = new Map(this.#store.secretVersions().map(({ name, version }) => [name, version]));
    return Object.fromEntries(wanted.map((name) => {
      const version = versions.get(name);
      if (version === undefined) throw new UnknownSecretError(name);
      return [name, version];
    }));
  }

  /**
   * The newest value of a secret.
   *
   * @throws {UnknownSecretError} If there is no such secret.
   * @throws {SecretKeyError} @throws {UnreadableSecretError} As {@linkcode SecretKey.unseal} does.
   */
  async value(name: string): Promise<string> {
    return (await this.resolve({ value: name }, this.currentVersions([name])))["value"]!;
  }

  /** A key of its own for another purpose than secrets; see {@linkcode SecretKey.derive}. */
  deriveKey(purpose: string): Promise<CryptoKey> {
    return this.#key.derive(purpose);
  }

  /**
   * The values of a revision's variables.
   *
   * @param secretEnv The names of the secrets, by variable.
   * @param versions The revision's version of each secret, by the secret's name.
   * @throws {UnknownSecretError} For the first secret that does not exist in that version.
   * @throws {SecretKeyError} @throws {UnreadableSecretError} As {@linkcode SecretKey.unseal} does.
   */
  async resolve(
    secretEnv: Readonly<Record<string, string>>,
    versions: Readonly<Record<string, number>>,
  ): Promise<Record<string, string>> {
    const records = Object.entries(secretEnv).map(([variable, name]) => {
      const version = Object.hasOwn(versions, name) ? versions[name] : undefined;
      const record = version === undefined ? undefined : this.#store.secret(name, version);
      if (record === undefined) throw new UnknownSecretError(name, version);
      return { variable, name, record };
    });
    const values: [variable: string, value: string][] = [];
    for (const { variable, name, record } of records) {
      values.push([variable, textOf(await this.#key.unseal(record.sealed, name, record.version))]);
    }
    return Object.fromEntries(values);
  }

  async #add(name: string, bytes: Uint8Array): Promise<SecretVersion> {
    for (let tries = 1;; tries++) {
      const version = this.#store.nextSecretVersion(name);
      const sealed = await this.#key.seal(bytes, name, version);
      const createdAt = this.#now();
      try {
        await this.#store.addSecret({ name, version, createdAt, sealed });
        return { name, version, createdAt };
      } catch (error) {
        // Another process that shares the store has taken the version that the value was sealed for.
        if (!(error instanceof StaleError) || tries >= MAX_TRIES) throw error;
      }
    }
  }

  /** Makes one change at a time, since a value is sealed for the version that it will get. */
  async #next<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#change.then(change);
    this.#change = done.catch(() => {});
    return await done;
  }
}

/**
 * A copy of the value in UTF-8. @throws {InvalidError} If an environment variable cannot hold it; the message does not
 * contain it.
 */
function bytesOf(value: Uint8Array | string): Uint8Array {
  const refuse = (reason: string) => new InvalidError(["value"], reason);
  if (typeof value === "string" && !value.isWellFormed()) throw refuse("must be text without lone surrogates");
  const bytes = typeof value === "string" ? encoder.encode(value) : value.slice();
  if (bytes.length > MAX_BYTES) throw refuse("must be at most 64 KiB");
  if (bytes.includes(0)) throw refuse("must not have a zero byte, which no variable can have");
  try {
    textOf(bytes);
  } catch {
    throw refuse("must be text in UTF-8; write other bytes as base64");
  }
  return bytes;
}

/** @throws {TypeError} If the bytes are not UTF-8. */
function textOf(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}
