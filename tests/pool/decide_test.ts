import { assertEquals } from "@std/assert";
import { ClessError } from "../../src/base/errors.ts";
import { type Action, decide, mayEvict, retiredError } from "../../src/pool/decide.ts";
import { NO_FAILURES } from "../../src/pool/start_backoff.ts";
import type { Member, PoolState } from "../../src/pool/state.ts";
import { memberOf, NOW, stateOf } from "../support/pool_state.ts";

type Changes = Parameters<typeof stateOf>[0];

const ERROR = new ClessError("start_failed", "no");
const BUSY = { inFlight: 1, inUse: 1 };
const STARTING = { phase: "starting", coming: true, readySince: undefined } as const;
/** For 2 s, nothing is started unless a request waits. */
const BACKING_OFF = { ...NO_FAILURES, count: 1, until: NOW + 2000, lastAt: NOW };
/** Requests are refused for 2 s. */
const LOOPING = { ...BACKING_OFF, count: 3 };
const LAUNCH: Action = { do: "launch" };

/** The state, the actions, and if there are none, in how many ms to look again. */
type Case = [what: string, changes: Changes, actions: Action[], lookInMs?: number];

const CASES: Case[] = [
  ["a pool without instances and requests does nothing, and need not look again", {}, []],

  ["requests get an instance each", { waiting: 2 }, [LAUNCH, LAUNCH]],
  ["requests get no more instances than maxInstances", { waiting: 9 }, [LAUNCH, LAUNCH, LAUNCH]],
  ["without a limit of concurrency, any number of requests get one instance", {
    waiting: 9,
    revision: { concurrency: 0 },
  }, [
    LAUNCH,
  ]],
  ["nothing is launched for requests whose instance is already starting", {
    waiting: 1,
    members: [memberOf("one", STARTING)],
  }, []],
  ["paused instances are resumed before others are launched, the last used one first", {
    waiting: 3,
    members: [memberOf("old", { phase: "paused", use: { idleSince: 1 } }), memberOf("new", { phase: "paused" })],
  }, [{ do: "resume", id: "new" }, { do: "resume", id: "old" }, LAUNCH]],
  [
    "after a failure, no other start begins while one from before the failure is running",
    {
      waiting: 2,
      members: [memberOf("one", STARTING)],
      backoff: BACKING_OFF,
    },
    [],
  ],
  ["after a failure, a start that began later does not delay another one", {
    waiting: 2,
    members: [memberOf("one", { ...STARTING, countBefore: 1 })],
    backoff: BACKING_OFF,
  }, [LAUNCH]],
  ["after a failure, an adopted start does not delay another one", {
    waiting: 2,
    members: [memberOf("one", { ...STARTING, countBefore: Infinity })],
    backoff: BACKING_OFF,
  }, [LAUNCH]],
  [
    "in a crash loop nothing is launched while another instance serves, until the back-off is over",
    {
      waiting: 1,
      members: [memberOf("one", { use: BUSY })],
      backoff: LOOPING,
    },
    [],
    2000,
  ],
  ["in a crash loop a paused instance is resumed all the same", {
    waiting: 1,
    members: [memberOf("one", { phase: "paused" })],
    backoff: LOOPING,
  }, [{ do: "resume", id: "one" }]],
  ["until the reason of a failed start is known, nothing is launched in its place", {
    waiting: 1,
    members: [memberOf("one", { ...STARTING, phase: "failed" })],
  }, []],

  ["a woken pool launches an instance", { woken: true }, [LAUNCH]],
  ["a woken pool resumes a paused instance", { woken: true, members: [memberOf("one", { phase: "paused" })] }, [
    { do: "resume", id: "one" },
  ]],
  ["a woken pool launches nothing soon after a failure", { woken: true, backoff: BACKING_OFF }, []],
  [
    "a woken pool launches nothing while an instance is starting",
    { woken: true, members: [memberOf("one", STARTING)] },
    [],
  ],

  ["the minimum of instances is kept up", { kept: true, revision: { minInstances: 2 } }, [LAUNCH, LAUNCH]],
  ["to keep up the minimum, at most ten instances start or resume at the same time", {
    kept: true,
    revision: { minInstances: 20, maxInstances: 20 },
    members: [memberOf("one", STARTING), memberOf("two", { phase: "paused" })],
  }, [{ do: "resume", id: "two" }, ...Array<Action>(8).fill(LAUNCH)]],
  ["paused instances are resumed to keep up the minimum", {
    kept: true,
    revision: { minInstances: 1 },
    members: [memberOf("one", { phase: "paused" })],
  }, [{ do: "resume", id: "one" }]],
  ["the minimum is not kept up while the pool sleeps", {
    kept: true,
    asleep: true,
    revision: { minInstances: 1 },
  }, []],
  [
    "after a failure, the minimum is kept up again once the back-off is over",
    {
      kept: true,
      revision: { minInstances: 1 },
      backoff: BACKING_OFF,
    },
    [],
    2000,
  ],

  ["a pool looks again when its idle instance is due for a pause", { members: [memberOf("one")] }, [], 10_000],
  ["an instance that has been idle for pauseAfter is paused", {
    members: [memberOf("one", { use: { idleSince: NOW - 10_000 } })],
  }, [
    { do: "pause", id: "one" },
  ]],
  [
    "an instance in use is looked at again as if it became idle now",
    { members: [memberOf("one", { use: BUSY })] },
    [],
    10_000,
  ],
  [
    "an instance in use is looked at only every 100 ms, however short pauseAfter is",
    {
      members: [memberOf("one", { use: BUSY })],
      revision: { pauseAfterMs: 0 },
    },
    [],
    100,
  ],
  [
    "an instance that is due for a pause, but has a request that does not keep it awake, is looked at again soon",
    {
      members: [memberOf("one", { use: { inFlight: 1, idleSince: NOW - 10_000 } })],
    },
    [],
    500,
  ],
  [
    "an instance with only such a request is looked at again when it is due for a pause",
    {
      members: [memberOf("one", { use: { inFlight: 1, idleSince: NOW } })],
    },
    [],
    10_000,
  ],
  [
    "a pause that has failed is tried again later",
    {
      members: [memberOf("one", { use: { idleSince: NOW - 10_000 }, pauseAt: NOW + 5000 })],
    },
    [],
    5000,
  ],
  [
    "an instance whose pause hangs is not paused again",
    {
      members: [memberOf("one", { use: { idleSince: NOW - 10_000 }, pausing: true })],
    },
    [],
    50_000,
  ],
  [
    "a pool looks again when its paused instance is due for a stop",
    { members: [memberOf("one", { phase: "paused" })] },
    [],
    60_000,
  ],
  ["an instance that has been idle for stopAfter is stopped", {
    members: [memberOf("one", { phase: "paused", use: { idleSince: NOW - 60_000 } })],
  }, [{ do: "drain", id: "one", by: NOW + 5000, why: "idle" }]],
  ["what another cless decides about is neither paused nor stopped nor probed, however long it has been idle", {
    members: [
      memberOf("one", { use: { idleSince: NOW - 60_000, isOurs: false }, probeAt: NOW }),
      memberOf("two", { phase: "paused", use: { idleSince: NOW - 60_000, isOurs: false }, reclaimed: false }),
    ],
  }, []],
  [
    "while the others are asked about the end of an instance, nothing is done with it, and the minimum stays",
    {
      kept: true,
      revision: { minInstances: 1 },
      members: [
        memberOf("one", { use: { idleSince: NOW - 60_000 }, asking: true }),
        memberOf("two", { use: { idleSince: NOW - 60_000 } }),
      ],
    },
    [],
    500,
  ],
  [
    "who has not agreed to the end of an instance is not asked again at once",
    {
      members: [memberOf("one", { phase: "paused", use: { idleSince: NOW - 60_000 }, askAt: NOW + 5000 })],
    },
    [],
    5000,
  ],
  ["a paused instance that is being resumed stays, however long it has been idle", {
    members: [memberOf("one", { phase: "paused", coming: true, use: { idleSince: NOW - 60_000 } })],
  }, []],
  ["the minimum of instances stays, however long they have been idle", {
    kept: true,
    revision: { minInstances: 1 },
    members: [memberOf("one", { use: { idleSince: NOW - 60_000 } })],
  }, []],

  [
    "while an instance may be surplus, the demand is observed",
    {
      members: [memberOf("one", { use: BUSY }), memberOf("two", { use: BUSY })],
    },
    [],
    500,
  ],
  [
    "the demand is observed twice a second",
    {
      members: [memberOf("one", { use: BUSY }), memberOf("two", { use: BUSY })],
      window: [{ at: NOW - 100, peak: 2 }],
    },
    [],
    400,
  ],
  ["the least used instance is drained if fewer were enough for a whole window", {
    revision: { concurrency: 4 },
    members: [memberOf("one", { use: { inFlight: 2, inUse: 2 } }), memberOf("two", { use: BUSY })],
    window: [{ at: NOW - 60_000, peak: 3 }, { at: NOW, peak: 3 }],
  }, [{ do: "drain", id: "two", by: Infinity, why: "surplus" }]],
  ["of surplus instances, one that another cless decides about is not drained", {
    revision: { concurrency: 4 },
    members: [
      memberOf("one", { use: { inFlight: 2, inUse: 2 } }),
      memberOf("two", { use: { ...BUSY, isOurs: false } }),
    ],
    window: [{ at: NOW - 60_000, peak: 3 }, { at: NOW, peak: 3 }],
  }, [{ do: "drain", id: "one", by: Infinity, why: "surplus" }]],
  ["of two equally used instances, the one that was idle longer ago is drained", {
    revision: { concurrency: 4 },
    members: [memberOf("one", { use: BUSY }), memberOf("two", { use: { ...BUSY, idleSince: 1 } })],
    window: [{ at: NOW - 60_000, peak: 3 }, { at: NOW, peak: 3 }],
  }, [{ do: "drain", id: "two", by: Infinity, why: "surplus" }]],
  [
    "after one surplus instance is drained, the demand is observed anew before the next one",
    {
      revision: { concurrency: 4 },
      members: [memberOf("one", { use: BUSY }), memberOf("two", { use: BUSY })],
      window: [{ at: NOW - 60_000, peak: 3 }, { at: NOW, peak: 3 }],
      shrunkAt: NOW,
    },
    [],
    500,
  ],

  [
    "no instance is drained that the peak of the window needed",
    {
      revision: { concurrency: 4 },
      members: [memberOf("one", { use: BUSY }), memberOf("two", { use: BUSY })],
      window: [{ at: NOW - 60_000, peak: 5 }, { at: NOW, peak: 3 }],
    },
    [],
    500,
  ],
  [
    "no instance is drained while another one is starting",
    {
      revision: { concurrency: 4 },
      members: [memberOf("one", { use: BUSY }), memberOf("two", { use: BUSY }), memberOf("three", STARTING)],
      window: [{ at: NOW - 60_000, peak: 3 }, { at: NOW, peak: 3 }],
    },
    [],
    500,
  ],
  [
    "no instance is drained before the window is complete",
    {
      revision: { concurrency: 4 },
      members: [memberOf("one", { use: BUSY }), memberOf("two", { use: BUSY })],
      window: [{ at: NOW - 59_999, peak: 3 }, { at: NOW, peak: 3 }],
    },
    [],
    500,
  ],
  [
    "of more instances than the minimum, one is drained",
    {
      revision: { concurrency: 4, minInstances: 2 },
      kept: true,
      members: ["one", "two", "three"].map((id) => memberOf(id, { use: BUSY })),
      window: [{ at: NOW - 60_000, peak: 1 }, { at: NOW, peak: 1 }],
      shrunkAt: NOW - 1,
    },
    [{ do: "drain", id: "one", by: Infinity, why: "surplus" }],
  ],

  [
    "a draining instance waits for its requests in flight",
    {
      members: [memberOf("one", { phase: "draining", drainBy: NOW + 7000, use: BUSY })],
    },
    [],
    7000,
  ],
  ["a draining instance is stopped once nothing is in flight", {
    members: [memberOf("one", { phase: "draining" })],
  }, [{ do: "stop", id: "one", how: "stop" }]],
  ["a draining instance is stopped once its time is up", {
    members: [memberOf("one", { phase: "draining", drainBy: NOW, use: BUSY })],
  }, [{ do: "stop", id: "one", how: "stop" }]],
  ["a draining instance whose app is paused is killed, since it cannot end by itself", {
    members: [memberOf("one", { phase: "draining", running: false })],
  }, [{ do: "stop", id: "one", how: "kill" }]],
  ["a draining instance that hangs is stopped with less time to end", {
    members: [memberOf("one", { phase: "draining", drainBy: NOW, hung: true, use: BUSY })],
  }, [{ do: "stop", id: "one", how: "stop soon" }]],
  ["an instance that is being stopped is not stopped again", {
    members: [memberOf("one", { phase: "draining", stopping: true })],
  }, []],
  ["the container of an ended instance is removed", { members: [memberOf("one", { phase: "stopped" })] }, [
    { do: "stop", id: "one", how: "clear" },
  ]],
  ["the container of an instance that ended just as its app first answered is removed too", {
    members: [memberOf("one", { phase: "failed" })],
  }, [{ do: "stop", id: "one", how: "clear" }]],
  ["a cancelled start removes its container itself", {
    members: [memberOf("one", { phase: "stopped", coming: true })],
  }, []],

  ["an instance that somebody has paused during its requests is resumed", {
    members: [
      memberOf("serves", { phase: "paused", use: BUSY }),
      memberOf("comes", { phase: "paused", use: BUSY, coming: true }),
      memberOf("idle", { phase: "paused" }),
    ],
  }, [{ do: "resume", id: "serves" }]],

  ["a ready instance is probed when that is due", {
    members: [memberOf("one", { probeAt: NOW }), memberOf("two", { probeAt: NOW + 1 })],
  }, [{ do: "probe", id: "one" }]],
  ["a paused instance is not probed", { members: [memberOf("one", { phase: "paused", probeAt: NOW })] }, [], 60_000],
  ["a pool looks again when a probe is due", { members: [memberOf("one", { probeAt: NOW + 300 })] }, [], 300],

  [
    "after a failure, a pool looks again when an instance will have become healthy",
    {
      members: [
        memberOf("one", { ...STARTING, readySince: NOW - 1000, phase: "draining", coming: false, stopping: true }),
      ],
      backoff: { ...NO_FAILURES, ends: 1 },
    },
    [],
    59_000,
  ],

  ["a suspended pool starts nothing and pauses nothing", {
    suspensions: 1,
    waiting: 1,
    woken: true,
    members: [memberOf("one", { use: { idleSince: 0 } })],
  }, []],
  ["a suspended pool still stops its draining instances", {
    suspensions: 1,
    members: [memberOf("one", { phase: "draining" })],
  }, [{ do: "stop", id: "one", how: "stop" }]],
  ["a retired pool starts nothing, and keeps requests waiting whose instance is already starting", {
    retired: true,
    waiting: 3,
    members: [memberOf("one", STARTING)],
  }, []],
  ["a retired pool without requests does nothing", { retired: true, kept: true }, []],

  ["requests that waited for a failed start get its error", { waiting: 1, startError: ERROR }, [
    { do: "refuse", error: ERROR },
  ]],
  ["the error of a failed start that no request waited for goes to nobody", { startError: ERROR }, []],
];

