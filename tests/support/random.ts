/** Chance that comes out the same for the same seed. */
export class Random {
  #state: number;

  /** @param seed Any numbers, of which every one counts. */
  constructor(...seed: number[]) {
    this.#state = seed.reduce((state, part) => mix(state ^ mix(part | 0) ^ Math.floor(part / 2 ** 32)), 0x9e3779b9);
  }

  /** A whole number from 0 up to `limit`, which is not among them. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    return Math.floor((mix(this.#state) >>> 0) / 2 ** 32 * limit);
  }

  /** A whole number between two, which are among them. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** Whether something of that probability happens. */
  chance(probability: number): boolean {
    return this.below(1e6) < probability * 1e6;
  }

  /** One of several. */
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  /** Text of characters from a set. */
  text(length: number, characters: string): string {
    let text = "";
    for (let n = 0; n < length; n++) text += characters[this.below(characters.length)];
    return text;
  }

  /** Bytes of no pattern. */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    let state = this.below(2 ** 32);
    for (let at = 0; at < length; at++) {
      state = Math.imul(state, 1664525) + 1013904223 | 0;
      bytes[at] = state >>> 24;
    }
    return bytes;
  }

  /** Places below or at a length where something is cut, in order. */
  cuts(count: number, length: number): number[] {
    return Array.from({ length: count }, () => this.between(0, length)).sort((a, b) => a - b);
  }
}

function mix(state: number): number {
  state = Math.imul(state ^ state >>> 16, 0x85ebca6b);
  state = Math.imul(state ^ state >>> 13, 0xc2b2ae35);
  return state ^ state >>> 16;
}
