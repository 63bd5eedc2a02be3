import type { Clock } from "../../base/clock.ts";
import { HeldSlots, type SlotCounts, type SlotUser } from "../../pool/held_slots.ts";
import type { PeerAnswer, PeerMessage } from "./instance_messages.ts";
import type { SlotReport } from "./slot_ledger.ts";

/** A message of the home of an instance to a process that uses it. */
export type TellSlots = Extract<PeerMessage, { tellSlots: string }>;

/** The process that this one takes over from. */
interface SlotPredecessor {
  /** What it holds at most of an instance's slots; `undefined` once it has ended. */
  slotsOf(id: string): SlotCounts | undefined;
}

/** What {@linkcode SlotsHere} are made of. */
export interface SlotsHereParts {
  readonly clock: Clock;
  /** Only the owner of the containers speaks for its node, so that two processes of a node do not. */
  readonly role: { readonly now: { readonly isOwner: boolean } };
  readonly predecessor: SlotPredecessor;
}

/** The slots that this process holds, and what it says of them to the homes of their instances. */
export class SlotsHere {
  readonly #parts: SlotsHereParts;
  /** By instance. */
  readonly #held = new Map<string, HeldSlots>();

  constructor(parts: SlotsHereParts) {
    this.#parts = parts;
  }

  /** The slots of an instance that this process uses from now on. It holds none yet. */
  hold(id: string, concurrency: number, user: SlotUser): HeldSlots {
    const held = new HeldSlots(id, concurrency, user);
    this.#held.set(id, held);
    return held;
  }

  /** Forgets an instance that this process uses no more. */
  forget(id: string): void {
    if (this.#held.get(id)?.user.isGone) this.#held.delete(id);
  }

  /** Takes what the home of an instance has given, gives back what it wants, and says what is held then. */
  answer({ grant, key, tellSlots: id, wanted }: TellSlots): PeerAnswer {
    const { clock, predecessor, role } = this.#parts;
    const held = this.#held.get(id);
    // During a take-over, one process of the node does not know what the other one holds: the owner is asked again.
    if (!role.now.isOwner && (key === undefined || held?.key !== key)) return { ok: false };
    const counts = predecessor.slotsOf(id);
    const earlier = counts === undefined ? [] : [{ ...counts, ledgerId: grant.ledgerId, wants: 0 }];
    const isMeant = held !== undefined && !held.user.isGone && (key === undefined || key === held.key);
    if (!isMeant) return { ok: earlier.some((report) => report.key === key), held: key === undefined ? earlier : [] };
    if (held.ledgerId > grant.ledgerId) return { ok: false, later: held.ledgerId };
    if (held.take(grant, clock.now())) held.user.came();
    held.giveBack(clock.now(), wanted);
    return { ok: true, held: [reportOf(held), ...earlier] };
  }
}

/** What a process says of its slots. */
export function reportOf(held: HeldSlots): SlotReport {
  return { ...held.counts, ledgerId: held.ledgerId, wants: wantedBy(held) };
}

/** How many more slots a process wants. */
export function wantedBy({ concurrency, count, user: { isGone, waiting } }: HeldSlots): number {
  return isGone ? 0 : Math.min(waiting, Math.max(0, concurrency - count));
}