for (const [what, changes, actions, lookInMs = Infinity] of CASES) {
  Deno.test(`deciding: ${what}`, () => {
    const decision = decide(stateOf(changes), NOW);
    assertEquals(decision.actions, actions);
    if (actions.length === 0) assertEquals(decision.lookAgainAt, NOW + lookInMs);
  });
}

/** The code of the error that refuses all requests, and its hint when to try again. */
function refusal(changes: Changes): [string | undefined, number | undefined] {
  const [action] = decide(stateOf(changes), NOW).actions;
  return action?.do === "refuse" ? [action.error.code, action.error.retryAfterS] : [undefined, undefined];
}

Deno.test("deciding: requests are refused in a crash loop, and by a retired pool without instances", () => {
  assertEquals(refusal({ waiting: 1, backoff: LOOPING }), ["crash_loop", 2]);
  assertEquals(refusal({ waiting: 1, retired: true }), [retiredError().code, 1]);
  assertEquals(refusal({ waiting: 1, backoff: BACKING_OFF }), [undefined, undefined]);
});

Deno.test("only an idle paused instance that the minimum does not need may be evicted", () => {
  const may = (member: Parameters<typeof memberOf>[1], changes: Partial<PoolState> = {}) =>
    mayEvict({ ...stateOf({ revision: { minInstances: 1 }, members: [memberOf("one", member)] }), ...changes }, "one");
  assertEquals(may({ phase: "paused" }), true);
  assertEquals([may({ phase: "ready" }), may({ phase: "paused", coming: true }), may({ phase: "paused", use: BUSY })], [
    false,
    false,
    false,
  ]);
  assertEquals([may({ phase: "paused" }, { kept: true }), may({ phase: "paused" }, { kept: true, asleep: true })], [
    false,
    true,
  ]);
});

