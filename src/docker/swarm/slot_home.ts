import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import { type Homes, numberOf } from "./homes.ts";
import type { PeerAnswer, PeerMessage, Peers } from "./instance_messages.ts";
import { type SlotAccount, SlotLedger } from "./slot_ledger.ts";
import type { SlotsHere, SlotsHereParts, TellSlots } from "./slots_here.ts";

const log = logger("slots");
/** How long a process may take to say what it holds, ms. */
const HEAR_MS = 1000;
/** The ids of ledgers are ms times this, plus a number of the home, so that two homes seldom choose the same one. */
const NODES = 1000;

/** A message that asks the home of an instance for slots, or gives some back. */
export type AskSlots = Extract<PeerMessage, { askSlots: string }>;

/** What a {@linkcode SlotHome} is made of. */
export interface SlotHomeParts extends SlotsHereParts {
  readonly homes: Homes;
  readonly peers: Peers;
  /** Wall-clock ms. */
  readonly now: () => number;
}

/** Gives out the slots of the instances whose home this cless is. */
export class SlotHome {
  readonly #parts: SlotHomeParts;
  readonly #here: SlotsHere;
  /** By instance. */
  readonly #ledgers = new Map<string, SlotLedger>();
  /** The instances that have just started on this node: nobody has a slot of theirs. */
  readonly #new = new Set<string>();
  /** The engine's ids of the containers that have started on this node, by instance. */
  readonly #startedAs = new Map<string, string>();

  /** @param here What this process itself holds. */
  constructor(parts: SlotHomeParts, here: SlotsHere) {
    this.#parts = parts;
    this.#here = here;
  }

  /** Whether this process gives out the slots of an instance now. */
  gives(id: string): boolean {
    return this.#parts.role.now.isOwner && this.#parts.homes.isOurs(id);
  }

