import { Limiter } from "../base/async.ts";
import { ClessError } from "../base/errors.ts";
import { isPassword, type PasswordHash } from "./password_hash.ts";

/** How many passwords are hashed at the same time: each needs a thread, and up to 64 MiB. */
const AT_ONCE = 2;
/** How many checks may wait or run, in all and for one address. Further ones are refused. */
const MAX_PENDING = 32;
const MAX_PENDING_OF_ADDRESS = 4;

const encoder = new TextEncoder();

/** Checks passwords, a few at a time, since each check is expensive on purpose. All services share it. */
export class PasswordChecks {
  #key: Promise<CryptoKey> | undefined;
  readonly #limiter = new Limiter(AT_ONCE);
  readonly #isPassword: typeof isPassword;
  /** How many checks of each address wait or run. */
  readonly #pending = new Map<string, number>();
  #pendingInAll = 0;

  /** @param check Hashes a password and compares. */
  constructor(check: typeof isPassword = isPassword) {
    this.#isPassword = check;
  }

  /** Stands for a text that must not stay in memory: HMAC-SHA-256 with a random key of this process. */
  async tagOf(text: string): Promise<string> {
    this.#key ??= crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    return new Uint8Array(await crypto.subtle.sign("HMAC", await this.#key, encoder.encode(text))).toBase64();
  }

  /**
   * Whether a password has this hash.
   *
   * @param address The client's.
   * @throws {ClessError} `too_many_attempts` or `overloaded`, at once, if too many checks are pending.
   */
  check(password: string, hash: PasswordHash, address: string): Promise<boolean> {
    const pending = this.#pending.get(address) ?? 0;
    if (pending >= MAX_PENDING_OF_ADDRESS) {
      throw new ClessError("too_many_attempts", "Too many passwords came from this address at once", {
        retryAfterS: 1,
      });
    }
    if (this.#pendingInAll >= MAX_PENDING) {
      throw new ClessError("overloaded", "Too many passwords are being checked at the moment", { retryAfterS: 1 });
    }
    this.#pendingInAll++;
    this.#pending.set(address, pending + 1);
    return this.#limiter.run(() => this.#isPassword(password, hash)).finally(() => this.#end(address));
  }

  #end(address: string): void {
    this.#pendingInAll--;
    const left = this.#pending.get(address)! - 1;
    if (left > 0) this.#pending.set(address, left);
    else this.#pending.delete(address);
  }
}