Deno.test("the longest idle instances are paused or stopped first, and the minimum of instances is left as it is", () => {
  const members = ["a", "b", "c", "d"].map((id, n) => memberOf(id, { use: { idleSince: n * 1000 } }));
  const steps = (least: number, now: number) => {
    const { actions } = decide(stateOf({ members, kept: true, revision: { minInstances: least } }), now);
    const ids = (what: "pause" | "drain") => actions.map((action) => action.do === what ? action.id : "").join("");
    return [ids("pause"), ids("drain")];
  };
  assertEquals(steps(0, 11_000), ["ab", ""]);
  assertEquals(steps(3, 11_000), ["a", ""]);
  assertEquals(steps(4, 100_000), ["", ""]);
  assertEquals(steps(1, 100_000), ["", "abc"]);
  members[0] = memberOf("a", { phase: "paused", use: { idleSince: 0 } });
  members[3] = memberOf("d", { use: { ...BUSY, idleSince: 3000 } });
  assertEquals(steps(0, 61_000), ["c", "ab"]);
  assertEquals(steps(2, 100_000), ["", "ab"]);
});

Deno.test("an instance that is being stopped no longer counts as running, so the last running one is not paused too", () => {
  const members = [
    memberOf("a", { phase: "ready", use: { inFlight: 1, inUse: 0, idleSince: 0 } }), // its request does not keep it awake
    memberOf("p", { phase: "paused", use: { idleSince: 50_000 } }),
    memberOf("b", { phase: "ready", use: { idleSince: 50_000 } }),
  ];
  const revision = { minInstances: 1, pauseAfterMs: 10_000, stopAfterMs: 90_000 };
  const { actions } = decide(stateOf({ members, kept: true, revision }), 100_000);
  assertEquals(actions, [{ do: "drain", id: "a", by: 105_000, why: "idle" }]);
});

