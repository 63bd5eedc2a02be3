/** What can stand in a {@linkcode PlacedList}: in one at a time. */
export interface Placed {
  /** Where it stands; the list's own. */
  place: number;
}

/** Items in no order, of which any can be taken out at once: the last takes its place. A Set would cost several times as much. */
export class PlacedList<T extends Placed> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** All items as they stand now. */
  list(): T[] {
    return [...this.#items];
  }

  /** Adds one that stands in no list. */
  add(item: T): void {
    item.place = this.#items.length;
    this.#items.push(item);
  }

  /** Takes one out; whether it was there. */
  delete(item: T): boolean {
    if (this.#items[item.place] !== item) return false;
    const last = this.#items.pop()!;
    if (last !== item) {
      this.#items[item.place] = last;
      last.place = item.place;
    }
    return true;
  }
}
