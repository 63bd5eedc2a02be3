import type { Attempts } from "../base/attempts.ts";
import type { Clock } from "../base/clock.ts";
import { ClessError } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { problem } from "../http/problem.ts";
import { networkOf } from "../model/ip.ts";
import type { Authenticator, GateRequest, Identity, Outcome } from "./authenticator.ts";
import type { PasswordChecks } from "./password_checks.ts";
import { parsePasswordHash, type PasswordHash } from "./password_hash.ts";

const log = logger("access");

/** At most this many right and this many wrong credentials are remembered; the oldest are forgotten. */
const MAX_REMEMBERED = 256;
/** The text of right credentials is kept for this time, so that the next requests with it need no HMAC. */
const RECENT_MS = 60_000;
/** Longer credentials are wrong without a check. */
const MAX_LENGTH = 4096;

/** What a {@linkcode BasicAuth} works with. */
export interface BasicAuthOptions {
  /** The name of the service, which browsers show when they ask for the password. */
  readonly service: string;
  /** The hashes of the passwords by user. */
  readonly users: Readonly<Record<string, string>>;
  readonly clock: Pick<Clock, "after">;
  readonly checks: PasswordChecks;
  /** Counts wrong passwords. An address with too many is refused before its password is checked. */
  readonly attempts: Attempts;
}

/** Lets users pass by a password: RFC 7617. A right password is hashed once, not for every request. */
export class BasicAuth implements Authenticator {
  readonly headers: readonly string[] = [];
  readonly #service: string;
  readonly #users: ReadonlyMap<string, PasswordHash>;
  readonly #hashes: readonly PasswordHash[];
  readonly #clock: Pick<Clock, "after">;
  readonly #checks: PasswordChecks;
  readonly #attempts: Attempts;
  /** The outcomes for right credentials, by the text of `Authorization`. Emptied after {@linkcode RECENT_MS}. */
  readonly #recent = new Map<string, Outcome>();
  /** The same by the tag of the text, without a time limit. */
  readonly #right = new Map<string, Outcome>();
  /** The tags of wrong credentials. A repetition is no new guess, so it needs no check and does not count. */
  readonly #wrong = new Set<string>();
  /** The checks that wait or run, by tag. Requests with the same credentials share one. */
  readonly #pending = new Map<string, Promise<Identity | undefined>>();

  constructor({ service, users, clock, checks, attempts }: BasicAuthOptions) {
    this.#service = service;
    this.#users = new Map(
      Object.entries(users).map(([user, hash]) => [user.normalize("NFC"), parsePasswordHash(hash)]),
    );
    this.#hashes = [...this.#users.values()];
    this.#clock = clock;
    this.#checks = checks;
    this.#attempts = attempts;
  }

  /** @throws {ClessError} `too_many_attempts`, `overloaded` */
  check(asked: GateRequest): Outcome | Promise<Outcome> {
    const text = asked.request.headers.get("authorization");
    if (text === null) return this.#refusal(asked, "The service needs a user and a password");
    const { client } = asked.head;
    if (/^basic\b/i.test(text)) this.#refuseLockedOut(client);
    return this.#recent.get(text) ?? this.#look(asked, text, client);
  }

  async #look(asked: GateRequest, text: string, client: string): Promise<Outcome> {
    const credentials = readCredentials(text);
    if (credentials === undefined) return this.#refusal(asked, "The service needs a user and a password");
    const tag = await this.#checks.tagOf(text);
    const known = this.#right.get(tag);
    if (known !== undefined) return this.#keep(text, known);
    if (this.#wrong.has(tag)) return this.#refusal(asked);
    let pending = this.#pending.get(tag);
    if (pending === undefined) {
      pending = this.#verify(tag, credentials, client).finally(() => this.#pending.delete(tag));
      this.#pending.set(tag, pending);
    }
    const identity = await pending;
    return identity === undefined ? this.#refusal(asked) : this.#keep(text, { identity });
  }

  async #verify(tag: string, { user, password }: Credentials, client: string): Promise<Identity | undefined> {
    const known = this.#users.get(user);
    // For an unknown user, a password is checked all the same, so that the time taken does not reveal who is known.
    const substitute = await this.#hashFor(user);
    const hash = known ?? substitute;
    this.#refuseLockedOut(client); // perhaps only since the request came
    const isRight = await this.#checks.check(password, hash, networkOf(client)) && known !== undefined;
    if (!isRight) {
      this.#attempts.wrong(client);
      if (this.#attempts.secondsLeft(client) !== undefined) {
        log.warning("too many wrong passwords", { service: this.#service, client });
      }
      this.#wrong.add(tag);
      if (this.#wrong.size > MAX_REMEMBERED) this.#wrong.delete(this.#wrong.values().next().value!);
      return undefined;
    }
    const identity = { user };
    this.#right.set(tag, { identity });
    if (this.#right.size > MAX_REMEMBERED) this.#right.delete(this.#right.keys().next().value!);
    return identity;
  }

  /** @throws {ClessError} `too_many_attempts` if too many wrong passwords came from an address. */
  #refuseLockedOut(client: string): void {
    const secondsLeft = this.#attempts.secondsLeft(client);
    if (secondsLeft === undefined) return;
    const message = `Too many wrong passwords came from this address; try again in ${secondsLeft} s`;
    throw new ClessError("too_many_attempts", message, { retryAfterS: secondsLeft });
  }

  /**
   * The hash of some known user, to be checked for an unknown one. An unknown user always gets the same hash: hashes with
   * other parameters take another time, and a time that changes would reveal that the user is unknown.
   */
  async #hashFor(user: string): Promise<PasswordHash> {
    const tag = await this.#checks.tagOf(user);
    return this.#hashes[(tag.charCodeAt(0) * 128 + tag.charCodeAt(1)) % this.#hashes.length]!;
  }

  #keep(text: string, outcome: Outcome): Outcome {
    if (this.#recent.size === 0) this.#clock.after(RECENT_MS, () => this.#recent.clear());
    if (this.#recent.size < MAX_REMEMBERED) this.#recent.set(text, outcome);
    return outcome;
  }

  #refusal({ request }: GateRequest, message = "The user or the password is wrong"): Outcome {
    const challenge = `Basic realm="${this.#service}", charset="UTF-8"`;
    return { response: problem(new ClessError("unauthorized", message, { challenge }), request) };
  }
}

interface Credentials {
  /** In Unicode's form NFC, as the password: RFC 7617, section 2.1. */
  readonly user: string;
  readonly password: string;
}

/** Reads the value of `Authorization`; `undefined` if it is not exactly one user and password. */
function readCredentials(text: string): Credentials | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const [, token] = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(text) ?? [];
  if (token === undefined) return undefined;
  let pair: string;
  try {
    pair = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.fromBase64(token));
  } catch {
    return undefined;
  }
  const colon = pair.indexOf(":");
  if (colon === -1) return undefined;
  return { user: pair.slice(0, colon).normalize("NFC"), password: pair.slice(colon + 1) };
}
