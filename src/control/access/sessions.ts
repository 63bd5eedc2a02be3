import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import type { SessionRecord } from "../records.ts";
import type { Store } from "../store.ts";
import { hashOf, type Holder, type Tokens } from "./tokens.ts";

const log = logger("sessions");

/** A session ends this long after it has begun, whatever happens in it. */
export const SESSION_MS = 7 * 86_400_000;
/** A session that is not used for this long ends. */
const IDLE_MS = 12 * 3_600_000;
/** At most this many sessions of a token; the one that has not been used for the longest time ends. */
const MAX_OF_TOKEN = 20;
const SECRET_BYTES = 32;
/** The use of a session is stored when this much time has passed since it was stored last. */
const STORE_USE_MS = 10 * 60_000;

interface Session {
  /** As it was stored last. */
  stored: SessionRecord;
  /** Wall-clock time, ms since 1970. */
  usedAt: number;
}

/** A session that is valid now, with the holder of its token. */
export interface FoundSession {
  readonly holder: Holder;
  readonly origin: string;
}

/**
 * The sessions of browsers. A session has exactly the rights of its token. It ends with the token: when that is revoked,
 * replaced or expires. Sessions are kept in memory, so that a request does not need the store, and in the store, so that
 * they outlive a restart. If the store cannot be written, a session begins all the same, and ends with the process.
 */
export class Sessions {
  readonly #store: Pick<Store, "sessions" | "putSession" | "deleteSession">;
  readonly #tokens: Pick<Tokens, "holderOf">;
  readonly #now: () => number;
  /** By id. */
  readonly #sessions: Map<string, Session>;

  /** @param now Wall-clock time, ms since 1970. */
  constructor(
    store: Pick<Store, "sessions" | "putSession" | "deleteSession">,
    tokens: Pick<Tokens, "holderOf">,
    now: () => number = Date.now,
  ) {
    this.#store = store;
    this.#tokens = tokens;
    this.#now = now;
    this.#sessions = new Map(store.sessions().map((stored) => [stored.id, { stored, usedAt: stored.usedAt }]));
  }

  /** How many there are, with those that have ended unnoticed. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Begins a session, and returns its secret, which is kept nowhere. @param token The text of a valid token. */
  async begin(token: string, origin: string): Promise<string> {
    const secret = crypto.getRandomValues(new Uint8Array(SECRET_BYTES))
      .toBase64({ alphabet: "base64url", omitPadding: true });
    const [id, hash] = [await idOf(secret), await hashOf(token)];
    const now = this.#now();
    this.#makeRoom(hash, now);
    const stored = { id, token: hash, origin, createdAt: now, usedAt: now };
    this.#sessions.set(id, { stored, usedAt: now });
    this.#keep(stored);
    return secret;
  }

  /** The session with this secret; `undefined` if there is none, or if it has ended. It counts as used now. */
  async find(secret: string): Promise<FoundSession | undefined> {
    const id = await idOf(secret);
    const session = this.#sessions.get(id);
    if (session === undefined) return undefined;
    const holder = hasEnded(session, this.#now()) ? undefined : await this.#tokens.holderOf(session.stored.token);
    if (this.#sessions.get(id) !== session) return undefined; // it has ended in the meantime
    if (holder === undefined) {
      this.#forget(id);
      return undefined;
    }
    const usedAt = session.usedAt = this.#now();
    if (usedAt - session.stored.usedAt >= STORE_USE_MS) {
      session.stored = { ...session.stored, usedAt };
      this.#keep(session.stored);
    }
    return { holder, origin: session.stored.origin };
  }

  /**
   * Ends a session, if there is one with this secret.
   *
   * @throws {StoreUnavailable} Then it has ended, but after a restart it would be there again.
   */
  async end(secret: string): Promise<void> {
    const id = await idOf(secret);
    if (this.#sessions.delete(id)) this.#store.deleteSession(id);
  }

  /** Removes sessions that have ended, and the oldest ones of a token that has too many. */
  #makeRoom(token: Uint8Array, now: number): void {
    for (const [id, session] of this.#sessions) {
      if (hasEnded(session, now)) this.#forget(id);
    }
    const name = token.toHex();
    const same = [...this.#sessions.values()].filter(({ stored }) => stored.token.toHex() === name);
    const excess = same.sort((a, b) => b.usedAt - a.usedAt).slice(MAX_OF_TOKEN - 1);
    for (const { stored } of excess) this.#forget(stored.id);
  }

  #keep(session: SessionRecord): void {
    try {
      this.#store.putSession(session);
    } catch (error) {
      log.warning("a session cannot be stored; it ends with this process", { reason: messageOf(error) });
    }
  }

  /** Removes a session that would not be found any more in any case. */
  #forget(id: string): void {
    this.#sessions.delete(id);
    try {
      this.#store.deleteSession(id);
    } catch (error) {
      log.warning("a session that has ended cannot be removed from the store", { reason: messageOf(error) });
    }
  }
}

function hasEnded({ stored, usedAt }: Session, now: number): boolean {
  return now - stored.createdAt >= SESSION_MS || now - usedAt >= IDLE_MS;
}

async function idOf(secret: string): Promise<string> {
  return (await hashOf(secret)).toHex();
}
