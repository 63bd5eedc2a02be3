import { assertEquals, assertMatch } from "@std/assert";
import { Harms } from "../support/harms.ts";
import {
  broken,
  cutByProxy,
  cutOff,
  type Excuse,
  findingsTable,
  hung,
  judge,
  type JudgeOptions,
  linesTable,
  suspect,
  unread,
} from "./judge.ts";
import type { Failed, FlowReport, Sent } from "./traffic.ts";

const FLOW: FlowReport = {
  name: "kept",
  sent: 100,
  good: 100,
  goodInTime: 100,
  untold: 0,
  longestMs: 20,
  p50Ms: 1,
  p99Ms: 10,
  lateP99Ms: 0,
  greetings: {},
  ends: {},
};
const FAILED: Failed = {
  flow: "kept",
  kind: "get",
  host: "app.localhost",
  began: 0,
  ended: 1,
  cause: "502 upstream_failed",
  answering: false,
};
const OPTIONS: JudgeOptions = {
  planned: false,
  requirement: { text: "0 failed", longestWaitMs: 1000 },
  harms: new Harms(),
  leastSent: 100,
  findings: [],
  quick: false,
};

/** What is missed where so much was sent. */
function unmet(sent: Partial<Sent>, options: Partial<JudgeOptions> = {}): readonly string[] {
  return judge("line", { flows: [FLOW], failures: [], ...sent }, { ...OPTIONS, ...options }).unmet;
}

/** Whether a failure is excused that began while `app` was harmed. */
function isExcused(excuse: Excuse, failed: Partial<Failed>): boolean {
  const harms = new Harms();
  const done = harms.harming("app");
  const began = performance.now();
  done();
  const failures = [{ ...FAILED, began, ended: began + 1, ...failed }];
  return judge("line", { flows: [FLOW], failures }, {
    ...OPTIONS,
    harms,
    requirement: { ...OPTIONS.requirement, excuse },
  }).excused === 1;
}

Deno.test("a line meets its requirement if all was answered, soon enough and often enough", () => {
  assertEquals(unmet({}), []);
  assertEquals(unmet({}, { leastSent: 101 }), ["100 requests are too few to tell, 101 are needed"]);
  assertEquals(unmet({ flows: [FLOW, { ...FLOW, longestMs: 1500 }] }), [
    "the longest wait was 1.50 s, and not 1.00 s at most",
  ]);
  assertEquals(unmet({ failures: [FAILED] }), ["1 failed that had to be answered"]);
  assertEquals(unmet({ flows: [{ ...FLOW, untold: 7 }] }), ["7 failed that had to be answered"]);
});

Deno.test("what was looked at beside the requests counts as much as they do", () => {
  const finding = { what: "containers", value: "another", bar: "the same" };
  assertEquals(unmet({}, { findings: [{ ...finding, met: true }] }), []);
  assertEquals(unmet({}, { findings: [{ ...finding, met: false }] }), ["containers: another, wanted the same"]);
});

Deno.test("a short run judges whether answers are right, and only tells how fast they were", () => {
  const finding = { what: "goodput", value: "1/s", bar: "≥ 2/s", met: false };
  const slow = { flows: [{ ...FLOW, longestMs: 1500 }] };
  assertEquals(unmet(slow, { quick: true, findings: [finding] }), []);
  assertEquals(unmet(slow, { findings: [finding] }).length, 2);
  assertEquals(unmet({}, { quick: true, findings: [{ ...finding, correctness: true }] }).length, 1);
  assertEquals(unmet({ failures: [FAILED] }, { quick: true }).length, 1);
});

Deno.test("requests of all flows are summed up, and failures told by flow and cause", () => {
  const failures = [FAILED, FAILED, { ...FAILED, flow: "streams", cause: "cut off in the answer" }];
  const flows = [FLOW, { ...FLOW, sent: 10, good: 7, longestMs: 30 }];
  const { causes, excused, good, longestMs, sent } = judge("line", { flows, failures }, OPTIONS);
  assertEquals([sent, good, excused, longestMs], [110, 107, 0, 30]);
  assertEquals(Object.fromEntries(causes), { "kept: 502 upstream_failed": 2, "streams: cut off in the answer": 1 });
});

