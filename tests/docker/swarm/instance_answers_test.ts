import { assertEquals } from "@std/assert";
import { Homes } from "../../../src/docker/swarm/homes.ts";
import { InstanceAnswers } from "../../../src/docker/swarm/instance_answers.ts";
import { InstanceSharing, type InstanceSharingParts } from "../../../src/docker/swarm/instance_sharing.ts";
import type { PeerMessage, Peers } from "../../../src/docker/swarm/instance_messages.ts";
import { SlotExchange } from "../../../src/docker/swarm/slot_exchange.ts";
import type { Tenure } from "../../../src/pool/decide.ts";
import { Instance } from "../../../src/pool/instance.ts";
import type { ContainerEvent } from "../../../src/pool/launcher.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";
import { newRevision } from "../../support/kit.ts";

/** A cless with one instance that has just become ready. */
class Rig {
  readonly clock = new FakeClock();
  readonly instance = new Instance("one", newRevision(), this.clock);
  readonly events: ContainerEvent[] = [];
  readonly done: string[] = [];
  refusal: Error | undefined;
  /** How long requests may go on on instances that were let go of, ms. */
  readonly letGo: number[] = [];
  role: { now: { tenure: Tenure } } = { now: { tenure: "all" } };
  isLaunching = false;
  readonly answers: InstanceAnswers;

  constructor(state: "starting" | "ready" = "ready") {
    if (state === "ready") this.instance.become("ready");
    const { done, events, instance, letGo } = this;
    this.answers = new InstanceAnswers({
      fleet: {
        get: (id) => id === "one" ? instance : undefined,
        poolOf: () => ({ letGo: (_, withinMs) => Promise.resolve(void letGo.push(withinMs)) }),
        instances: () => [instance],
        apply: (event) => void events.push(event),
      },
      launcher: {
        sharing: {
          resumeFor: (id, from) => {
            done.push(`resume ${id} for ${from}`);
            return this.refusal === undefined ? Promise.resolve() : Promise.reject(this.refusal);
          },
          slots: {
            home: {
              answer: ({ askSlots, report }) => {
                done.push(`${report.key} wants ${report.wants} of ${askSlots}`);
                return Promise.resolve({ ok: true });
              },
            },
            answerTell: ({ tellSlots, wanted }) => {
              done.push(`${wanted} of ${tellSlots} wanted`);
              return { ok: true, held: [] };
            },
          },
        },
        processorTime: (id) => Promise.resolve(id === "one" ? 5 : undefined),
        hasVolume: (source) => Promise.resolve({ ok: source === "here", engineId: "engine" }),
        images: { here: (image) => Promise.resolve(image === "here" ? { imageId: "sha256:1" } : undefined) },
        startedElsewhere: (id, on, origin) => void done.push(`${id} on ${on} at ${origin}`),
        isLaunching: () => this.isLaunching,
        outputs: {
          retain: async (id) => {
            await settle();
            done.push(`keep ${id}`);
          },
        },
      },
      control: {
        sleepHere: (service) => {
          done.push(`sleep ${service}`);
          return Promise.resolve(service === "app");
        },
      },
      clock: this.clock,
      reconciler: {
        refresh: async () => {
          await settle();
          done.push("look at all");
        },
        discover: (id) => Promise.resolve(void done.push(`look at ${id}`)),
      },
      role: this.role,
    });
  }

  answer(message: PeerMessage) {
    return this.answers.answer(message);
  }
}

Deno.test("an instance is yielded once it has been idle long enough, and taken for paused from then on", async () => {
  const rig = new Rig();
  const { clock, events, instance } = rig;
  const ask = () => rig.answer({ yield: "one", afterMs: 1000 });
  const lease = instance.claim();
  assertEquals(await ask(), { ok: false, idleMs: 0 });
  lease.release();
  await clock.advance(400);
  assertEquals(await ask(), { ok: false, idleMs: 400 });
  await clock.advance(600);
  assertEquals([await ask(), events], [{ ok: true }, [{ id: "one", what: "paused" }]]);
});

Deno.test("nothing is yielded during a take-over, since another process uses the instances too", async () => {
  const rig = new Rig();
  for (const tenure of ["serve", "finish"] as const) {
    rig.role.now = { tenure };
    assertEquals(await rig.answer({ yield: "one", afterMs: 0 }), { ok: false });
    assertEquals(await rig.answer({ yield: "two", afterMs: 0 }), { ok: false });
  }
  assertEquals(rig.events, []);
});

Deno.test("an instance that a cless does not know is yielded at once", async () => {
  assertEquals(await new Rig().answer({ yield: "two", afterMs: 1000 }), { ok: true });
});

Deno.test("an instance that starts is not yielded, since it is about to be used", async () => {
  const rig = new Rig();
  const starting = new Instance("two", newRevision(), rig.clock);
  const answers = new InstanceAnswers({
    fleet: { get: () => starting, poolOf: () => undefined, instances: () => [], apply() {} },
    launcher: {
      sharing: {
        resumeFor: () => Promise.resolve(),
        slots: { home: { answer: () => Promise.reject(new Error("no")) }, answerTell: () => ({ ok: false }) },
      },
      processorTime: () => Promise.resolve(undefined),
      hasVolume: () => Promise.resolve({ ok: false }),
      images: { here: () => Promise.resolve(undefined) },
      startedElsewhere() {},
      isLaunching: () => false,
      outputs: { retain: () => Promise.resolve() },
    },
    control: { sleepHere: () => Promise.resolve(false) },
    clock: rig.clock,
    reconciler: { refresh: () => Promise.resolve(), discover: () => Promise.resolve() },
    role: rig.role,
  });
  assertEquals(await answers.answer({ yield: "two", afterMs: 0 }), { ok: false, idleMs: 0 });
});