  /** Answers what another process, or this one, says to the home of an instance. */
  async answer({ askSlots: id, concurrency, node, report }: AskSlots): Promise<PeerAnswer> {
    const { homes, peers } = this.#parts;
    if (!homes.isOurs(id)) this.#ledgers.delete(id);
    if (!this.gives(id) || !peers.live.includes(node)) return { ok: false };
    const ledger = this.#ledgerOf(id, concurrency, report.ledgerId);
    if (ledger.isStrange(report)) {
      ledger.noteReturned(report);
      this.#give(id, ledger);
      return { ok: false, slots: { ledgerId: ledger.id, granted: 0, isShort: true } };
    }
    const account = ledger.note(node, report);
    if (!await this.#hearAll(id, ledger)) return { ok: false };
    this.#give(id, ledger, account);
    if (account.wants > 0) {
      await this.#callBackAll(id, ledger);
      this.#give(id, ledger, account);
    }
    return { ok: true, slots: { ...ledger.grantOf(account), isShort: account.wants > 0 } };
  }

  /**
   * Notes that an instance has started on this node, maybe under the name of one that has ended. The engine may say so
   * again, and a process that takes over hears what the one before it has heard: then others may have slots already.
   *
   * @param engineId The engine's id of its container.
   */
  started(id: string, engineId: string): void {
    if (this.#startedAs.get(id) === engineId) return;
    this.#startedAs.set(id, engineId);
    if (!this.#ledgers.delete(id) && this.gives(id)) this.#new.add(id);
  }

  /** Notes that an instance is gone. */
  gone(id: string): void {
    this.#ledgers.delete(id);
    this.#new.delete(id);
  }

  /** Forgets all instances but some. */
  keep(ids: ReadonlySet<string>): void {
    for (const id of [...this.#ledgers.keys(), ...this.#new]) if (!ids.has(id)) this.gone(id);
    for (const id of this.#startedAs.keys()) if (!ids.has(id)) this.#startedAs.delete(id);
  }

  /** Notes that the cless of a node is gone: its slots are free again. */
  went(node: string): void {
    for (const [id, ledger] of this.#ledgers) {
      ledger.went(node);
      this.#give(id, ledger);
    }
  }

  /** Notes the ledger of an instance that has been heard of. If it is a later one, another cless is the home. */
  overtaken(id: string, ledgerId: number): void {
    const ledger = this.#ledgers.get(id);
    if (ledger !== undefined && ledger.id < ledgerId) this.#ledgers.delete(id);
  }

  /**
   * The ledger of an instance; a new one if there is none, or if that of a later home has been heard of.
   *
   * @param heard The highest id that has been heard of.
   */
  #ledgerOf(id: string, concurrency: number, heard: number): SlotLedger {
    const { homes, now, peers, predecessor } = this.#parts;
    const known = this.#ledgers.get(id);
    if (known !== undefined && known.id >= heard) return known;
    // Clocks differ. If the id is too low, the first who belongs to a later ledger says so: see `later`.
    const ledgerId = Math.max(now(), Math.floor(heard / NODES) + 1) * NODES + numberOf(homes.self, NODES);
    const ledger = new SlotLedger(ledgerId, concurrency, this.#new.delete(id) ? [] : peers.live);
    const earlier = predecessor.slotsOf(id);
    if (earlier !== undefined) ledger.note(homes.self, { ...earlier, ledgerId, wants: 0 });
    this.#ledgers.set(id, ledger);
    return ledger;
  }

  /** Begins a new ledger, since a later one has been heard of: its id must be higher. */
  #beginAnew(id: string, ledger: SlotLedger, later: number): void {
    if (this.#ledgers.get(id) === ledger && this.gives(id)) this.#ledgerOf(id, ledger.concurrency, later);
  }

  /** Hears from all who may hold slots that another home has given. Resolves with whether that is done. */
  async #hearAll(id: string, ledger: SlotLedger): Promise<boolean> {
    const { live } = this.#parts.peers;
    await Promise.all(
      ledger.unheard(live).map(async (node) => {
        const { held, later } = await this.#say(node, id, ledger);
        if (later !== undefined) this.#beginAnew(id, ledger, later);
        if (held === undefined) return;
        for (const report of held) ledger.note(node, report);
        ledger.heard(node);
      }),
    );
    return ledger.unheard(live).length === 0;
  }

  /** Asks for slots that others want. */
  async #callBackAll(id: string, ledger: SlotLedger): Promise<void> {
    await Promise.all(ledger.callBack().map(({ account, wanted }) => this.#tell(id, ledger, account, wanted)));
  }

  /** Gives the free slots, and says so to all who got some. @param asker Who gets it as an answer. */
  #give(id: string, ledger: SlotLedger, asker?: SlotAccount): void {
    const { live } = this.#parts.peers;
    if (!this.gives(id) || this.#ledgers.get(id) !== ledger || ledger.unheard(live).length > 0) return;
    for (const account of ledger.give(live.length === 1)) {
      if (account !== asker) this.#tell(id, ledger, account, 0);
    }
  }

  /** Tells a process what it has got, and what it is to give back. Notes what it holds then. */
  async #tell(id: string, ledger: SlotLedger, account: SlotAccount, wanted: number): Promise<void> {
    const { key, node } = account;
    const { held, later, ok } = await this.#say(node, id, ledger, { account, wanted });
    if (later !== undefined) this.#beginAnew(id, ledger, later);
    if (held === undefined) return; // it does not answer; who waits asks again
    const report = held.find((report) => report.key === key);
    if (report !== undefined) ledger.note(node, report);
    else if (!ok) ledger.ended(key);
    if (wanted === 0) this.#give(id, ledger);
  }

  async #say(
    node: string,
    id: string,
    ledger: SlotLedger,
    { account, wanted }: { readonly account?: SlotAccount; readonly wanted: number } = { wanted: 0 },
  ): Promise<PeerAnswer> {
    const { homes, peers } = this.#parts;
    const grant = account === undefined ? { ledgerId: ledger.id, granted: 0 } : ledger.grantOf(account);
    const message: TellSlots = { tellSlots: id, grant, wanted, ...(account && { key: account.key }) };
    if (node === homes.self) return this.#here.answer(message);
    return await peers.ask(node, message, { timeoutMs: HEAR_MS }).catch((error): PeerAnswer => {
      log.debug("a peer does not say what it holds", { instance: id, node, reason: messageOf(error) });
      return { ok: false };
    });
  }
}
