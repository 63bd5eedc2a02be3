import type { SlotCounts, SlotGrant } from "../../pool/held_slots.ts";

/** What a process says of its slots on an instance. */
export interface SlotReport extends SlotCounts {
  /** The ledger of the home that it belongs to; 0 before the first one. */
  readonly ledgerId: number;
  /** How many more it wants. */
  readonly wants: number;
}

/** What the home counts of one process. */
export interface SlotAccount {
  readonly key: string;
  /** The node of the process. */
  readonly node: string;
  granted: number;
  returned: number;
  /** How many more it wants. */
  wants: number;
  /** See {@linkcode SlotGrant.due}. */
  due: number;
}

/** That a process is to give back what it can. */
export interface SlotRecall {
  readonly account: SlotAccount;
  /** How many the others want. */
  readonly wanted: number;
}

/**
 * The slots of one instance, as its home counts them: each is free, or given to a process. Those who have the fewest get
 * the next ones. A process that has none gets one from the next request that ends anywhere, so that none waits for ever.
 */
export class SlotLedger {
  /** Higher than that of any earlier home. */
  readonly id: number;
  readonly concurrency: number;
  /** Who got a slot last is the last one. */
  readonly #accounts = new Map<string, SlotAccount>();
  /** The nodes whose processes may hold slots that are not counted here yet. Until they have said so, none is given. */
  readonly #unheard: Set<string>;

  /** @param unheard The nodes of processes that may have got slots from an earlier home. */
  constructor(id: number, concurrency: number, unheard: readonly string[] = []) {
    this.id = id;
    this.concurrency = concurrency;
    this.#unheard = new Set(unheard);
  }

  /** How many slots are nobody's. */
  get free(): number {
    let free = this.concurrency;
    for (const account of this.#accounts.values()) free -= heldBy(account);
    return Math.max(0, free);
  }

  /** Those of some nodes whose processes must be heard first. */
  unheard(live: readonly string[]): string[] {
    return live.filter((node) => this.#unheard.has(node));
  }

  /** Notes that all processes of a node have said what they hold. */
  heard(node: string): void {
    this.#unheard.delete(node);
  }

  /**
   * Whether a process must belong to this ledger first, and then say again what it holds: what another home has given it
   * may come until then. What it has given back counts all the same: see {@linkcode noteReturned}.
   */
  isStrange({ ledgerId, received }: SlotReport): boolean {
    return ledgerId !== this.id && (ledgerId !== 0 || received > 0);
  }

  /** Notes what a process has given back, if it is known here. */
  noteReturned({ key, returned }: SlotReport): void {
    const account = this.#accounts.get(key);
    if (account !== undefined) account.returned = Math.max(account.returned, returned);
  }

  /** Notes what a process says. */
  note(node: string, { key, received, returned, wants }: SlotReport): SlotAccount {
    const known = this.#accounts.get(key);
    const account = known ?? { key, node, granted: received, returned, wants: 0, due: 0 };
    if (known === undefined) this.#accounts.set(key, account);
    account.granted = Math.max(account.granted, received);
    account.returned = Math.max(account.returned, returned);
    account.wants = Math.max(0, wants - (account.granted - received)); // the rest is on its way
    return account;
  }

  /** Notes that a process has ended. */
  ended(key: string): void {
    this.#accounts.delete(key);
  }

  /** Notes that the processes of a node are gone. If they come back, they must be heard first. */
  went(node: string): void {
    for (const account of this.#accounts.values()) if (account.node === node) this.#accounts.delete(account.key);
    this.#unheard.add(node);
  }

  /** Gives free slots to those who want them. Returns who got any. @param isAlone If so, one process gets all. */
  give(isAlone = false): Set<SlotAccount> {
    const given = new Set<SlotAccount>();
    for (let free = this.free; free > 0;) {
      const next = leastOf(this.#waiting());
      if (next === undefined) break;
      const count = isAlone ? free : 1;
      next.granted += count;
      next.wants = Math.max(0, next.wants - count);
      free -= count;
      this.#accounts.delete(next.key);
      this.#accounts.set(next.key, next);
      given.add(next);
    }
    return given;
  }

  /** Notes what each must give back of what others wait for, whether in use or not, and returns whom to tell. */
  callBack(): SlotRecall[] {
    const recalls: SlotRecall[] = [];
    for (const account of this.#accounts.values()) {
      if (heldBy(account) === 0) continue;
      const others = this.#waiting().filter((other) => other !== account);
      const least = leastOf(others);
      if (least === undefined) continue;
      const isUneven = heldBy(least) === 0 || heldBy(account) > heldBy(least) + 1;
      // At most one at a time: the next one is decided when it has come.
      if (isUneven && account.due <= account.returned) account.due = account.returned + 1;
      recalls.push({ account, wanted: others.reduce((sum, { wants }) => sum + wants, 0) });
    }
    return recalls;
  }

  /** What a process is told. */
  grantOf({ due, granted }: SlotAccount): SlotGrant {
    return { ledgerId: this.id, granted, due };
  }

  #waiting(): SlotAccount[] {
    return [...this.#accounts.values()].filter(({ wants }) => wants > 0);
  }
}

function heldBy({ granted, returned }: SlotAccount): number {
  return Math.max(0, granted - returned);
}

/** The one that holds the fewest, the first of equals; `undefined` if there is none. */
function leastOf(accounts: readonly SlotAccount[]): SlotAccount | undefined {
  let least: SlotAccount | undefined;
  for (const account of accounts) if (least === undefined || heldBy(account) < heldBy(least)) least = account;
  return least;
}
