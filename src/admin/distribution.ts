/** How many values there were up to each of several bounds, and their sum: a histogram of Prometheus. */
export class Distribution {
  /** Ascending. */
  readonly bounds: readonly number[];
  /** How many values exceeded the bound before, but not this one. The last entry is for those that exceeded them all. */
  readonly counts: number[];
  /** The sum of all values. */
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Array(bounds.length + 1).fill(0);
  }

  /** Adds a value. */
  observe(value: number): void {
    const { bounds } = this;
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++;
    this.counts[bucket]!++;
    this.sum += value;
  }
}