Deno.test("a resume that fails is answered with its reason, and one of an instance that ends is refused", async () => {
  const rig = new Rig();
  assertEquals(await rig.answer({ resume: "one", from: "node2" }), { ok: true });
  rig.refusal = new Error("it hangs");
  assertEquals(await rig.answer({ resume: "one", from: "node2" }), { ok: false, reason: "it hangs" });
  rig.instance.become("draining");
  const ending = { ok: false, isEnding: true as const, reason: "its home is ending it" };
  assertEquals(await rig.answer({ resume: "one", from: "node2" }), ending);
  const unknown = { ok: false, reason: "its home does not know it" };
  assertEquals(await rig.answer({ resume: "two", from: "node2" }), unknown);
  assertEquals(rig.done, ["resume one for node2", "resume one for node2"]);
});

Deno.test("what has just been started is looked for before a service is put to sleep", async () => {
  const rig = new Rig();
  assertEquals(await rig.answer({ sleep: "app" }), { ok: true });
  assertEquals(await rig.answer({ sleep: "other" }), { ok: false });
  assertEquals(rig.done, ["look at all", "sleep app", "look at all", "sleep other"]);
});

Deno.test("news of an instance are noted, and that instance alone is looked at", async () => {
  const rig = new Rig();
  await rig.answer({ started: "two", on: "node2", origin: "http://10.0.0.2:1" });
  await settle();
  assertEquals(rig.done, ["two on node2 at http://10.0.0.2:1", "look at two"]);
});

Deno.test("questions about instances and images are answered, and a message of another version is refused", async () => {
  const rig = new Rig();
  assertEquals(await rig.answer({ processorTime: "one" }), { ok: true, processorNs: 5 });
  assertEquals(await rig.answer({ processorTime: "two" }), { ok: false });
  assertEquals(await rig.answer({ hasVolume: "here" }), { ok: true, engineId: "engine" });
  assertEquals(await rig.answer({ hasImage: "here" }), { ok: true, image: { imageId: "sha256:1" } });
  assertEquals(await rig.answer({ asleep: true }), { ok: true, asleep: [] });
  rig.instance.become("paused");
  assertEquals(await rig.answer({ asleep: true }), { ok: true, asleep: ["one"] });
  const unknown = { later: true } as unknown as PeerMessage;
  assertEquals(await rig.answer(unknown), { ok: false, reason: "it is of another version" });
});

Deno.test("requests on an instance that its home ends may go on for as long as the home lets its own", async () => {
  const rig = new Rig();
  const { clock, letGo } = rig;
  for (const drainTimeoutMs of [30_000, Infinity]) {
    const peers: Peers = {
      live: ["here", "there"],
      ask: (_, message, options) => {
        assertEquals(options?.timeoutMs, drainTimeoutMs + 1000);
        return rig.answer(JSON.parse(JSON.stringify(message)));
      },
    };
    const homes = new Homes("here", peers);
    const slots = newExchange(homes, peers, clock);
    const containers = { pause: () => Promise.resolve(), resume: () => Promise.resolve() };
    const sharing = new InstanceSharing(
      { containers, homes, peers, slots, clock, drainTimeoutMs } as unknown as InstanceSharingParts,
    );
    await clock.until(sharing.release("one"));
  }
  assertEquals(letGo, [30_000, Infinity]);
});

Deno.test("the output of an instance is kept before the answer says so", async () => {
  const rig = new Rig();
  assertEquals(await rig.answer({ keep: "one" }), { ok: true });
  assertEquals(rig.done, ["keep one"]);
});

Deno.test("an app that ends by itself is taken for ended where its instance starts, and nowhere else", async () => {
  const rig = new Rig();
  const ended = { ended: "one", exitCode: 3 } as const;
  await rig.answer(ended); // its home sees to it
  assertEquals(rig.events, []);
  const starting = new Rig("starting");
  starting.isLaunching = true;
  await starting.answer(ended); // the launch finds it out itself
  assertEquals(starting.events, []);
  starting.isLaunching = false;
  assertEquals(await starting.answer(ended), { ok: true });
  assertEquals(starting.events, [{ id: "one", what: "ended", exitCode: 3 }]);
});

/** What counts slots in a cless that is alone on its node. */
function newExchange(homes: Homes, peers: Peers, clock: FakeClock): SlotExchange {
  const role = { now: { isOwner: true } };
  return new SlotExchange({ homes, peers, clock, role, now: Date.now, predecessor: { slotsOf: () => undefined } });
}

Deno.test("what is said of slots reaches who counts them", async () => {
  const rig = new Rig();
  const report = { key: "a", received: 0, returned: 0, ledgerId: 0, wants: 2 };
  assertEquals(await rig.answer({ askSlots: "one", concurrency: 4, node: "node2", report }), { ok: true });
  const grant = { ledgerId: 1, granted: 0 };
  assertEquals(await rig.answer({ tellSlots: "one", grant, wanted: 3 }), { ok: true, held: [] });
  assertEquals(rig.done, ["a wants 2 of one", "3 of one wanted"]);
});
