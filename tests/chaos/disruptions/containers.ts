import { docker } from "../../support/docker.ts";
import { type Act, type Disruption, expect, harm, measure, sendBeside, usualFlows } from "../disruption.ts";
import { cutOff, hung, suspect } from "../judge.ts";
import { pause } from "../engine.ts";

/** So long may it take until an app that hangs is replaced: 20 s without an answer, 10 s of questions, and a start. */
const HUNG_MS = 40_000;
/** How long after that its container may still be there. */
const STOPPED_MS = 10_000;
const EATER = { name: "eater", kind: "get", host: "eater.localhost", rate: 20, query: "eat=1" } as const;

/** What happens to apps and their containers. */
export const CONTAINERS: readonly Disruption[] = [
  {
    name: "container-killed",
    planned: false,
    requirement: { text: "docker kill: only what may not be sent twice", excuse: cutOff, longestWaitMs: 15_000 },
    run: (act) => often(act, "kill"),
  },
  {
    name: "docker-restart",
    planned: false,
    requirement: { text: "docker restart: only what may not be sent twice", excuse: cutOff, longestWaitMs: 15_000 },
    run: (act) => often(act, "restart", "--time=1"),
  },
  {
    name: "container-stopped",
    planned: false,
    requirement: {
      text: "SIGSTOP of an app: replaced, and only what may not be sent twice is lost",
      excuse: hung,
      longestWaitMs: HUNG_MS,
    },
    // All that come meanwhile wait: not so many that they would use up the connections.
    flows: () => usualFlows(0.2),
    leastSent: 1000,
    run: hang,
  },
  {
    name: "oom",
    planned: false,
    requirement: {
      text: "one request uses up the memory: it is sent twice at most, and only what went down with it is lost",
      excuse: suspect,
      longestWaitMs: 15_000,
    },
    run: outOfMemory,
  },
  {
    name: "memory-eater",
    planned: false,
    requirement: {
      text:
        "an app that eats all its memory again and again: only its own requests are lost, and it never is a crash loop",
      longestWaitMs: 15_000,
    },
    run: eatAgain,
  },
];

/** Does something to the app's container, again and again. */
async function often(act: Act, ...verb: string[]): Promise<void> {
  for (let n = 0; n < (act.quick ? 2 : 5); n++) {
    act.signal.throwIfAborted();
    const { id } = await act.stage.soleInstance("app");
    await harm(act, "app", async () => {
      await docker(...verb, id);
      await act.stage.untilAnswers("app");
    });
    await pause(1500);
  }
}

async function hang(act: Act): Promise<void> {
  if (act.quick) await act.stage.deploy("app", "first", { hangAfter: "3s" });
  const instance = await act.stage.soleInstance("app");
  const began = performance.now();
  await harm(act, "app", async () => {
    Deno.kill(await act.stage.pidOf(instance.id), "SIGSTOP");
    while ((await act.stage.instances("app")).some(({ id, state }) => id === instance.id && state === "ready")) {
      if (performance.now() - began > HUNG_MS) break;
      act.signal.throwIfAborted();
      await pause(200);
    }
    await act.stage.untilAnswers("app");
  });
  const tookMs = performance.now() - began;
  measure(
    act,
    "from SIGSTOP to a new instance",
    `${(tookMs / 1000).toFixed(1)} s`,
    `≤ ${HUNG_MS / 1000} s`,
    tookMs <= HUNG_MS,
  );
  const isThere = async () => (await act.stage.instances("app")).some(({ id }) => id === instance.id);
  const end = performance.now() + STOPPED_MS;
  while (await isThere() && performance.now() < end) await pause(200);
  const gone = !await isThere();
  expect(act, "the container that hung", gone ? "gone" : "still there", "gone", gone);
}

async function outOfMemory(act: Act): Promise<void> {
  const { stage } = act;
  await stage.deploy("app", "small", { memory: "64m" });
  await stage.untilAnswers("app", "small");
  await pause(1000);
  const sinceMs = Date.now();
  const answer = await harm(act, "app", async () => {
    const answer = await stage.ask("app", "/greedy?eat=200");
    await stage.untilAnswers("app", "small");
    return answer;
  });
  const told = `${answer.status} ${answer.headers.get("cless-error") ?? ""}`;
  expect(act, "the request that uses up the memory", told, "502 upstream_failed", told === "502 upstream_failed");
  await pause(1000);
  const created = await countCreated(act, sinceMs);
  expect(act, "containers that were started for it", created, "≤ 2", created <= 2);
}

/** How many containers of the app have been made since a moment, as the engine tells. */
async function countCreated({ stage }: Act, sinceMs: number): Promise<number> {
  const lines = await docker(
    "events",
    `--since=${(sinceMs / 1000).toFixed(3)}`,
    `--until=${(Date.now() / 1000).toFixed(3)}`,
    "--filter=event=create",
    `--filter=label=cless.owner=${stage.cless.owner}`,
    "--filter=label=cless.service=app",
    "--format={{.ID}}",
  );
  return lines.split("\n").filter(Boolean).length;
}

async function eatAgain(act: Act): Promise<void> {
  const { stage } = act;
  await stage.deploy("eater", "eater", { memory: "48m" });
  const sent = await sendBeside(act, [EATER], act.quick ? 6000 : 20_000);
  const eater = sent.flows[0]!;
  const of = (pattern: RegExp) => sent.failures.filter(({ cause }) => pattern.test(cause)).length;
  expect(act, "its answers with crash_loop", of(/crash_loop/), "0", of(/crash_loop/) === 0);
  const others = sent.failures.filter((failed) => !suspect(failed)).map(({ cause }) => cause);
  expect(
    act,
    "its failures but 502 upstream_failed",
    `${others.length} ${others[0] ?? ""}`.trim(),
    "0",
    others.length === 0,
  );
  const share = eater.good / eater.sent;
  measure(act, "its requests that were answered", `${eater.good} of ${eater.sent}`, "≥ 75%", share >= 0.75);
  await stage.change("DELETE", "/v1/services/eater");
}
