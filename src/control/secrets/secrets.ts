import type { SecretVersion } from "../records.ts";
import { checkSecretName, InvalidError } from "../schema/invalid.ts";
import { SecretKey, type SecretKeySource } from "./secret_key.ts";
import type { Store } from "../store.ts";

const MAX_BYTES = 64 * 1024;

const encoder = new TextEncoder();

/** There is no such secret, or not in the version that a revision has. */
export class UnknownSecretError extends Error {
  override readonly name = "UnknownSecretError";
  readonly secret: string;

  constructor(secret: string, version?: number) {
    super(
      version === undefined
        ? `there is no secret ${secret}; set it first`
        : `version ${version} of the secret ${secret} is gone; set the secret again and deploy what uses it`,
    );
    this.secret = secret;
  }
}

/** The secrets: their values are in the store, but only sealed, and leave here only for a revision that starts. */
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
   * Opens the secrets of a store. The key is made where there is none, but only as long as there is no secret.
   *
   * @param now Wall-clock time, ms since 1970.
   * @throws {SecretKeyError} When the key is missing or cannot be one. That it is another one than before is told when
   * a value is needed, since each can have a key of its own.
   */
  static async open(store: Store, source: SecretKeySource, now: () => number = Date.now): Promise<Secrets> {
    return new Secrets(store, await SecretKey.open(source, store.secretVersions().length === 0), now);
  }

  /**
   * Gives a secret a new value; revisions keep the one that they have.
   *
   * @param value At most 64 KiB of text, in UTF-8 where it is bytes.
   * @throws {InvalidError} When the name or the value cannot be one.
   * @throws {StoreUnavailable} When it cannot be kept.
   */
  async set(name: string, value: Uint8Array | string): Promise<SecretVersion> {
    checkSecretName(name);
    const bytes = bytesOf(value);
    // One after the other: each is sealed for the version that it is going to have.
    const done = this.#change.then(() => this.#add(name, bytes));
    this.#change = done.catch(() => {});
    return await done;
  }

  /** The newest version of every secret, by name. @throws {StoreUnavailable} */
  list(): SecretVersion[] {
    return this.#store.secretVersions();
  }

  /** Removes a secret with all of its versions; whether there was one. @throws {StoreUnavailable} */
  delete(name: string): boolean {
    return this.#store.deleteSecret(name);
  }

  /**
   * The versions that secrets have now, for a new revision to keep.
   *
   * @throws {UnknownSecretError} For the first that there is not.
   */
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
   * The values for a revision's variables.
   *
   * @param secretEnv The variables with the names of their secrets.
   * @param versions Which version of each secret the revision has.
   * @throws {UnknownSecretError} For the first secret that there is not, or not in that version.
   * @throws {SecretKeyError} When one was sealed with another key.
   * @throws {UnreadableSecretError} When one is damaged.
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
    const sealed = await this.#key.seal(bytes, name, this.#store.nextSecretVersion(name));
    const { version, createdAt } = this.#store.addSecret(name, sealed, this.#now());
    return { name, version, createdAt };
  }
}

/** A copy of the value in UTF-8. What cannot be the value of a variable is refused, and never shown. */
function bytesOf(value: Uint8Array | string): Uint8Array {
  const refuse = (reason: string) => new InvalidError(["value"], reason);
  if (typeof value === "string" && !value.isWellFormed()) throw refuse("must be text, and has half a character");
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

/** @throws {TypeError} Where the bytes are no UTF-8. */
function textOf(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}
