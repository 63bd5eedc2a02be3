import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import type { HostKind } from "../../routing/hosts.ts";
import type { CertificateName } from "../records.ts";
import type { Store } from "../store.ts";
import { countDomains, type DomainCount, domainOf, isRemembered, weeklyRefusal } from "./limits.ts";

const log = logger("certificates");
/**
 * All domains together get this many new names at once, and one more in each {@linkcode REFILL_MS}. In 3 hours that is
 * 240. Let's Encrypt takes 300 orders of an account in this time, and the rest is for renewals:
 * https://letsencrypt.org/docs/rate-limits/#new-orders-per-account
 */
const BURST = 60;
const REFILL_MS = 60_000;
/** At most this many names are remembered, of about 300 bytes. More than the bucket gives in 7 days. */
const MAX_NAMES = 20_000;
const MAX_REFUSED = 20;
/** That a name was asked for again is stored at most this often. */
const STORE_AGAIN_MS = 86_400_000;

const UNSERVED =
  "it is no domain of a service, and not NAME.DOMAIN of a service, tag or local image, where DOMAIN is " +
  "that of --domain or --public-url if one was given";

/** A name that got no certificate. */
export interface RefusedName {
  readonly name: string;
  readonly reason: string;
  /** Wall-clock time, ms since 1970. */
  readonly at: number;
}

interface Options {
  readonly store: Pick<Store, "certificateNames" | "putCertificateName">;
  readonly clock: Clock;
  /** Wall-clock time, ms since 1970. */
  readonly now: () => number;
}

/**
 * The names that certificates may be made for. A TLS proxy asks for each before it has one made, since authorities give
 * a domain only so many: see {@linkcode weeklyRefusal}. What was granted is kept in memory, and in the store so that a
 * restart does not forget it.
 */
export class CertificateNames {
  readonly #options: Options;
  /** By name; those that were asked for the longest ago come first. */
  readonly #granted: Map<string, CertificateName>;
  #left = BURST;
  #filledAt: number;
  #refused: (RefusedName & { readonly isServed: boolean })[] = [];

  /** @throws {StoreUnavailable} */
  constructor(options: Options) {
    const { clock, now, store } = options;
    this.#options = options;
    const remembered = store.certificateNames().filter((name) => isRemembered(name, now()));
    this.#granted = new Map(remembered.map((name) => [name.name, name]));
    this.#filledAt = clock.now();
  }

  /** How many names are remembered. */
  get size(): number {
    return this.#granted.size;
  }

  /**
   * Grants a name, or returns the reason why not. A name that was granted before is granted again.
   *
   * @param name A hostname in lower case.
   * @param kind What it leads to; `undefined` if cless does not serve it.
   * @throws {StoreUnavailable} If the name is new and cannot be stored. Then it is not granted: after a restart it
   * would be granted in addition to others, and the authority would refuse the whole domain for a week.
   */
  grant(name: string, kind: HostKind | undefined): string | undefined {
    const now = this.#options.now();
    if (kind === undefined) return this.#refuse(name, UNSERVED, now, false);
    const known = this.#granted.get(name);
    if (known !== undefined && isRemembered(known, now)) {
      this.#askedAgain(known, now);
      return undefined;
    }
    const asked: CertificateName = { name, domain: domainOf(name), kind, grantedAt: now, askedAt: now };
    const reason = weeklyRefusal(this.#granted.values(), asked, now) ?? this.#take();
    if (reason !== undefined) return this.#refuse(name, reason, now);
    try {
      this.#put(asked, now);
    } catch (error) {
      this.#refuse(name, `it cannot be stored: ${messageOf(error)}`, now);
      throw error;
    }
    log.info("a certificate may be made", { name, kind });
    return undefined;
  }

  /** How many new names each domain has had in the last 7 days; domains without any are missing. */
  counts(): DomainCount[] {
    return countDomains(this.#granted.values(), this.#options.now());
  }

  /** The last names that were refused, the latest first; each once. */
  refused(): RefusedName[] {
    return this.#refused.map(({ name, reason, at }) => ({ name, reason, at })).reverse();
  }

  /** Stores a new name, and forgets others that are too old or too many. @throws {StoreUnavailable} */
  #put(asked: CertificateName, now: number): void {
    const forgotten: string[] = [];
    for (const [name, record] of this.#granted) {
      if (isRemembered(record, now) && this.#granted.size - forgotten.length < MAX_NAMES) break;
      forgotten.push(name);
    }
    this.#options.store.putCertificateName(asked, forgotten);
    for (const name of forgotten) this.#granted.delete(name);
    this.#granted.delete(asked.name);
    this.#granted.set(asked.name, asked);
  }

  #askedAgain(known: CertificateName, now: number): void {
    this.#granted.delete(known.name); // so that it moves to the end
    if (Math.abs(now - known.askedAt) < STORE_AGAIN_MS) {
      this.#granted.set(known.name, known);
      return;
    }
    const asked = { ...known, askedAt: now };
    this.#granted.set(known.name, asked);
    try {
      this.#options.store.putCertificateName(asked, []);
    } catch (error) {
      log.warning("cannot store that a certificate was renewed", { name: known.name, reason: messageOf(error) });
    }
  }

  /** Takes a token of the bucket that limits how fast names are granted; returns the reason if there is none. */
  #take(): string | undefined {
    const filled = Math.floor((this.#options.clock.now() - this.#filledAt) / REFILL_MS);
    this.#filledAt += filled * REFILL_MS;
    this.#left = Math.min(BURST, this.#left + filled);
    if (this.#left === 0) return "too many names are new; one more is granted each minute";
    this.#left--;
    return undefined;
  }

  /** Remembers a refusal. Names that anybody can make up do not displace those that cless serves. */
  #refuse(name: string, reason: string, at: number, isServed = true): string {
    const others = this.#refused.filter((refused) => refused.name !== name);
    if (others.length >= MAX_REFUSED) {
      const unserved = others.findIndex((refused) => !refused.isServed);
      if (unserved === -1 && !isServed) return reason;
      others.splice(Math.max(0, unserved), 1);
    }
    this.#refused = [...others, { name, reason, at, isServed }];
    return reason;
  }
}
