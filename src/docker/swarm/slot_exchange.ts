import { delay, within } from "../../base/async.ts";
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import { HeldSlots, type SlotCounts, type SlotUser } from "../../pool/held_slots.ts";
import type { Homes } from "./homes.ts";
import type { PeerAnswer, PeerMessage, Peers } from "./instance_messages.ts";
import { type SlotAccount, SlotLedger, type SlotReport } from "./slot_ledger.ts";

const log = logger("slots");
/** Whoever does not know yet that it is the home, or does not answer, is asked again after this time, ms. */
const RETRY_MS = 200;
/** If it has given no answer for this time, the slots of an instance count as used by others, ms. */
const GIVE_UP_MS = 1000;
/** So often a process says at once what it holds, as it hears of another home. */
const MAX_HOMES = 5;
/** The home answers within this time, as it waits no longer for others itself, ms. */
const ASK_MS = 3000;
/** How long a process may take to say what it holds, ms. */
const HEAR_MS = 1000;
/** The numbers of counts are ms times this, so that no two nodes choose the same one. */
const NODES = 1000;

/** A message that asks the home of an instance for slots, or gives some back. */
type SlotsMessage = Extract<PeerMessage, { slots: string }>;
/** A message of the home of an instance to a process that uses it. */
type RecallMessage = Extract<PeerMessage, { recall: string }>;

/** The process that this one takes over from. */
interface SlotPredecessor {
  /** What it holds at most of an instance's slots; `undefined` once it has ended. */
  slotsOf(id: string): SlotCounts | undefined;
}

/** What a {@linkcode SlotExchange} is made of. */
export interface SlotExchangeParts {
  readonly homes: Homes;
  readonly peers: Peers;
  readonly clock: Clock;
  /** Wall-clock ms. */
  readonly now: () => number;
  /** Only the owner of the containers gives slots, so that two processes of a node do not. */
  readonly role: { readonly now: { readonly isOwner: boolean } };
  readonly predecessor: SlotPredecessor;
}

/**
 * Moves the slots of instances to where their requests are, so that all cless together send an instance no more requests
 * at once than its `concurrency`. Each slot is at one cless, which uses it without asking anybody. One with waiting
 * requests and no free slot asks the home of the instance, which gives it a free one, one that another has idle, or the
 * next one that is free anywhere. Nothing is sent while no request waits.
 */
export class SlotExchange {
  readonly #parts: SlotExchangeParts;
  /** Those of this process, by instance. */
  readonly #held = new Map<string, HeldSlots>();
  /** Of the instances whose home this is. */
  readonly #ledgers = new Map<string, SlotLedger>();
  /** The instances that have just started on this node: nobody has a slot of theirs. */
  readonly #new = new Set<string>();
  /** The engine's ids of the containers that have started on this node, by instance. */
  readonly #startedAs = new Map<string, string>();

  constructor(parts: SlotExchangeParts) {
    this.#parts = parts;
  }

  /** The slots of an instance that this process uses from now on. It holds none yet. */
  hold(id: string, concurrency: number, user: SlotUser): HeldSlots {
    const held = new HeldSlots(id, concurrency, user);
    this.#held.set(id, held);
    return held;
  }