Deno.test("a failure is excused only while the service that it was for was being harmed", () => {
  assertEquals(isExcused(suspect, {}), true);
  assertEquals(isExcused(suspect, { host: "other.localhost" }), false);
  assertEquals(isExcused(suspect, { began: performance.now() + 60_000, ended: performance.now() + 60_001 }), false);
  assertEquals(isExcused(suspect, { began: 0, ended: 0.001 }), false);
});

Deno.test("harm to everybody excuses the requests for any service", () => {
  const harms = new Harms();
  const done = harms.harming();
  const began = performance.now();
  assertEquals([harms.wasHarmed("app", began, began + 1), harms.wasHarmed("other", began, began + 1)], [true, true]);
  done();
  assertEquals(harms.wasHarmed("app", began + 60_000, began + 60_001), false);
});

Deno.test("what a dead app had taken is excused if it may not be sent twice, and nothing else", () => {
  const stream: Partial<Failed> = { kind: "stream", answering: true, cause: "cut off in the answer" };
  const post: Partial<Failed> = { kind: "upload", cause: "502 upstream_failed" };
  assertEquals([isExcused(cutOff, stream), isExcused(cutOff, post), isExcused(cutOff, {})], [true, true, false]);
  for (const cause of ["502 start_failed", "503 crash_loop", "503 overloaded", "504 start_timeout", "refused"]) {
    assertEquals(isExcused(cutOff, { ...post, cause }), false, cause);
  }
});

Deno.test("a request that may have ended its app need not be sent twice, but it is told so", () => {
  assertEquals([isExcused(suspect, {}), isExcused(suspect, { cause: "503 crash_loop" })], [true, false]);
});

Deno.test("an upload to an app that hangs may run into its time limit, a GET may not", () => {
  const cause = "504 upstream_timeout";
  assertEquals([isExcused(hung, { kind: "upload", cause }), isExcused(hung, { cause })], [true, false]);
});

Deno.test("where the program itself has gone, connections end, but it gives no wrong answer", () => {
  for (const cause of ["refused", "reset before an answer", "a kept connection closed before an answer"]) {
    assertEquals(isExcused(cutByProxy, { cause }), true, cause);
  }
  assertEquals(isExcused(cutByProxy, { cause: "503 draining" }), false);
});

Deno.test("in an upgrade only a request is lost that has crossed the end of its connection", () => {
  for (const cause of ["reset before an answer", "a kept connection closed before an answer"]) {
    assertEquals(isExcused(unread, { cause }), true, cause);
  }
  for (const cause of ["refused", "cut off in the head", "503 draining"]) {
    assertEquals(isExcused(unread, { cause }), false, cause);
  }
  assertEquals(isExcused(unread, { cause: "cut off in the answer", answering: true }), false);
});

Deno.test("the tables have a line for each disruption, and say which requirement was missed", () => {
  const good = judge("deploys", { flows: [FLOW], failures: [] }, { ...OPTIONS, planned: true });
  const findings = [{ what: "containers", value: "another", bar: "the same", met: false }];
  const bad = judge("oom", { flows: [FLOW], failures: [FAILED] }, { ...OPTIONS, findings });
  const text = linesTable([good, bad, broken("upgrade", good, "unknown flag")]);
  assertMatch(text, /\| deploys, planned +\| +100 \| +100 \| +0 \| +0 \| +0\.02 s \|.*0 failed.*\| +met \|/);
  assertMatch(text, /\| oom +\|.*1 kept: 502 upstream_failed.*\| MISSED \|/);
  assertMatch(text, /\| upgrade, planned \| +0 \|.*\| MISSED \|/);
  assertMatch(findingsTable([good, bad]), /\| oom: containers +\| another \| the same \| MISSED \|/);
});
