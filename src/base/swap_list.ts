/** An item of a {@linkcode SwapList}; it can be in one list at a time. */
export interface Swappable {
  /** Its index in the list; only the list changes it. */
  place: number;
}

/** An unordered list that removes in constant time: the last item fills the gap. A Set costs several times as much. */
export class SwapList<T extends Swappable> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** A copy of the items. */
  list(): T[] {
    return [...this.#items];
  }

  add(item: T): void {
    item.place = this.#items.length;
    this.#items.push(item);
  }

  /** Removes an item; returns whether it was there. */
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
