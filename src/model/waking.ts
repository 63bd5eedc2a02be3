/** What a browser gets while a service starts: nothing until the app answers, or a page that says so. */
export type Loading = "hold" | "page";

/** Whose requests do not wake a service. */
export interface WakeExceptions {
  /** What stands somewhere in `User-Agent`; capital and small letters are alike. */
  readonly userAgents: readonly string[];
  /** Each with all that is below it, but `/`, which is the root alone. */
  readonly paths: readonly string[];
}

/** Who wakes a service: everybody but some. */
export interface WakeSettings {
  readonly except: WakeExceptions;
}

/** Everybody does. */
export const EVERYBODY_WAKES: WakeSettings = Object.freeze({ except: { userAgents: [], paths: [] } });
