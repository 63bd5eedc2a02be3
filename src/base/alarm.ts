import type { Clock } from "./clock.ts";

/** Rings once, at the earliest of the times that it was set to since it last rang. */
export class Alarm {
  readonly #clock: Clock;
  #at = Infinity;
  #cancel: () => void = () => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param at Clock ms; `Infinity` for not at all, whatever it was set to before. */
  set(at: number, ring: () => void): void {
    if (at >= this.#at && at !== Infinity) return;
    this.#cancel();
    this.#at = at;
    if (at === Infinity) return;
    this.#cancel = this.#clock.after(Math.ceil(at - this.#clock.now()), () => {
      this.#at = Infinity;
      ring();
    });
  }
}
