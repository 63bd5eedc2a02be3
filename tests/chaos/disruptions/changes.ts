import { BenchError } from "../../bench/support/errors.ts";
import { type Act, type Disruption, expectSameContainers, usualFlows } from "../disruption.ts";
import { unread } from "../judge.ts";
import { pause } from "../engine.ts";
import { buildImage, type Stage } from "../stage.ts";
import type { Flow } from "../traffic.ts";

const FOUND = "cless-chaos-found";
const UPGRADES = 5;
const QUICK_UPGRADES = 3;
/** What lasts so long that it is there before an upgrade and after it. */
const LONG: readonly Flow[] = [
  { name: "long streams", kind: "stream", host: "app.localhost", rate: 0.2, ms: 20_000 },
  { name: "long sockets", kind: "socket", host: "app.localhost", rate: 0.2, ms: 20_000 },
];

/** What somebody does on purpose. */
export const CHANGES: readonly Disruption[] = [
  {
    name: "deploys",
    planned: true,
    requirement: { text: "20 deploys, 0 failed", longestWaitMs: 10_000 },
    run: deploys,
  },
  {
    name: "traffic",
    planned: true,
    requirement: { text: "20 changes of the split, 0 failed", longestWaitMs: 10_000 },
    run: splits,
  },
  {
    name: "rollback",
    planned: true,
    requirement: { text: "10 rollbacks, 0 failed", longestWaitMs: 10_000 },
    run: rollbacks,
  },
  {
    name: "rebuilt",
    planned: true,
    requirement: { text: "3 rebuilt images, 0 failed", longestWaitMs: 10_000 },
    prepare: (theatre) => buildImage(theatre, `${FOUND}-docker`, "build-0"),
    stage: { flags: ["--convention"] },
    flows: () => [
      ...usualFlows(0.8),
      { name: "found, kept", kind: "get", host: `${FOUND}.localhost`, rate: 80 },
      { name: "found, new", kind: "get", host: `${FOUND}.localhost`, rate: 40, fresh: true },
    ],
    run: rebuilds,
  },
  {
    name: "upgrade",
    planned: true,
    requirement: {
      text: `${UPGRADES} upgrades, 0 failed; of 10,000 requests one may be reset before a byte of its answer`,
      excuse: unread,
      longestWaitMs: 10_000,
    },
    leastSent: 20_000,
    stage: {},
    flows: (quick) => [...usualFlows(1.7), ...(quick ? [] : LONG)],
    run: upgrades,
  },
];

async function deploys(act: Act): Promise<void> {
  const count = act.quick ? 8 : 20;
  for (let n = 1; n <= count; n++) {
    act.signal.throwIfAborted();
    await act.stage.deploy("app", `deploy-${n}`);
    await act.stage.untilAnswers("app", `deploy-${n}`);
  }
  act.afterwards.push((sent) => {
    const greetings = new Set(sent.flows.flatMap(({ greetings }) => Object.keys(greetings)));
    const seen = [...greetings].filter((greeting) => greeting.startsWith("deploy-")).length;
    return [{
      what: "revisions that answered",
      value: `${seen}`,
      bar: `${count}`,
      met: seen === count,
      correctness: true,
    }];
  });
}

async function splits(act: Act): Promise<void> {
  const { random, stage } = act;
  for (const greeting of ["one", "two", "three"]) await stage.deploy("app", greeting);
  const { body } = await stage.change("GET", "/v1/services/app/revisions");
  const names: string[] = JSON.parse(body).map(({ name }: { name: string }) => name).sort().slice(-3);
  for (let n = 0; n < 20; n++) {
    act.signal.throwIfAborted();
    const [first = 0, second = 100] = random.cuts(2, 100);
    const percents = [first, second - first, 100 - second];
    await stage.change(
      "PUT",
      "/v1/services/app/traffic",
      names.map((revision, at) => ({ revision, percent: percents[at] })),
    );
    await pause(act.quick ? 100 : 400);
  }
  await stage.change("PUT", "/v1/services/app/traffic", [{ revision: "latest", percent: 100 }]);
  await stage.untilAnswers("app", "three");
}

async function rollbacks(act: Act): Promise<void> {
  const { stage } = act;
  await stage.deploy("app", "before");
  await stage.deploy("app", "after");
  for (let n = 1; n <= 10; n++) {
    act.signal.throwIfAborted();
    await stage.change("POST", "/v1/services/app/rollback");
    await stage.untilAnswers("app", n % 2 === 1 ? "before" : "after");
  }
}

async function rebuilds(act: Act): Promise<void> {
  for (let n = 1; n <= 3; n++) {
    act.signal.throwIfAborted();
    await buildImage(act, `${FOUND}-docker`, `build-${n}`);
    await act.stage.untilAnswers(FOUND, `build-${n}`);
    await pause(1000);
  }
}

async function upgrades(act: Act): Promise<void> {
  const done = act.harms.harming();
  const before = await act.stage.containers();
  const tookMs: number[] = [];
  const count = act.quick ? QUICK_UPGRADES : UPGRADES;
  for (let n = 0; n < count; n++) {
    act.signal.throwIfAborted();
    const began = performance.now();
    await upgrade(act.stage);
    tookMs.push(performance.now() - began);
    act.note(`upgrade ${n + 1} of ${count}: ${tookMs.at(-1)!.toFixed(0)} ms`);
  }
  done();
  await expectSameContainers(act, before);
  act.afterwards.push(({ failures, flows }) => {
    const sent = flows.reduce((sum, flow) => sum + flow.sent, 0);
    const lost = failures.filter(unread).length;
    const most = Math.max(1, Math.floor(sent / 10_000));
    return [{
      what: "reset before a byte of the answer",
      value: `${lost} of ${sent}`,
      bar: `≤ ${most}`,
      met: lost <= most,
      correctness: true,
    }];
  });
}

/** Has another process take over; resolves when the old one has gone. */
async function upgrade({ cless }: Stage): Promise<void> {
  const old = cless.program;
  cless.begin(["--take-over"]);
  const successor = cless.program;
  const failed = successor.exit().then((code) => {
    throw new BenchError(`the successor has ended with exit code ${code}: ${successor.lastLine}`);
  });
  const late = pause(60_000).then(() => {
    throw new BenchError("the old process has not gone after 60 s");
  });
  late.catch(() => {});
  failed.catch(() => {});
  const code = await Promise.race([old.exit(), failed, late]);
  if (code !== 0) throw new BenchError(`the old process has ended with exit code ${code}`);
}