Deno.test("during a take-over, a pool starts what requests need, but pauses, drains and probes no instance", () => {
  const idle = memberOf("one", { phase: "ready", use: { idleSince: NOW - 1_000_000 }, probeAt: NOW });
  const few = { kept: true, revision: { minInstances: 2 } };
  for (const tenure of ["serve", "finish"] as const) {
    const means = { tenure, canHibernate: true };
    assertEquals(decide(stateOf({ members: [idle] }), NOW, means), { actions: [], lookAgainAt: Infinity });
    assertEquals(decide(stateOf({ ...few, members: [] }), NOW, means).actions, []);
    assertEquals(decide(stateOf({ waiting: 1 }), NOW, means).actions, [{ do: "launch" }]);
    const failed = decide(stateOf({ waiting: 1, startError: ERROR }), NOW, means).actions;
    assertEquals(failed, [{ do: "refuse", error: ERROR }]);
    const drained = memberOf("one", { phase: "draining" });
    assertEquals(decide(stateOf({ members: [drained] }), NOW, means).actions.map((action) => action.do), ["stop"]);
  }
});

Deno.test("slots that others may use too are asked for, of as many instances as the waiting requests may need", () => {
  const some = { use: { inFlight: 1, inUse: 1, slots: 1 } };
  const asked = (waiting: number, ...members: Member[]) =>
    decide(stateOf({ waiting, members, revision: { concurrency: 4, maxInstances: 9 } }), NOW).actions;
  const get = (id: string): Action => ({ do: "get slots", id });
  assertEquals(asked(0, memberOf("one", some)), []);
  assertEquals(asked(3, memberOf("one", some), memberOf("two", some)), [get("one")]);
  assertEquals(asked(4, memberOf("one", some), memberOf("two", some)), [get("one"), get("two")]);
  assertEquals(asked(4, memberOf("one", { ...some, getting: true }), memberOf("two", some)), [get("two")]);
  assertEquals(asked(3, memberOf("one", { ...some, getting: true }), memberOf("two", some)), []);
  assertEquals(asked(1, memberOf("all", { use: { inFlight: 4, inUse: 4, slots: 4 } })), [LAUNCH]);
  assertEquals(asked(1, memberOf("asleep", { phase: "paused", use: { slots: 0 } })), [{ do: "resume", id: "asleep" }]);
});

