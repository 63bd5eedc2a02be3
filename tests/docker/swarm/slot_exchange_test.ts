import { assertEquals } from "@std/assert";
import { Homes } from "../../../src/docker/swarm/homes.ts";
import type { PeerAnswer, PeerMessage, Peers } from "../../../src/docker/swarm/instance_messages.ts";
import { SlotExchange } from "../../../src/docker/swarm/slot_exchange.ts";
import type { HeldSlots, SlotCounts } from "../../../src/pool/held_slots.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";

/** A process of the node `here`, and an instance of the node `there` with four slots. */
class Rig {
  readonly clock = new FakeClock();
  readonly sent: PeerMessage[] = [];
  readonly role = { now: { isOwner: true } };
  /** How often the pool was told that slots have come. */
  came = 0;
  waiting = 0;
  ofPredecessor: SlotCounts | undefined;
  readonly exchange: SlotExchange;

  constructor(answer: (message: PeerMessage) => Promise<PeerAnswer> = () => Promise.resolve({ ok: false })) {
    const { clock, role, sent } = this;
    const peers: Peers = {
      live: ["here", "there"],
      ask: (_, message) => {
        sent.push(message);
        return answer(message);
      },
    };
    const homes = new Homes("here", peers);
    homes.found("one", "there");
    const predecessor = { slotsOf: () => this.ofPredecessor };
    this.exchange = new SlotExchange({ homes, peers, clock, now: () => 1000, role, predecessor });
  }

  hold(): HeldSlots {
    const waiting = () => this.waiting;
    return this.exchange.hold("one", 4, {
      requests: 0,
      get waiting() {
        return waiting();
      },
      isGone: false,
      came: () => void this.came++,
    });
  }

  /** What it says when it is asked what it holds. */
  recalled(key?: string): PeerAnswer {
    return this.exchange.answerTell({
      tellSlots: "one",
      grant: { ledgerId: 5, granted: 0 },
      wanted: 0,
      ...(key !== undefined && { key }),
    });
  }
}

Deno.test("only the owner of a node's containers says what all processes of the node hold", () => {
  const rig = new Rig();
  rig.role.now.isOwner = false;
  assertEquals(rig.recalled(), { ok: false }); // the other process may hold some, though this one knows no instance
  const held = rig.hold();
  assertEquals(rig.recalled(), { ok: false });
  assertEquals(rig.recalled("another"), { ok: false });
  const own = { key: held.key, received: 0, returned: 0, ledgerId: 5, wants: 0 };
  assertEquals(rig.recalled(held.key), { ok: true, held: [own] });
  rig.role.now.isOwner = true;
  rig.ofPredecessor = { key: "before", received: 3, returned: 1 };
  assertEquals(rig.recalled(), { ok: true, held: [own, { ...rig.ofPredecessor, ledgerId: 5, wants: 0 }] });
});

Deno.test("an owner that knows no such instance says that its node holds nothing", () => {
  assertEquals(new Rig().recalled(), { ok: false, held: [] });
});

Deno.test("slots count as used by others after a second without an answer, and those that come later still count", async () => {
  const answer = Promise.withResolvers<PeerAnswer>();
  const rig = new Rig(() => answer.promise);
  rig.waiting = 2;
  const held = rig.hold();
  let isShort: boolean | undefined;
  rig.exchange.get(held).then((is) => isShort = is);
  await rig.clock.advance(999);
  assertEquals([isShort, rig.sent.length], [undefined, 1]);
  await rig.clock.advance(1);
  assertEquals([isShort, rig.sent.length, rig.came], [true, 1, 0]);
  answer.resolve({ ok: true, slots: { ledgerId: 5, granted: 2, isShort: false } });
  await settle();
  assertEquals([held.count, rig.came], [2, 1]);
});

Deno.test("a home that knows nothing yet is asked again, for a second at most", async () => {
  const rig = new Rig();
  rig.waiting = 1;
  let isShort: boolean | undefined;
  rig.exchange.get(rig.hold()).then((is) => isShort = is);
  await rig.clock.advance(999);
  assertEquals([isShort, rig.sent.length], [undefined, 5]);
  await rig.clock.advance(1);
  assertEquals([isShort, rig.sent.length], [true, 5]);
});

Deno.test("nobody is asked any more once no request waits", async () => {
  const rig = new Rig();
  rig.waiting = 1;
  let isShort: boolean | undefined;
  rig.exchange.get(rig.hold()).then((is) => isShort = is);
  await rig.clock.advance(100);
  rig.waiting = 0;
  await rig.clock.advance(100);
  assertEquals([isShort, rig.sent.length], [false, 1]);
});
