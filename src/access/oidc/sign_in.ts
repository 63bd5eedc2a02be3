import type { Clock } from "../../base/clock.ts";
import type { SignInAddresses } from "./addresses.ts";
import type { Provider } from "./provider.ts";
import type { Sealer } from "./sealer.ts";

/** The providers that services use, each with what it says of itself. They outlive changes of the services. */
export class Providers {
  readonly #clock: Pick<Clock, "now" | "after">;
  readonly #providers = new Map<string, Promise<Provider>>();

  constructor(clock: Pick<Clock, "now" | "after">) {
    this.#clock = clock;
  }

  /** The provider of an issuer. */
  of(issuer: string): Promise<Provider> {
    return this.#providers.getOrInsertComputed(issuer, () => this.#make(issuer));
  }

  async #make(issuer: string): Promise<Provider> {
    const { Provider } = await import("./provider.ts"); // loads the library, which few services need
    return new Provider(issuer, this.#clock);
  }
}

/** What the sign-ins of all services share. */
export interface SignIn {
  readonly sealer: Sealer;
  readonly providers: Providers;
  readonly addresses: SignInAddresses;
  readonly secrets: {
    /** The present value of a secret. @throws {Error} If there is none, or it cannot be read. */
    value(name: string): Promise<string>;
  };
  /** Wall-clock time, ms since 1970. */
  readonly now: () => number;
}

/** What the browser gets back from the provider, sealed: which sign-in it was, and where it goes on. */
export interface State {
  readonly id: string;
  readonly service: string;
  readonly origin: string;
  /** Wall-clock time, ms since 1970. */
  readonly endsMs: number;
}

/** What a browser has brought back from the provider; `undefined` if it is too old, or not from this cless. */
export async function openState(
  { now, sealer }: Pick<SignIn, "now" | "sealer">,
  text: string,
): Promise<State | undefined> {
  const state = await sealer.open("state", [], text) as State | undefined;
  return state !== undefined && state.endsMs > now() ? state : undefined;
}
