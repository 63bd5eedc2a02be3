import { delay, within } from "../../base/async.ts";
import { messageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import type { HeldSlots, SlotUser } from "../../pool/held_slots.ts";
import type { SharedSlots } from "../../pool/launcher.ts";
import type { PeerAnswer } from "./instance_messages.ts";
import { type AskSlots, SlotHome, type SlotHomeParts } from "./slot_home.ts";
import { reportOf, SlotsHere, type TellSlots, wantedBy } from "./slots_here.ts";

const log = logger("slots");
/** Whoever does not know yet that it is the home, or does not answer, is asked again after this time, ms. */
const RETRY_MS = 200;
/** If it has given no answer for this time, the slots of an instance count as used by others, ms. */
const GIVE_UP_MS = 1000;
/** After so many ledgers in a row it gives up until the next try. */
const MAX_LEDGERS = 5;
/** The home answers within this time, as it waits no longer for others itself, ms. */
const ASK_MS = 3000;

/**
 * Moves the slots of instances to where their requests are, so that all cless together send an instance no more requests
 * at once than its `concurrency`. Each slot is at one cless, which uses it without asking anybody. One with waiting
 * requests and no free slot asks the home of the instance, which gives it a free one, one that another has idle, or the
 * next one that is free anywhere. Nothing is sent while no request waits.
 */
export class SlotExchange implements SharedSlots {
  /** Gives out the slots of the instances whose home this cless is. */
  readonly home: SlotHome;
  readonly #parts: SlotHomeParts;
  readonly #here: SlotsHere;

  constructor(parts: SlotHomeParts) {
    this.#parts = parts;
    this.#here = new SlotsHere(parts);
    this.home = new SlotHome(parts, this.#here);
  }

  hold(id: string, concurrency: number, user: SlotUser): HeldSlots {
    return this.#here.hold(id, concurrency, user);
  }

  /** Forgets an instance that this process uses no more. */
  forget(id: string): void {
    this.#here.forget(id);
  }

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

  giveBack(held: HeldSlots): boolean {
    if (!held.giveBack(this.#parts.clock.now())) return false;
    this.#ask(held);
    return true;
  }

  /** Answers what the home of an instance says to this process. */
  answerTell(message: TellSlots): PeerAnswer {
    this.home.overtaken(message.tellSlots, message.grant.ledgerId);
    return this.#here.answer(message);
  }

  /**
   * Says to the home of an instance what this process holds and wants, and takes what it gives. Resolves with
   * `undefined` if the home is not known, or does not answer.
   */
  async #ask(held: HeldSlots): Promise<PeerAnswer["slots"]> {
    for (let ledgers = 0; ledgers < MAX_LEDGERS; ledgers++) {
      const { ok, slots } = await this.#askOnce(held);
      if (slots === undefined) return undefined;
      if (ok) {
        if (held.take(slots, this.#parts.clock.now())) held.user.came();
        return slots;
      }
      held.bind(slots.ledgerId); // and says again what it holds
    }
    return undefined;
  }

  async #askOnce(held: HeldSlots): Promise<PeerAnswer> {
    const { homes, peers } = this.#parts;
    const { concurrency, id } = held;
    const home = homes.homeOf(id);
    if (home === undefined) return { ok: false };
    const message: AskSlots = { askSlots: id, concurrency, node: homes.self, report: reportOf(held) };
    if (home === homes.self && this.home.gives(id)) {
      const answer = await this.home.answer(message);
      return this.home.gives(id) ? answer : { ok: false }; // a successor may have been told already what is held here
    }
    try {
      return await peers.ask(home, message, { timeoutMs: ASK_MS });
    } catch (error) {
      log.debug("the home of an instance does not answer", { instance: id, node: home, reason: messageOf(error) });
      return { ok: false };
    }
  }
}
