/** How many starts are remembered. */
const MOST = 9;

/** How long the last cold starts have taken. */
export class ColdStarts {
  readonly #last: number[] = [];

  /** Takes note of one. @param ms From the start to the first good answer. */
  add(ms: number): void {
    this.#last.push(ms);
    if (this.#last.length > MOST) this.#last.shift();
  }

  /** How long they take as a rule, ms: half of them took less; `undefined` where there was none. */
  get usual(): number | undefined {
    const sorted = this.#last.toSorted((a, b) => a - b);
    const middle = sorted.length / 2;
    const [below, above] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
    return below === undefined || above === undefined ? undefined : (below + above) / 2;
  }
}
