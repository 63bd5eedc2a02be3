import type { Finding } from "../../bench/support/finding.ts";
import { BenchError } from "../../bench/support/errors.ts";
import { HttpClient } from "../../bench/support/http_client.ts";
import { type Act, type Disruption, expect, expectSameContainers, harm, sendBeside } from "../disruption.ts";
import { cutByProxy } from "../judge.ts";
import { pause } from "../engine.ts";
import { IMAGE } from "../stage.ts";
import { type Sent, Traffic } from "../traffic.ts";

/** From exec to the first connection, ms. */
const LISTENING_MS = { executable: 300, source: 500 };
const DESCRIPTORS = 256;
const IDLE_CLIENTS = 400;
const ACCEPTS_MS = 10_000;
const HOUR_S = 3600;
/** Where Debian's package puts the library. */
export const FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/** What happens to the process of cless, and to its machine. */
export const PROCESS: readonly Disruption[] = [
  {
    name: "cless-killed",
    planned: false,
    requirement: {
      text: "SIGKILL and a start: nothing but what was in flight, and what came while nobody listened",
      excuse: cutByProxy,
      longestWaitMs: 10_000,
    },
    run: killed,
  },
  {
    name: "cless-stopped",
    planned: false,
    requirement: { text: "SIGSTOP for 3 s, SIGCONT: 0 failed, no container replaced", longestWaitMs: 10_000 },
    run: stopped,
  },
  {
    name: "descriptors",
    planned: false,
    requirement: {
      text: `${DESCRIPTORS} descriptors and ${IDLE_CLIENTS} idle connections: 0 failed on kept ones`,
      longestWaitMs: 10_000,
    },
    needs: ["prlimit"],
    stage: { runner: ["prlimit", `--nofile=${DESCRIPTORS}`] },
    flows: () => [
      { name: "kept", kind: "get", host: "app.localhost", rate: 100, connections: 4 },
      { name: "other, kept", kind: "get", host: "other.localhost", rate: 50, connections: 4 },
    ],
    leastSent: 1000,
    run: outOfDescriptors,
  },
  {
    name: "clock",
    planned: false,
    requirement: {
      text: "the clock steps by +1 h and by −1 h: 0 failed, no container replaced",
      longestWaitMs: 10_000,
    },
    needs: ["faketime"],
    stage: ({ folder }) => ({
      env: {
        LD_PRELOAD: FAKETIME,
        FAKETIME_TIMESTAMP_FILE: clockFile(folder),
        FAKETIME_CACHE_DURATION: "1",
        FAKETIME_DONT_FAKE_MONOTONIC: "1",
      },
    }),
    prepare: ({ folder }) => Deno.writeTextFile(clockFile(folder), "+0"),
    run: clockSteps,
  },
];

async function killed(act: Act): Promise<void> {
  const { cless } = act.stage;
  const before = await act.stage.containers();
  const killed: number[] = [];
  const begun: number[] = [];
  for (let n = 0; n < 3; n++) {
    act.signal.throwIfAborted();
    await harm(act, undefined, async () => {
      killed.push(performance.now());
      await cless.kill();
      begun.push(performance.now());
      await act.stage.restart();
    });
    await pause(act.quick ? 1000 : 3000);
  }
  await expectSameContainers(act, before);
  act.afterwards.push((
    sent,
  ) => [listening(sent, killed, begun, act.executable === undefined ? "source" : "executable")]);
}

/** How long nobody listened after each start. */
function listening(
  { failures }: Sent,
  killed: readonly number[],
  begun: readonly number[],
  from: keyof typeof LISTENING_MS,
): Finding {
  const gaps = begun.map((at, n) => {
    const next = killed[n + 1] ?? Infinity;
    const refused = failures.filter(({ began, cause, ended }) => cause === "refused" && ended > at && began < next);
    return Math.max(0, ...refused.map(({ ended }) => ended - at));
  });
  const longest = Math.max(...gaps);
  return {
    what: `from exec to listening, ${from}`,
    value: `${gaps.map((ms) => ms.toFixed(0)).join(", ")} ms`,
    bar: `≤ ${LISTENING_MS[from]} ms`,
    met: longest <= LISTENING_MS[from],
  };
}

