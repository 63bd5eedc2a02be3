/** Waits until something holds of what changes by events, as a pool does. */
export class Conditions {
  readonly #awaited = new Set<{ readonly holds: () => boolean; readonly resolve: () => void }>();

  /** Resolves when a condition holds: at once, or at a later {@linkcode check}. */
  until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise((resolve) => this.#awaited.add({ holds, resolve }));
  }

  /** Call it after each change. */
  check(): void {
    for (const awaited of this.#awaited) {
      if (!awaited.holds()) continue;
      this.#awaited.delete(awaited);
      awaited.resolve();
    }
  }
}
