import { messageOf } from "../../../src/base/errors.ts";
import { type Act, type Disruption, expect, expectSameContainers, harm, measure, usualFlows } from "../disruption.ts";
import { cutOff } from "../judge.ts";
import { pause } from "../engine.ts";
import { IMAGE } from "../stage.ts";

const AWAY_MS = 3000;
const SLOW_MS = 2000;
/** What a cold start takes of an engine that is slow: it asks it some ten times. */
const SLOW_START_MS = 45_000;
const COLD = { image: IMAGE, env: { GREETING: "cold" }, startTimeout: "60s" };

/** What happens to the engine. */
export const ENGINE: readonly Disruption[] = [
  {
    name: "engine-killed",
    planned: false,
    requirement: {
      text: "SIGKILL of the engine and a start, which ends all containers: only what may not be sent twice",
      excuse: cutOff,
      longestWaitMs: 30_000,
    },
    needs: ["own engine"],
    // All that come while no container can be made wait: not more than may wait.
    flows: () => usualFlows(0.3),
    leastSent: 1000,
    run: killed,
  },
  {
    name: "engine-restarted",
    planned: false,
    requirement: {
      text: "SIGTERM of the engine, which ends all containers, and a start: only what may not be sent twice",
      excuse: cutOff,
      longestWaitMs: 30_000,
    },
    needs: ["own engine"],
    // All that come while no container can be made wait: not more than may wait.
    flows: () => usualFlows(0.3),
    leastSent: 1000,
    run: restarted,
  },
  {
    name: "engine-hangs",
    planned: false,
    requirement: { text: "the engine hangs for 30 s: 0 failed", longestWaitMs: 5000 },
    stage: { overLine: true },
    run: hangs,
  },
  {
    name: "engine-slow",
    planned: false,
    requirement: { text: "each call of the engine takes 2 s: 0 failed", longestWaitMs: 5000 },
    stage: { overLine: true },
    run: slow,
  },
];

async function killed(act: Act): Promise<void> {
  await act.engine.kill();
  await pause(AWAY_MS); // nothing is harmed by that yet
  await harm(act, undefined, async () => {
    await act.engine.begin();
    await untilAllAnswer(act);
  });
}

async function restarted(act: Act): Promise<void> {
  await harm(act, undefined, async () => {
    await act.engine.end();
    await pause(1000);
    await act.engine.begin();
    await untilAllAnswer(act);
  });
}

async function untilAllAnswer(act: Act): Promise<void> {
  const began = performance.now();
  await Promise.all(["app", "other", "idle"].map((service) => act.stage.untilAnswers(service)));
  act.note(`all answer ${inSeconds(performance.now() - began)} after the engine`);
}

async function hangs(act: Act): Promise<void> {
  const { engine, quick, stage } = act;
  await stage.cless.declare("cold", COLD);
  const before = await stage.containers();
  engine.line.hold();
  const began = performance.now();
  const cold = stage.ask("cold").then(
    ({ status, headers }) => `${status} ${headers.get("cless-error") ?? ""}`.trim(),
    messageOf,
  );
  await pause(quick ? 8000 : 30_000);
  engine.line.release();
  const told = await cold;
  expect(act, "a cold service that was asked meanwhile", told, "200", told === "200");
  act.note(`the cold start took ${inSeconds(performance.now() - began)}`);
  await stage.change("DELETE", "/v1/services/cold");
  await expectSameContainers(act, before);
}

async function slow(act: Act): Promise<void> {
  const { engine, stage } = act;
  await stage.cless.declare("cold", COLD);
  const before = await stage.containers();
  engine.line.slow(SLOW_MS);
  try {
    const began = performance.now();
    const { status } = await stage.ask("cold");
    const tookMs = performance.now() - began;
    expect(act, "a cold start meanwhile", status, "200", status === 200);
    measure(act, "a cold start meanwhile", inSeconds(tookMs), `≤ ${inSeconds(SLOW_START_MS)}`, tookMs <= SLOW_START_MS);
    if (!act.quick) await stage.deploy("app", "deployed-slowly");
    await pause(2000);
  } finally {
    engine.line.slow(0);
  }
  await stage.change("DELETE", "/v1/services/cold");
  if (act.quick) await expectSameContainers(act, before);
}

function inSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
