import { assertEquals } from "@std/assert";
import type { MembersListener } from "../../src/peers/members.ts";
import type { OwnerToken } from "../../src/peers/messages.ts";
import type { PeerClient } from "../../src/peers/peer_client.ts";
import { PeerAway } from "../../src/peers/peer_error.ts";
import { SharedToken } from "../../src/peers/shared_token.ts";
import { settle } from "../support/fake_clock.ts";

/** A machine with a token of the owner. */
class Machine {
  readonly token: SharedToken;
  readonly listeners: MembersListener[] = [];
  /** The texts that were accepted, the newest last. */
  readonly accepted: string[] = [];
  isAway = false;
  #own: OwnerToken;

  constructor(nodeId: string, own: OwnerToken, all: Map<string, Machine>) {
    this.#own = own;
    const present = () => this.#own;
    this.token = new SharedToken({
      nodeId,
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
function machines(): [a: Machine, b: Machine, c: Machine] {
  const all = new Map<string, Machine>();
  const make = (nodeId: string) => new Machine(nodeId, { text: "first", madeAt: 1 }, all);
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
