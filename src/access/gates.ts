import { type AccessSettings, isOpen, isUnlimited, type RequestLimits } from "../model/access.ts";
import type { Authenticator } from "./authenticator.ts";
import { Gate } from "./gate.ts";

/** A service as far as its gate is concerned. */
export interface GatedService {
  readonly name: string;
  readonly access: AccessSettings;
  readonly limits: RequestLimits;
  readonly maintenance: string;
}

/** Makes the gates of services, and has what they share: it outlives changes of the services. */
export class Gates {
  /** The gate of a service; `undefined` if everything may pass. */
  of(service: GatedService): Gate | undefined {
    const { access, limits, maintenance } = service;
    if (isOpen(access) && isUnlimited(limits) && maintenance === "") return undefined;
    return new Gate({ access, authenticators: this.#authenticators(service) });
  }

  #authenticators(_service: GatedService): Authenticator[] {
    return [];
  }
}
