import type { SignInAddresses } from "./addresses.ts";
import type { Providers } from "./providers.ts";
import type { Sealer } from "./sealer.ts";

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
