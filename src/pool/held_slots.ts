/** If others wait for a slot, a process with waiting requests of its own uses it for this long before it goes on, ms. */
const TURN_MS = 50;

/** Who uses the slots of an instance in this process. */
export interface SlotUser {
  /** How many requests it has on the instance. */
  readonly requests: number;
  /** How many requests wait. */
  readonly waiting: number;
  /** Whether it uses the instance no more. */
  readonly isGone: boolean;
  /** Called when slots have come. */
  came(): void;
}

/** What a process has got and given back of an instance's slots so far. Both numbers only grow. */
export interface SlotCounts {
  /** Another one for each process, and for each time that it finds the instance. */
  readonly key: string;
  readonly received: number;
  readonly returned: number;
}

/** What the home of an instance has given to a process so far, and wants back. Both numbers only grow. */
export interface SlotGrant {
  /** Which ledger of the home's it is: that of a later home has a higher id. */
  readonly ledgerId: number;
  readonly granted: number;
  /** So many must have been given back once they are free. */
  readonly due?: number;
}

/**
 * The slots of an instance that this process holds, of those that several cless use. The home of the instance has given
 * them. No message adds or subtracts: each says how many it has been in all. So it does no harm if one is lost, comes
 * twice or is overtaken: the process never holds more than its home counts. Credit-based flow control works like this
 * (H. T. Kung and Robert Morris, "Credit-Based Flow Control for ATM Networks", IEEE Network 9(2), 1995).
 */
export class HeldSlots {
  /** See {@linkcode SlotCounts.key}. */
  readonly key: string = crypto.randomUUID();
  /** The instance. */
  readonly id: string;
  /** How many slots it has. */
  readonly concurrency: number;
  readonly user: SlotUser;
  #ledgerId = 0;
  #received = 0;
  #returned = 0;
  #due = 0;
  /** When the last one came, clock ms. */
  #cameAt = -Infinity;

  constructor(id: string, concurrency: number, user: SlotUser) {
    this.id = id;
    this.concurrency = concurrency;
    this.user = user;
  }

  /** How many it holds. */
  get count(): number {
    return this.#received - this.#returned;
  }

  get counts(): SlotCounts {
    return { key: this.key, received: this.#received, returned: this.#returned };
  }

  /** The ledger of the home that it belongs to; 0 before the first one. */
  get ledgerId(): number {
    return this.#ledgerId;
  }

  /** Whether one must be given back once it is free. */
  get isDue(): boolean {
    return this.#due > this.#returned;
  }

  /**
   * Belongs to a home's ledger from now on. What an earlier home has given, and has not come yet, is void. Returns false if
   * it belongs to that of a later home already.
   */
  bind(ledgerId: number): boolean {
    if (ledgerId < this.#ledgerId) return false;
    if (ledgerId > this.#ledgerId && this.#due < Infinity) this.#due = this.#returned;
    this.#ledgerId = ledgerId;
    return true;
  }

  /** Takes what the home has given. Returns whether that is more than before. @param now Clock ms. */
  take({ due = 0, granted, ledgerId }: SlotGrant, now: number): boolean {
    if (!this.bind(ledgerId)) return false;
    if (due > this.#due) this.#due = due;
    if (granted <= this.#received) return false;
    this.#received = granted;
    this.#cameAt = now;
    return true;
  }

  /** Gives all back from now on, each once it is free and no request waits for it. */
  leave(): void {
    this.#due = Infinity;
  }

  /**
   * Gives back those that are free and due, and of the others that are free as many as are wanted. Returns whether there
   * were any.
   *
   * @param now Clock ms.
   */
  giveBack(now: number, wanted = 0): boolean {
    const { requests, waiting } = this.user;
    const free = Math.max(0, this.count - requests);
    const isOver = waiting === 0 || now >= this.#cameAt + TURN_MS;
    const due = isOver ? Math.max(0, this.#due - this.#returned) : 0;
    const given = Math.min(free, Math.max(wanted, due));
    this.#returned += given;
    return given > 0;
  }
}
