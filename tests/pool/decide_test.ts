import { assertEquals } from "@std/assert";
import { ClessError } from "../../src/base/errors.ts";
import { type Action, decide, mayEvict, retiredError } from "../../src/pool/decide.ts";
import { NO_FAILURES } from "../../src/pool/start_backoff.ts";
import type { PoolState } from "../../src/pool/state.ts";
import { memberOf, NOW, stateOf } from "../support/pool_state.ts";

type Changes = Parameters<typeof stateOf>[0];

const ERROR = new ClessError("start_failed", "no");
const BUSY = { inFlight: 1, inUse: 1 };
const STARTING = { phase: "starting", coming: true, readySince: undefined } as const;
/** Nothing is started unasked for 2 s; requests may try again. */
const BACKING_OFF = { ...NO_FAILURES, count: 1, until: NOW + 2000, lastAt: NOW };
/** Requests are refused for 2 s. */
const LOOPING = { ...BACKING_OFF, count: 3 };
const LAUNCH: Action = { do: "launch" };

/** The state, what is to be done, and if that is nothing, in how many ms to look again. */
type Case = [what: string, changes: Changes, actions: Action[], lookInMs?: number];

const CASES: Case[] = [
  ["a pool without instances and requests does nothing, ever", {}, []],

  ["requests get an instance each", { waiting: 2 }, [LAUNCH, LAUNCH]],
  ["requests get no more instances than there may be", { waiting: 9 }, [LAUNCH, LAUNCH, LAUNCH]],
  ["any number of requests get one instance that takes them all", { waiting: 9, revision: { concurrency: 0 } }, [
    LAUNCH,
  ]],
  ["nothing is launched for requests whose instance is on its way", {
    waiting: 1,
    members: [memberOf("one", STARTING)],
  }, []],
  ["paused instances are resumed first, the one that was used last before the others", {
    waiting: 3,
    members: [memberOf("old", { phase: "paused", use: { idleSince: 1 } }), memberOf("new", { phase: "paused" })],
  }, [{ do: "resume", id: "new" }, { do: "resume", id: "old" }, LAUNCH]],
  [
    "a start that began before the last failure is waited for",
    {
      waiting: 2,
      members: [memberOf("one", STARTING)],
      backoff: BACKING_OFF,
    },
    [],
  ],
  ["a start that began after the last failure is not waited for", {
    waiting: 2,
    members: [memberOf("one", { ...STARTING, countBefore: 1 })],
    backoff: BACKING_OFF,
  }, [LAUNCH]],
  ["a start that was found is no sign of a failure", {
    waiting: 2,
    members: [memberOf("one", { ...STARTING, countBefore: Infinity })],
    backoff: BACKING_OFF,
  }, [LAUNCH]],
  [
    "in a crash loop nothing is launched while another instance serves, and then it is tried again",
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
  ["while it is not known why a start has failed, nothing is launched in its place", {
    waiting: 1,
    members: [memberOf("one", { ...STARTING, phase: "failed" })],
  }, []],

  ["an instance that is woken is launched", { woken: true }, [LAUNCH]],
  ["an instance that is woken is resumed", { woken: true, members: [memberOf("one", { phase: "paused" })] }, [
    { do: "resume", id: "one" },
  ]],
  ["nothing is launched unasked soon after a failure", { woken: true, backoff: BACKING_OFF }, []],
  ["nothing is launched for a wake that is under way", { woken: true, members: [memberOf("one", STARTING)] }, []],

  ["the smallest number is kept up", { kept: true, revision: { minInstances: 2 } }, [LAUNCH, LAUNCH]],
  ["no more than ten instances are kept up at once", {
    kept: true,
    revision: { minInstances: 20, maxInstances: 20 },
    members: [memberOf("one", STARTING), memberOf("two", { phase: "paused" })],
  }, [{ do: "resume", id: "two" }, ...Array<Action>(8).fill(LAUNCH)]],
  ["the smallest number is kept up by what is paused", {
    kept: true,
    revision: { minInstances: 1 },
    members: [memberOf("one", { phase: "paused" })],
  }, [{ do: "resume", id: "one" }]],
  ["the smallest number is not kept up while the pool sleeps", {
    kept: true,
    asleep: true,
    revision: { minInstances: 1 },
  }, []],
  [
    "the smallest number is kept up again some time after a failure",
    {
      kept: true,
      revision: { minInstances: 1 },
      backoff: BACKING_OFF,
    },
    [],
    2000,
  ],

  ["an idle instance is paused in its time", { members: [memberOf("one")] }, [], 10_000],
  ["an idle instance is paused", { members: [memberOf("one", { use: { idleSince: NOW - 10_000 } })] }, [
    { do: "pause", id: "one" },
  ]],
  ["an instance in use may be idle from now on", { members: [memberOf("one", { use: BUSY })] }, [], 10_000],
  [
    "an instance in use is not looked at all the time, however soon it is to be paused",
    {
      members: [memberOf("one", { use: BUSY })],
      revision: { pauseAfterMs: 0 },
    },
    [],
    100,
  ],
  [
    "an instance that only answers requests that keep nobody awake is looked at soon",
    {
      members: [memberOf("one", { use: { inFlight: 1, idleSince: NOW - 10_000 } })],
    },
    [],
    500,
  ],
  [
    "an instance that only answers such requests is looked at in its time",
    {
      members: [memberOf("one", { use: { inFlight: 1, idleSince: NOW } })],
    },
    [],
    10_000,
  ],
  [
    "an instance that could not be paused is tried again later",
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
  ["a paused instance is stopped in its time", { members: [memberOf("one", { phase: "paused" })] }, [], 60_000],
  ["an instance that is idle for long is stopped", {
    members: [memberOf("one", { phase: "paused", use: { idleSince: NOW - 60_000 } })],
  }, [{ do: "drain", id: "one", by: NOW + 5000, why: "idle" }]],
  ["a paused instance that is being resumed stays, however long it has been idle", {
    members: [memberOf("one", { phase: "paused", coming: true, use: { idleSince: NOW - 60_000 } })],
  }, []],
  ["the smallest number stays, however idle", {
    kept: true,
    revision: { minInstances: 1 },
    members: [memberOf("one", { use: { idleSince: NOW - 60_000 } })],
  }, []],

  [
    "while there may be too many instances, the demand is watched",
    {
      members: [memberOf("one", { use: BUSY }), memberOf("two", { use: BUSY })],
    },
    [],
    500,
  ],
  [
    "while the demand is watched, it is looked at twice a second",
    {
      members: [memberOf("one", { use: BUSY }), memberOf("two", { use: BUSY })],
      window: [{ at: NOW - 100, peak: 2 }],
    },
    [],
    400,
  ],
  ["the least used instance goes where fewer were enough for a whole window", {
    revision: { concurrency: 4 },
    members: [memberOf("one", { use: { inFlight: 2, inUse: 2 } }), memberOf("two", { use: BUSY })],
    window: [{ at: NOW - 60_000, peak: 3 }, { at: NOW, peak: 3 }],
  }, [{ do: "drain", id: "two", by: Infinity, why: "surplus" }]],
  ["of two that are used as much the one goes that was idle before", {
    revision: { concurrency: 4 },
    members: [memberOf("one", { use: BUSY }), memberOf("two", { use: { ...BUSY, idleSince: 1 } })],
    window: [{ at: NOW - 60_000, peak: 3 }, { at: NOW, peak: 3 }],
  }, [{ do: "drain", id: "two", by: Infinity, why: "surplus" }]],
  [
    "one instance goes at a time, and then the demand is looked at anew",
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
    "no instance goes that the peak of the window needed",
    {
      revision: { concurrency: 4 },
      members: [memberOf("one", { use: BUSY }), memberOf("two", { use: BUSY })],
      window: [{ at: NOW - 60_000, peak: 5 }, { at: NOW, peak: 3 }],
    },
    [],
    500,
  ],
  [
    "no instance goes while another one comes",
    {
      revision: { concurrency: 4 },
      members: [memberOf("one", { use: BUSY }), memberOf("two", { use: BUSY }), memberOf("three", STARTING)],
      window: [{ at: NOW - 60_000, peak: 3 }, { at: NOW, peak: 3 }],
    },
    [],
    500,
  ],
  [
    "no instance goes before the window is whole",
    {
      revision: { concurrency: 4 },
      members: [memberOf("one", { use: BUSY }), memberOf("two", { use: BUSY })],
      window: [{ at: NOW - 59_999, peak: 3 }, { at: NOW, peak: 3 }],
    },
    [],
    500,
  ],
  [
    "of more instances than must always be up, one goes",
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
    "an instance that drains waits for what is in flight",
    {
      members: [memberOf("one", { phase: "draining", drainBy: NOW + 7000, use: BUSY })],
    },
    [],
    7000,
  ],
  ["an instance that drains is stopped once nothing is in flight", {
    members: [memberOf("one", { phase: "draining" })],
  }, [{ do: "stop", id: "one", how: "stop" }]],
  ["an instance that drains is stopped once its time is up", {
    members: [memberOf("one", { phase: "draining", drainBy: NOW, use: BUSY })],
  }, [{ do: "stop", id: "one", how: "stop" }]],
  ["a frozen app cannot end by itself", {
    members: [memberOf("one", { phase: "draining", running: false })],
  }, [{ do: "stop", id: "one", how: "kill" }]],
  ["one that hangs is stopped without the usual time to end", {
    members: [memberOf("one", { phase: "draining", drainBy: NOW, hung: true, use: BUSY })],
  }, [{ do: "stop", id: "one", how: "stop soon" }]],
  ["an instance is stopped once", { members: [memberOf("one", { phase: "draining", stopping: true })] }, []],
  ["what has ended is cleared away", { members: [memberOf("one", { phase: "stopped" })] }, [
    { do: "stop", id: "one", how: "clear" },
  ]],
  ["what has ended just as it answered for the first time is cleared away too", {
    members: [memberOf("one", { phase: "failed" })],
  }, [{ do: "stop", id: "one", how: "clear" }]],
  ["a start that was called off clears away itself", {
    members: [memberOf("one", { phase: "stopped", coming: true })],
  }, []],

  ["what somebody has paused in the middle of requests goes on", {
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
  ["a probe is waited for", { members: [memberOf("one", { probeAt: NOW + 300 })] }, [], 300],

  [
    "after a failure an instance is looked at when it is healthy",
    {
      members: [
        memberOf("one", { ...STARTING, readySince: NOW - 1000, phase: "draining", coming: false, stopping: true }),
      ],
      backoff: { ...NO_FAILURES, ends: 1 },
    },
    [],
    59_000,
  ],

  ["a pool that is suspended starts nothing and pauses nothing", {
    suspensions: 1,
    waiting: 1,
    woken: true,
    members: [memberOf("one", { use: { idleSince: 0 } })],
  }, []],
  ["a pool that is suspended still stops what drains", {
    suspensions: 1,
    members: [memberOf("one", { phase: "draining" })],
  }, [{ do: "stop", id: "one", how: "stop" }]],
  ["a pool that has retired starts nothing for requests that have what they wait for on its way", {
    retired: true,
    waiting: 3,
    members: [memberOf("one", STARTING)],
  }, []],
  ["a pool that has retired without requests does nothing", { retired: true, kept: true }, []],

  ["requests that waited for a start that has failed get its error", { waiting: 1, startError: ERROR }, [
    { do: "refuse", error: ERROR },
  ]],
  ["a failed start that nobody waits for is nobody's error", { startError: ERROR }, []],
];

for (const [what, changes, actions, lookInMs = Infinity] of CASES) {
  Deno.test(`deciding: ${what}`, () => {
    const decision = decide(stateOf(changes), NOW);
    assertEquals(decision.actions, actions);
    if (actions.length === 0) assertEquals(decision.lookAgainAt, NOW + lookInMs);
  });
}

/** The code and the hint of the error with which all requests are sent away. */
function refusal(changes: Changes): [string | undefined, number | undefined] {
  const [action] = decide(stateOf(changes), NOW).actions;
  return action?.do === "refuse" ? [action.error.code, action.error.retryAfterS] : [undefined, undefined];
}

Deno.test("deciding: requests are refused where there is no hope for them", () => {
  assertEquals(refusal({ waiting: 1, backoff: LOOPING }), ["crash_loop", 2]);
  assertEquals(refusal({ waiting: 1, retired: true }), [retiredError().code, 1]);
  assertEquals(refusal({ waiting: 1, backoff: BACKING_OFF }), [undefined, undefined]);
});

Deno.test("only a paused instance that need not be kept up may be evicted", () => {
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

Deno.test("of several instances the longest idle go first, and as many stay as they are as must", () => {
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

Deno.test("an instance that is stopped counts as running no more, so that the minimum is not paused beside it", () => {
  const members = [
    memberOf("a", { phase: "ready", use: { inFlight: 1, inUse: 0, idleSince: 0 } }), // its request does not keep it awake
    memberOf("p", { phase: "paused", use: { idleSince: 50_000 } }),
    memberOf("b", { phase: "ready", use: { idleSince: 50_000 } }),
  ];
  const revision = { minInstances: 1, pauseAfterMs: 10_000, stopAfterMs: 90_000 };
  const { actions } = decide(stateOf({ members, kept: true, revision }), 100_000);
  assertEquals(actions, [{ do: "drain", id: "a", by: 105_000, why: "idle" }]);
});

Deno.test("while another process takes over, a pool starts what requests need, and neither pauses, stops nor asks", () => {
  const idle = memberOf("one", { phase: "ready", use: { idleSince: NOW - 1_000_000 }, probeAt: NOW });
  const few = { kept: true, revision: { minInstances: 2 } };
  for (const tenure of ["serve", "finish"] as const) {
    assertEquals(decide(stateOf({ members: [idle] }), NOW, tenure), { actions: [], lookAgainAt: Infinity });
    assertEquals(decide(stateOf({ ...few, members: [] }), NOW, tenure).actions, []);
    assertEquals(decide(stateOf({ waiting: 1 }), NOW, tenure).actions, [{ do: "launch" }]);
    const failed = decide(stateOf({ waiting: 1, startError: ERROR }), NOW, tenure).actions;
    assertEquals(failed, [{ do: "refuse", error: ERROR }]);
    const drained = memberOf("one", { phase: "draining" });
    assertEquals(decide(stateOf({ members: [drained] }), NOW, tenure).actions.map((action) => action.do), ["stop"]);
  }
});

Deno.test("a process that is superseded starts nothing with a volume, which its successor may be using", () => {
  const volumes = [{ source: "data", path: "/data", readOnly: false }];
  const state = stateOf({ waiting: 1, revision: { volumes } });
  assertEquals(decide(state, NOW, "serve").actions, [{ do: "launch" }]);
  const [action] = decide(state, NOW, "finish").actions;
  assertEquals([action?.do, action?.do === "refuse" && action.error.code], ["refuse", retiredError().code]);
});
