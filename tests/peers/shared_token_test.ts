import { assertEquals, assertRejects } from "@std/assert";
import { ClessError } from "../../src/base/errors.ts";
import type { MembersListener } from "../../src/peers/members.ts";
import type { OwnerToken } from "../../src/peers/messages.ts";
import type { PeerClient } from "../../src/peers/peer_client.ts";
import { PeerAway } from "../../src/peers/peer_error.ts";
import { SharedToken } from "../../src/peers/shared_token.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";

/** The time by a clock that is right, ms since 1970. */
const NOW = 1_700_000_000_000;
const DAY_MS = 86_400_000;

/** A machine with a token of the owner. */
class Machine {
  readonly token: SharedToken;
  readonly listeners: MembersListener[] = [];
  /** The texts that were accepted, the newest last. */
  readonly accepted: string[] = [];
  isAway = false;
  /** By how much its clock is ahead of that of the others, ms. */
  aheadMs = 0;
  #own: OwnerToken;

  constructor(nodeId: string, own: OwnerToken, all: Map<string, Machine>, clock: FakeClock) {
    this.#own = own;
    const present = () => this.#own;
    this.token = new SharedToken({
      ...{ nodeId, clock },
      now: () => NOW + this.aheadMs,
      dataDir: {
        get token() {
          return present().text;
        },
        get tokenMadeAt() {
          return present().madeAt;
        },
        takeToken: (text, madeAt) => this.rotate(text, madeAt),
      },
      tokens: { setOwner: (text) => Promise.resolve(void this.accepted.push(text)) },
      members: {
        get live() {
          return [...all.keys()];
        },
        onChange: (listener) => void this.listeners.push(listener),
      },
      client: {
        ask: ((to: string, _: "owner-token", body: OwnerToken) => {
          const other = all.get(to)!;
          if (other.isAway || this.isAway) return Promise.reject(new PeerAway("it does not answer"));
          return other.token.handlers["owner-token"](body, new AbortController().signal);
        }) as PeerClient["ask"],
      },
    });
    all.set(nodeId, this);
  }

  rotate(text: string, madeAt: number): void {
    this.#own = { text, madeAt };
  }

  get text(): string {
    return this.#own.text;
  }
}

/** Three machines with one token. */
function machines(clock = new FakeClock()): [a: Machine, b: Machine, c: Machine] {
  const all = new Map<string, Machine>();
  const make = (nodeId: string) => new Machine(nodeId, { text: "first", madeAt: 1 }, all, clock);
  return [make("a"), make("b"), make("c")];
}

Deno.test("a token that is replaced on one machine is replaced on all, at once", async () => {
  const [a, b, c] = machines();
  b.rotate("second", 2);
  await b.token.spread();
  assertEquals([a.text, b.text, c.text], ["second", "second", "second"]);
  assertEquals([a.accepted, b.accepted, c.accepted], [["second"], [], ["second"]]);
});

Deno.test("a machine that was away takes the newer token when it is back, whoever of the two asks", async () => {
  for (const asks of ["the one that was away", "the other one"]) {
    const [a, b, c] = machines();
    c.isAway = true;
    a.rotate("second", 2);
    await a.token.spread();
    assertEquals([a.text, b.text, c.text], ["second", "second", "first"]);
    c.isAway = false;
    if (asks === "the other one") b.listeners[0]!.came("c");
    else c.listeners[0]!.came("a");
    await settle();
    assertEquals([a.text, b.text, c.text], ["second", "second", "second"], asks);
    assertEquals(c.accepted, ["second"]);
  }
});

Deno.test("an older token never replaces a newer one, and the same one is not written again", async () => {
  const [a, b] = machines();
  a.rotate("second", 2);
  b.listeners[0]!.came("a");
  await settle();
  b.listeners[0]!.came("a");
  a.listeners[0]!.came("b");
  await settle();
  assertEquals([a.text, b.text], ["second", "second"]);
  assertEquals([a.accepted, b.accepted], [[], ["second"]]);
});

Deno.test("a token from the future is refused, and says why: the machine whose clock is wrong does not win", async () => {
  const [a, b, c] = machines();
  a.aheadMs = DAY_MS;
  a.rotate("second", NOW + DAY_MS);
  await a.token.spread();
  assertEquals([a.text, b.text, c.text], ["second", "first", "first"]);
  const signal = new AbortController().signal;
  const offering = () => b.token.handlers["owner-token"]({ text: "second", madeAt: NOW + DAY_MS }, signal);
  await assertRejects(offering, ClessError, "1440 minutes after the time of this machine's clock");
  // Clocks differ a little everywhere.
  a.rotate("third", NOW + 60_000);
  await a.token.spread();
  assertEquals([a.text, b.text, c.text], ["third", "third", "third"]);
});

Deno.test("a token from the future is given up for the next one, on whichever machine that is made", async () => {
  const [a, b, c] = machines();
  // All had it when the clock was put right.
  for (const machine of [a, b, c]) machine.rotate("first", NOW + DAY_MS);
  b.listeners[0]!.came("a");
  await settle();
  assertEquals([a.accepted, b.accepted, c.accepted], [[], [], []]);
  b.rotate("second", NOW);
  await b.token.spread();
  assertEquals([a.text, b.text, c.text], ["second", "second", "second"]);
});

Deno.test("a machine that lives and does not answer gets a new token as soon as it does, or leaves", async () => {
  const clock = new FakeClock();
  const [a, b, c] = machines(clock);
  b.isAway = c.isAway = true;
  a.rotate("second", 2);
  await a.token.spread();
  await clock.advance(60_000);
  assertEquals([b.text, c.text], ["first", "first"]);
  b.isAway = false;
  a.listeners[0]!.went("c");
  await clock.advance(10_000);
  assertEquals([b.text, c.text], ["second", "first"]);
  assertEquals(clock.timers, 0);
});