  /**
   * Asks for slots for the waiting requests. Resolves with whether others use them all, as far as that is known after
   * {@linkcode GIVE_UP_MS}. Never rejects.
   */
  async get(held: HeldSlots): Promise<boolean> {
    const { clock } = this.#parts;
    const deadline = clock.now() + GIVE_UP_MS;
    while (wantedBy(held) > 0) {
      const leftMs = deadline - clock.now();
      if (leftMs <= 0) return true;
      const slots = await within(this.#ask(held), clock, leftMs); // what comes later is taken all the same
      if (slots !== undefined) return slots.isShort;
      await delay(clock, Math.min(RETRY_MS, deadline - clock.now()));
    }
    return false;
  }

  /** Gives back what is due. Returns whether there was any. */
  giveBack(held: HeldSlots): boolean {
    if (!held.giveBack(this.#parts.clock.now())) return false;
    this.#ask(held);
    return true;
  }

  /** Answers what another process, or this one, says to the home of an instance. */
  async answerAsk({ concurrency, node, report, slots: id }: SlotsMessage): Promise<PeerAnswer> {
    const { homes, peers } = this.#parts;
    if (!homes.isOurs(id)) this.#ledgers.delete(id);
    if (!this.#gives(id) || !peers.live.includes(node)) return { ok: false };
    const ledger = this.#ledgerOf(id, concurrency, report.ledger);
    if (ledger.isStrange(report)) {
      this.#give(id, ledger);
      return { ok: false, slots: { ledger: ledger.id, granted: 0, isShort: true } };
    }
    const account = ledger.note(node, report);
    if (!await this.#hearAll(id, ledger)) return { ok: false };
    this.#give(id, ledger, account);
    if (account.wants > 0) {
      await this.#recallAll(id, ledger);
      this.#give(id, ledger, account);
    }
    return { ok: true, slots: { ...ledger.grantOf(account), isShort: account.wants > 0 } };
  }

  /** Answers what the home of an instance says to this process. */
  answerRecall({ grant, key, recall: id, wanted }: RecallMessage): PeerAnswer {
    const { clock, predecessor, role } = this.#parts;
    // During a take-over, one process of the node does not know what the other one holds: the owner is asked again.
    if (!role.now.isOwner && (key === undefined || this.#held.get(id)?.key !== key)) return { ok: false };
    const counts = predecessor.slotsOf(id);
    const earlier = counts === undefined ? [] : [{ ...counts, ledger: grant.ledger, wants: 0 }];
    if ((this.#ledgers.get(id)?.id ?? Infinity) < grant.ledger) this.#ledgers.delete(id); // another one is the home
    const held = this.#held.get(id);
    const isMeant = held !== undefined && !held.user.isGone && (key === undefined || key === held.key);
    if (!isMeant) return { ok: earlier.some((report) => report.key === key), held: key === undefined ? earlier : [] };
    if (held.ledger > grant.ledger) return { ok: false, later: held.ledger };
    if (held.take(grant, clock.now())) held.user.came();
    held.giveBack(clock.now(), wanted);
    return { ok: true, held: [reportOf(held), ...earlier] };
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
    if (!this.#ledgers.delete(id) && this.#gives(id)) this.#new.add(id);
  }

  /** Notes that an instance is gone. */
  gone(id: string): void {
    this.#ledgers.delete(id);
    this.#new.delete(id);
  }

  /** Forgets an instance that this process uses no more. */
  forget(id: string): void {
    if (this.#held.get(id)?.user.isGone) this.#held.delete(id);
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

  /** Whether this process gives out the slots of an instance now. */
  #gives(id: string): boolean {
    return this.#parts.role.now.isOwner && this.#parts.homes.isOurs(id);
  }

  /**
   * The count of an instance; a new one if there is none, or if that of a later home has been heard of.
   *
   * @param heard The highest number that has been heard of.
   */
  #ledgerOf(id: string, concurrency: number, heard: number): SlotLedger {
    const { homes, now, peers, predecessor } = this.#parts;
    const known = this.#ledgers.get(id);
    if (known !== undefined && known.id >= heard) return known;
    // Clocks differ, but who is heard makes up for that.
    const number = Math.max(now(), Math.floor(heard / NODES) + 1) * NODES + numberOf(homes.self);
    const ledger = new SlotLedger(number, concurrency, this.#new.delete(id) ? [] : peers.live);
    const earlier = predecessor.slotsOf(id);
    if (earlier !== undefined) ledger.note(homes.self, { ...earlier, ledger: ledger.id, wants: 0 });
    this.#ledgers.set(id, ledger);
    return ledger;
  }

  /**
   * Says to the home of an instance what this process holds and wants, and takes what it gives. Resolves with
   * `undefined` if the home is not known, or does not answer.
   */
  async #ask(held: HeldSlots): Promise<PeerAnswer["slots"]> {
    for (let homes = 0; homes < MAX_HOMES; homes++) {
      const { ok, slots } = await this.#askOnce(held);
      if (slots === undefined) return undefined;
      if (ok) {
        if (held.take(slots, this.#parts.clock.now())) held.user.came();
        return slots;
      }
      held.bind(slots.ledger); // and says again what it holds
    }
    return undefined;
  }

  async #askOnce(held: HeldSlots): Promise<PeerAnswer> {
    const { homes, peers } = this.#parts;
    const { concurrency, id } = held;
    const home = homes.homeOf(id);
    if (home === undefined) return { ok: false };
    const message: SlotsMessage = { slots: id, concurrency, node: homes.self, report: reportOf(held) };
    if (home === homes.self && this.#gives(id)) {
      const answer = await this.answerAsk(message);
      return this.#gives(id) ? answer : { ok: false }; // a successor may have been told already what is held here
    }
    try {
      return await peers.ask(home, message, { timeoutMs: ASK_MS });
    } catch (error) {
      log.debug("the home of an instance does not answer", { instance: id, node: home, reason: messageOf(error) });
      return { ok: false };
    }
  }

  /** Hears from all who may hold slots that another home has given. Resolves with whether that is done. */
  async #hearAll(id: string, ledger: SlotLedger): Promise<boolean> {
    const { live } = this.#parts.peers;
    await Promise.all(
      ledger.unheard(live).map(async (node) => {
        const { held, later } = await this.#recall(node, id, ledger);
        if (later !== undefined) this.#overtaken(id, ledger, later);
        if (held === undefined) return;
        for (const report of held) ledger.note(node, report);
        ledger.heard(node);
      }),
    );
    return ledger.unheard(live).length === 0;
  }

  /** Asks for slots that others want. */
  async #recallAll(id: string, ledger: SlotLedger): Promise<void> {
    await Promise.all(ledger.recalls().map(({ account, wanted }) => this.#tell(id, ledger, account, wanted)));
  }

  /** Gives the free slots, and says so to all who got some. @param asker Who gets it as an answer. */
  #give(id: string, ledger: SlotLedger, asker?: SlotAccount): void {
    const { live } = this.#parts.peers;
    if (!this.#gives(id) || this.#ledgers.get(id) !== ledger || ledger.unheard(live).length > 0) return;
    for (const account of ledger.give(live.length === 1)) {
      if (account !== asker) this.#tell(id, ledger, account, 0);
    }
  }

  /** Tells a process what it has got, and what it is to give back. Notes what it holds then. */
  async #tell(id: string, ledger: SlotLedger, account: SlotAccount, wanted: number): Promise<void> {
    const { key, node } = account;
    const { held, later, ok } = await this.#recall(node, id, ledger, { account, wanted });
    if (later !== undefined) this.#overtaken(id, ledger, later);
    if (held === undefined) return; // it does not answer; who waits asks again
    const report = held.find((report) => report.key === key);
    if (report !== undefined) ledger.note(node, report);
    else if (!ok) ledger.ended(key);
    if (wanted === 0) this.#give(id, ledger);
  }

  /** Begins a count anew, since that of a later home has been heard of: its number must be higher. */
  #overtaken(id: string, ledger: SlotLedger, later: number): void {
    if (this.#ledgers.get(id) === ledger && this.#gives(id)) this.#ledgerOf(id, ledger.concurrency, later);
  }

  async #recall(
    node: string,
    id: string,
    ledger: SlotLedger,
    { account, wanted }: { readonly account?: SlotAccount; readonly wanted: number } = { wanted: 0 },
  ): Promise<PeerAnswer> {
    const { homes, peers } = this.#parts;
    const grant = account === undefined ? { ledger: ledger.id, granted: 0 } : ledger.grantOf(account);
    const message: RecallMessage = { recall: id, grant, wanted, ...(account && { key: account.key }) };
    if (node === homes.self) return this.answerRecall(message);
    return await peers.ask(node, message, { timeoutMs: HEAR_MS }).catch((error): PeerAnswer => {
      log.debug("a peer does not say what it holds", { instance: id, node, reason: messageOf(error) });
      return { ok: false };
    });
  }
}

/** A number below {@linkcode NODES}, most likely another one for each node. */
function numberOf(nodeId: string): number {
  return (parseInt(nodeId.slice(-6), 36) || 0) % NODES;
}

/** What a process says of its slots. */
function reportOf(held: HeldSlots): SlotReport {
  return { ...held.counts, ledger: held.ledger, wants: wantedBy(held) };
}

/** How many more slots a process wants. */
function wantedBy({ concurrency, count, user: { isGone, waiting } }: HeldSlots): number {
  return isGone ? 0 : Math.min(waiting, Math.max(0, concurrency - count));
}