async function stopped(act: Act): Promise<void> {
  const before = await act.stage.containers();
  for (let n = 0; n < (act.quick ? 1 : 2); n++) {
    act.stage.cless.program.signal("SIGSTOP");
    await pause(3000);
    act.stage.cless.program.signal("SIGCONT");
    await pause(4000);
  }
  await expectSameContainers(act, before);
}

async function outOfDescriptors(act: Act): Promise<void> {
  const { stage } = act;
  await stage.cless.declare("cold", { image: IMAGE, env: { GREETING: "cold" } });
  const before = await stage.containers();
  using client = new HttpClient(1);
  const ask = (service: string) => client.ask(stage.cless.url, { host: `${service}.localhost` });
  await ask("app"); // its connection is kept from now on
  {
    const idle = { name: "idle", kind: "idle", host: "app.localhost", clients: IDLE_CLIENTS } as const;
    await using clients = Traffic.start(act.sender, stage.cless.url, [idle], act.seed);
    await pause(3000);
    const started = await ask("cold");
    expect(
      act,
      "a cold start meanwhile",
      `${started.status} ${started.headers.get("cless-error") ?? ""}`,
      "200",
      started.status === 200,
    );
    await pause(act.quick ? 1000 : 5000);
    const { flows: [report] } = await clients.finish();
    act.note(`idle clients: ${JSON.stringify(report!.ends)}`);
  }
  const began = performance.now();
  await untilAccepts(act);
  const fresh = { name: "new", kind: "get", host: "app.localhost", rate: 50, fresh: true } as const;
  const { failures } = await sendBeside(act, [fresh], 2000);
  expect(act, "new connections that fail once the idle ones have gone", failures.length, "0", failures.length === 0);
  act.note(`new connections are served again after ${(performance.now() - began - 2000).toFixed(0)} ms`);
  await stage.change("DELETE", "/v1/services/cold");
  await expectSameContainers(act, before);
}

/** Waits until a new connection is served. @throws {BenchError} When none is. */
async function untilAccepts({ signal, stage }: Act): Promise<void> {
  using client = new HttpClient(0);
  const end = performance.now() + ACCEPTS_MS;
  for (; performance.now() < end; await pause(20)) {
    signal.throwIfAborted();
    const answer = await client.ask(stage.cless.url, { host: "app.localhost" }).catch(() => undefined);
    if (answer?.status === 200) return;
  }
  throw new BenchError(`no new connection is served within ${ACCEPTS_MS / 1000} s`);
}

function clockFile(folder: string): string {
  return `${folder}/faketime`;
}

async function clockSteps(act: Act): Promise<void> {
  const before = await act.stage.containers();
  const steps = act.quick ? [HOUR_S, -HOUR_S] : [HOUR_S, 0, -HOUR_S, 0];
  for (const step of steps) {
    await Deno.writeTextFile(clockFile(act.folder), `${step < 0 ? "" : "+"}${step}`);
    // The library looks at its file about once a second.
    let offset = await offsetOf(act);
    for (let n = 0; n < 40 && Math.abs(offset - step) >= 5; n++) {
      await pause(250);
      offset = await offsetOf(act);
    }
    expect(
      act,
      `offset of the clock after a step to ${step} s`,
      offset.toFixed(0),
      `${step} ± 5 s`,
      Math.abs(offset - step) < 5,
    );
    await pause(act.quick ? 500 : 3000);
  }
  await expectSameContainers(act, before);
}

/** By how much cless's clock differs from this one, s; a change is noted with its time. */
async function offsetOf(act: Act): Promise<number> {
  const domain = `at-${Math.floor(performance.now())}.example.org`;
  const body = { image: IMAGE, env: { GREETING: "other" }, domains: [domain] };
  const answer = await act.stage.change("PUT", "/v1/services/other", body);
  return (Date.parse(JSON.parse(answer.body).updatedAt) - Date.now()) / 1000;
}
