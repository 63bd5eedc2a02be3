import type { Clock } from "../../base/clock.ts";
import type { Provider } from "./provider.ts";

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
