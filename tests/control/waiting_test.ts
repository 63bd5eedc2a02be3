import { assertEquals } from "@std/assert";
import { RunningDeploys } from "../../src/control/running_deploys.ts";
import { type WaitedFor, waitingOf } from "../../src/control/waiting.ts";
import type { Probed } from "../../src/pool/probe.ts";

const SINCE = 5000;
const STARTED = 7000;

/** An instance of `web-00002` whose container runs, unless `known` says something else. */
function instance(known: Partial<WaitedFor> = {}): WaitedFor {
  return {
    id: "web-a1b2",
    state: "starting",
    origin: "http://172.18.0.2:8080",
    probed: undefined,
    startedAt: new Date(STARTED),
    waking: undefined,
    revision: { name: "web-00002", service: "web", port: 8080, readinessPath: "/health" },
    ...known,
  };
}

function begin() {
  return new RunningDeploys().begin({ service: "web", image: "shop:2", by: "ci", startedAt: SINCE });
}

Deno.test("a deploy waits for its pull, with the layers once some are known", () => {
  const deploy = begin();
  assertEquals(waitingOf(deploy, [instance()]), undefined);
  deploy.pull = { done: 0, total: 0 };
  assertEquals(waitingOf(deploy, []), { for: "pull", text: "pulling shop:2", since: SINCE, image: "shop:2" });
  deploy.pull = { done: 2, total: 7 };
  assertEquals(waitingOf(deploy, []), {
    ...{ for: "pull", text: "pulling shop:2: 2 of 7 layers", since: SINCE },
    ...{ image: "shop:2", done: 2, total: 7 },
  });
});

Deno.test("a deploy waits for the instance of its own revision, and not for others of the service", () => {
  const deploy = begin();
  deploy.revision = "web-00002";
  const old = instance({ id: "web-old", revision: { ...instance().revision, name: "web-00001" } });
  assertEquals(waitingOf(deploy, [old]), undefined);
  assertEquals(waitingOf(deploy, [old, instance({ state: "ready" })]), undefined);
  assertEquals(waitingOf(deploy, [old, instance({ origin: "" })]), {
    ...{ for: "container", text: "making the container of web-00002", since: SINCE },
    ...{ revision: "web-00002", instance: "web-a1b2" },
  });
});

Deno.test("a deploy whose volumes another revision has waits until that one has stopped, and then for its own start", () => {
  const deploy = begin();
  [deploy.revision, deploy.isHandingOver] = ["web-00002", true];
  const old = instance({ state: "draining", revision: { ...instance().revision, name: "web-00001" } });
  const text = "what has the volumes of web-00002 must stop first, after its last requests";
  assertEquals(waitingOf(deploy, [old]), { for: "handover", text, since: SINCE, revision: "web-00002" });
  assertEquals(waitingOf(deploy, [old, instance()])?.for, "answer");
});

Deno.test("what an app does when it is probed is said in words", () => {
  const texts: [probed: Probed | undefined, text: string][] = [
    [undefined, "no answer on port 8080 yet"],
    ["refused", "nothing listens on port 8080 yet"],
    ["closed", "port 8080 closes connections without an answer"],
    ["garbage", "what answers on port 8080 is not HTTP"],
    ["silent", "no answer on port 8080 yet"],
    ["unsure", "no answer on port 8080 yet"],
    [503, "GET /health on port 8080 gives 503"],
  ];
  for (const [probed, text] of texts) {
    const known = { for: "answer" as const, text, since: STARTED, revision: "web-00002", instance: "web-a1b2" };
    assertEquals(waitingOf(undefined, [instance({ probed })]), probed === undefined ? known : { ...known, probed });
  }
});

Deno.test("ports that the image exposes are named if the app is expected at another one", () => {
  const textOf = (probed: Probed, exposed: number[]) =>
    waitingOf(undefined, [instance({ probed })], new Map([["web-a1b2", exposed]]))?.text;
  assertEquals(textOf("refused", [3000]), "nothing listens on port 8080 yet; the image exposes 3000");
  assertEquals(
    textOf("closed", [80, 3000]),
    "port 8080 closes connections without an answer; the image exposes 80, 3000",
  );
  for (const exposed of [[], [8080], [3000, 8080]]) {
    assertEquals(textOf("refused", exposed), "nothing listens on port 8080 yet");
  }
  assertEquals(textOf(503, [3000]), "GET /health on port 8080 gives 503");
});

Deno.test("a service without a deploy waits for an instance that starts, or for one that wakes", () => {
  const asleep = (how: "resume" | "hibernated") =>
    instance({
      state: how === "resume" ? "paused" : "hibernated",
      waking: { how, by: { kind: "unknown" }, beganMs: 0 },
    });
  assertEquals(waitingOf(undefined, [instance({ state: "paused" }), instance({ state: "ready" })]), undefined);
  assertEquals(waitingOf(undefined, [asleep("resume")])?.text, "web-00002 is being resumed");
  const fromSwap = waitingOf(undefined, [asleep("hibernated")]);
  assertEquals(fromSwap?.text, "the memory of web-00002 is being read from the swap");
  assertEquals([fromSwap?.for, fromSwap?.since], ["resume", STARTED]);
  assertEquals(waitingOf(undefined, [asleep("resume"), instance()])?.for, "answer");
});
