import { Attempts } from "../base/attempts.ts";
import type { Clock } from "../base/clock.ts";
import { type AccessSettings, isOpen, isUnlimited, type RequestLimits } from "../model/access.ts";
import type { Share } from "../model/share.ts";
import type { Authenticator } from "./authenticator.ts";
import { BasicAuth } from "./basic_auth.ts";
import { ForwardAuthenticator } from "./forward_auth.ts";
import { Gate } from "./gate.ts";
import { OidcAuthenticator } from "./oidc/authenticator.ts";
import type { SignIn } from "./oidc/sign_in.ts";
import { PasswordChecks } from "./password_checks.ts";
import { RateLimiter } from "./rate_limiter.ts";

/** A service as far as its gate is concerned. */
export interface GatedService {
  readonly name: string;
  readonly access: AccessSettings;
  readonly limits: RequestLimits;
  readonly maintenance: string;
}

/** What {@linkcode Gates} work with. */
export interface GatesOptions {
  readonly clock: Pick<Clock, "now" | "after">;
  readonly signIn: SignIn;
  /** The part of this process in the requests; all if missing. */
  readonly share?: { readonly now: Share } | undefined;
}

/** The gates of one service. */
export interface ServiceGates {
  /** Stands before the service; `undefined` if everything may pass. */
  readonly own: Gate | undefined;
  /** Stands before its tagged revisions. They answer during maintenance too. */
  readonly ofTags: Gate | undefined;
}

const NONE: ServiceGates = { own: undefined, ofTags: undefined };

/** What is kept of a service while its settings stay the same. */
interface Kept {
  /** `access` as text, to compare it. */
  readonly accessText: string;
  /** All settings that concern the gates, as text. */
  readonly text: string;
  readonly authenticators: readonly Authenticator[];
  readonly gates: ServiceGates;
}

/** Makes the gates of services, and has what they share: it outlives changes of the services. */
export class Gates {
  readonly #options: GatesOptions;
  readonly #attempts: Attempts;
  readonly #checks = new PasswordChecks();
  readonly #rates: RateLimiter;
  /** By service. */
  readonly #kept = new Map<string, Kept>();

  constructor(options: GatesOptions) {
    const { clock, share } = this.#options = options;
    this.#attempts = new Attempts(clock);
    this.#rates = new RateLimiter(clock, share);
  }

  /** The gates of a service. They are the same objects as before if nothing has changed that concerns them. */
  of(service: GatedService): ServiceGates {
    const { access, limits, maintenance, name } = service;
    if (isOpen(access) && isUnlimited(limits) && maintenance === "") {
      this.#kept.delete(name);
      return NONE;
    }
    const accessText = JSON.stringify(access);
    const text = JSON.stringify([access, limits, maintenance]);
    const before = this.#kept.get(name);
    if (before?.text === text) return before.gates;
    const authenticators = before?.accessText === accessText ? before.authenticators : this.#authenticators(service);
    const options = { service: name, access, limits, authenticators, rates: this.#rates };
    const own = new Gate({ ...options, maintenance });
    const ofTags = maintenance === ""
      ? own
      : isOpen(access) && isUnlimited(limits)
      ? undefined
      : new Gate({ ...options, maintenance: "" });
    const gates = { own, ofTags };
    this.#kept.set(name, { accessText, text, authenticators, gates });
    return gates;
  }

  /** Forgets a service that has been deleted. */
  forget(name: string): void {
    this.#kept.delete(name);
  }

  /** The ways to prove who a client is. Those without a dialog come first. */
  #authenticators({ access: { basic, forward, oidc }, name }: GatedService): Authenticator[] {
    const { clock, signIn } = this.#options;
    const [checks, attempts] = [this.#checks, this.#attempts];
    const hasUsers = Object.keys(basic).length > 0;
    const isAlone = !hasUsers && forward === undefined;
    return [
      ...hasUsers ? [new BasicAuth({ service: name, users: basic, clock, checks, attempts })] : [],
      ...forward === undefined ? [] : [new ForwardAuthenticator({ service: name, settings: forward, clock })],
      ...oidc === undefined ? [] : [new OidcAuthenticator(name, oidc, signIn, isAlone)],
    ];
  }
}
