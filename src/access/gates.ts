import { type AccessSettings, isOpen, isUnlimited, type RequestLimits } from "../model/access.ts";
import type { Clock } from "../base/clock.ts";
import type { Authenticator } from "./authenticator.ts";
import { ForwardAuthenticator } from "./forward_auth.ts";
import { Gate } from "./gate.ts";

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
}

/** Makes the gates of services, and has what they share: it outlives changes of the services. */
export class Gates {
  readonly #options: GatesOptions;

  constructor(options: GatesOptions) {
    this.#options = options;
  }

  /** The gate of a service; `undefined` if everything may pass. */
  of(service: GatedService): Gate | undefined {
    const { access, limits, maintenance } = service;
    if (isOpen(access) && isUnlimited(limits) && maintenance === "") return undefined;
    return new Gate({ access, authenticators: this.#authenticators(service) });
  }

  #authenticators({ access: { forward }, name }: GatedService): Authenticator[] {
    const { clock } = this.#options;
    return [
      ...forward === undefined ? [] : [new ForwardAuthenticator({ service: name, settings: forward, clock })],
    ];
  }
}
