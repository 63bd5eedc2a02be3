import type { ImageIndex } from "../../src/routing/convention.ts";

/** Local images that a test makes and removes. */
export class FakeImages implements ImageIndex {
  readonly #ids = new Map<string, string>();
  readonly #callbacks: (() => void)[] = [];
  /** What {@linkcode settled} waits for. */
  settling: Promise<void> = Promise.resolve();
  /** How often somebody wanted to be sure. */
  asked = 0;

  find(name: string): string | undefined {
    return this.#ids.get(name);
  }

  settled(): Promise<void> {
    this.asked++;
    return this.settling;
  }

  onChange(callback: () => void): void {
    this.#callbacks.push(callback);
  }

  /** Builds or rebuilds an image. */
  build(name: string, id: string): void {
    this.#ids.set(name, id);
    for (const callback of this.#callbacks) callback();
  }

  /** Removes an image. */
  remove(name: string): void {
    this.#ids.delete(name);
    for (const callback of this.#callbacks) callback();
  }
}