Deno.test("another instance is started only if others use the slots of those that are there", () => {
  const decided = (changes: Partial<Member>) => {
    const members = [memberOf("one", { use: { inFlight: 1, inUse: 1, slots: 1 }, ...changes })];
    return decide(stateOf({ waiting: 1, members, revision: { concurrency: 2, maxInstances: 9 } }), NOW);
  };
  assertEquals(decided({ getting: true }).actions, []);
  assertEquals(decided({ getting: true, isShort: true }).actions, [LAUNCH]);
  assertEquals(decided({ getAt: NOW + 1000, isShort: true }).actions, [LAUNCH]);
  const full = memberOf("one", { use: { slots: 0 }, getAt: NOW + 1000, isShort: true });
  const state = stateOf({ waiting: 1, members: [full], revision: { concurrency: 2, maxInstances: 1 } });
  assertEquals(decide(state, NOW), { actions: [], lookAgainAt: NOW + 1000 });
});

Deno.test("a superseded process starts nothing with a volume, since its successor may be using the volume", () => {
  const volumes = [{ source: "data", path: "/data", readOnly: false }];
  const state = stateOf({ waiting: 1, revision: { volumes } });
  assertEquals(decide(state, NOW, { tenure: "serve", canHibernate: true }).actions, [{ do: "launch" }]);
  const [action] = decide(state, NOW, { tenure: "finish", canHibernate: true }).actions;
  assertEquals([action?.do, action?.do === "refuse" && action.error.code], ["refuse", retiredError().code]);
});
