import { hashOf, type Holder, type Tokens } from "./tokens.ts";

/** A session ends this long after it has begun, whatever happens in it. */
export const SESSION_MS = 7 * 86_400_000;
/** A session that is not used for this long ends. */
const IDLE_MS = 12 * 3_600_000;
/** At most this many sessions of a token; the one that has not been used for the longest time ends. */
const MAX_OF_TOKEN = 20;
const SECRET_BYTES = 32;

/** A session: a browser in which somebody has signed in with a token. */
export interface SessionRecord {
  /** The hash of its secret, in hexadecimal: whoever reads it cannot use the session. */
  readonly id: string;
  /** The hash of its token. */
  readonly token: Uint8Array;
  /** Of the page that it is for, such as `https://admin.example.org`. */
  readonly origin: string;
  /** Wall-clock time, ms since 1970. */
  readonly createdAt: number;
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
 * replaced or expires.
 */
export class Sessions {
  readonly #tokens: Pick<Tokens, "holderOf">;
  readonly #now: () => number;
  /** By id. */
  readonly #sessions = new Map<string, SessionRecord>();

  /** @param now Wall-clock time, ms since 1970. */
  constructor(tokens: Pick<Tokens, "holderOf">, now: () => number = Date.now) {
    this.#tokens = tokens;
    this.#now = now;
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
    this.#sessions.set(id, { id, token: hash, origin, createdAt: now, usedAt: now });
    return secret;
  }

  /** The session with this secret; `undefined` if there is none, or if it has ended. It counts as used now. */
  async find(secret: string): Promise<FoundSession | undefined> {
    const session = this.#sessions.get(await idOf(secret));
    if (session === undefined) return undefined;
    const holder = hasEnded(session, this.#now()) ? undefined : await this.#tokens.holderOf(session.token);
    // It may have ended in the meantime.
    if (!this.#sessions.has(session.id)) return undefined;
    if (holder === undefined) {
      this.#sessions.delete(session.id);
      return undefined;
    }
    session.usedAt = this.#now();
    return { holder, origin: session.origin };
  }

  /** Ends a session, if there is one with this secret. */
  async end(secret: string): Promise<void> {
    this.#sessions.delete(await idOf(secret));
  }

  /** Removes sessions that have ended, and the oldest ones of a token that has too many. */
  #makeRoom(token: Uint8Array, now: number): void {
    for (const session of this.#sessions.values()) {
      if (hasEnded(session, now)) this.#sessions.delete(session.id);
    }
    const name = token.toHex();
    const same = [...this.#sessions.values()].filter((session) => session.token.toHex() === name);
    const excess = same.sort((a, b) => b.usedAt - a.usedAt).slice(MAX_OF_TOKEN - 1);
    for (const { id } of excess) this.#sessions.delete(id);
  }
}

function hasEnded({ createdAt, usedAt }: SessionRecord, now: number): boolean {
  return now - createdAt >= SESSION_MS || now - usedAt >= IDLE_MS;
}

async function idOf(secret: string): Promise<string> {
  return (await hashOf(secret)).toHex();
}
