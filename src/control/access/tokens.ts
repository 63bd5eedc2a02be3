import { Conflict } from "../deploy_error.ts";
import type { Scope, TokenRecord } from "../records.ts";
import { CREDENTIAL_NAME, InvalidError } from "../schema/invalid.ts";
import type { Store } from "../store.ts";

/** Each scope includes the ones before it. */
export const SCOPES = ["read", "deploy", "admin"] as const satisfies readonly Scope[];

/** The name of the owner's token, in the history and elsewhere. */
export const OWNER_NAME = "admin";
/** The name under which changes by the `--config` file appear in the history. */
export const CONFIG_NAME = "config";

/** Lets people and secret scanners recognize a token. */
const PREFIX = "cless_";
const TOKEN_BYTES = 32;

const encoder = new TextEncoder();

/** Whether a token of this scope may do something that requires the scope `needed`. */
export function allows(scope: Scope, needed: Scope): boolean {
  return SCOPES.indexOf(scope) >= SCOPES.indexOf(needed);
}

/** A token without its hash. */
export type TokenInfo = Omit<TokenRecord, "hash">;

/** The name and scope of the token that a request has. */
export type Holder = Pick<TokenRecord, "name" | "scope">;

/** The tokens of the admin API. They are kept in memory, so that a check does not need the store. */
export class Tokens {
  readonly #store: Store;
  #ownerText: string;
  /** The owner's token, once a token has been looked for. */
  #owner: Promise<Omit<TokenRecord, "createdAt">> | undefined;
  readonly #now: () => number;
  /** The same as in the store. */
  #tokens: Map<string, TokenRecord>;
  /** The last change; the next one waits for it, so that both are made here in the same order as in the store. */
  #change: Promise<unknown> = Promise.resolve();

  /**
   * @param owner The text of the owner's token, which allows everything and cannot be revoked.
   * @param now Wall-clock time, ms since 1970.
   */
  constructor(store: Store, owner: string, now: () => number = Date.now) {
    this.#store = store;
    this.#now = now;
    this.#tokens = this.#stored();
    this.#ownerText = owner;
  }

  /** Replaces the text of the owner's token. The old text is no longer accepted; resolves when the new one is known. */
  async setOwner(text: string): Promise<void> {
    this.#ownerText = text;
    this.#owner = ownerOf(text);
    await this.#owner;
  }

  /**
   * Makes a token, and returns its text, which is not stored. @param expiresAt When it expires, ms since 1970.
   *
   * @throws {InvalidError} If the name, the scope or the time is invalid.
   * @throws {Conflict} If there is a token of that name, even an expired one. @throws {StoreUnavailable}
   */
  async issue(name: string, scope: Scope, expiresAt?: number): Promise<string> {
    if (!CREDENTIAL_NAME.test(name)) {
      const message =
        "is not a valid name of a token; expected up to 128 letters, digits and _ . -, with a letter or digit first";
      throw new InvalidError(["name"], message);
    }
    if (name === OWNER_NAME) throw new InvalidError(["name"], "is that of the owner's token; choose another");
    if (name === CONFIG_NAME) {
      throw new InvalidError(["name"], "stands in the history for the file of --config; choose another");
    }
    if (!SCOPES.includes(scope)) throw new InvalidError(["scope"], `must be one of ${SCOPES.join(", ")}`);
    const createdAt = this.#now();
    if (expiresAt !== undefined && !(Number.isSafeInteger(expiresAt) && expiresAt > createdAt)) {
      throw new InvalidError(["expiresAt"], "must be a time in the future, in whole milliseconds since 1970");
    }
    const random = crypto.getRandomValues(new Uint8Array(TOKEN_BYTES));
    const text = PREFIX + random.toBase64({ alphabet: "base64url", omitPadding: true });
    const token = { name, scope, hash: await hashOf(text), expiresAt, createdAt };
    await this.#next(async () => {
      const isNew = await this.#store.addToken(token);
      if (!isNew) throw new Conflict(`there is a token ${name} already; revoke it first`);
      this.#tokens.set(name, token);
    });
    return text;
  }

  /** Every token except the owner's, sorted by name, including expired ones. */
  list(): TokenInfo[] {
    return [...this.#tokens.values()]
      .map(({ name, scope, expiresAt, createdAt }) => ({ name, scope, expiresAt, createdAt }))
      .sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /** The holder of a token; `undefined` if it is unknown or expired. */
  async check(text: string): Promise<Holder | undefined> {
    return await this.holderOf(await hashOf(text));
  }

  /** The holder of the token with this hash; `undefined` if it is unknown or expired. */
  async holderOf(shown: Uint8Array): Promise<Holder | undefined> {
    const owner = await (this.#owner ??= ownerOf(this.#ownerText));
    const now = this.#now();
    let holder: Holder | undefined;
    // Compares with all tokens, so that the time taken reveals nothing.
    for (const { name, scope, hash, expiresAt } of [owner, ...this.#tokens.values()]) {
      const valid = isSameHash(shown, hash) && (expiresAt === undefined || now < expiresAt);
      if (valid) holder = { name, scope };
    }
    return holder;
  }

  /**
   * Revokes a token; resolves with whether there was one. It is no longer valid then.
   *
   * @throws {StoreUnavailable} Then the token stays valid.
   */
  revoke(name: string): Promise<boolean> {
    return this.#next(async () => {
      const found = await this.#store.deleteToken(name);
      this.#tokens.delete(name);
      return found;
    });
  }

  /** Takes over what another process that shares the store has changed. @throws {StoreUnavailable} */
  async refresh(): Promise<void> {
    await this.#next(() => Promise.try(() => this.#tokens = this.#stored()));
  }

  #stored(): Map<string, TokenRecord> {
    return new Map(this.#store.tokens().map((token) => [token.name, token]));
  }

  async #next<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#change.then(change);
    this.#change = done.catch(() => {});
    return await done;
  }
}

async function ownerOf(text: string): Promise<Omit<TokenRecord, "createdAt">> {
  return { name: OWNER_NAME, scope: "admin", hash: await hashOf(text), expiresAt: undefined };
}

/** The hash by which a token is known: all that is kept of it. */
export async function hashOf(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(text)));
}

/** Compares two hashes in constant time. */
export function isSameHash(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.reduce((difference, byte, at) => difference | (byte ^ b[at]!), 0) === 0;
}
