import type { Finding } from "../bench/support/finding.ts";
import type { Harms } from "../support/harms.ts";
import type { Random } from "../support/random.ts";
import type { Requirement } from "./judge.ts";
import { pause } from "./engine.ts";
import type { Stage, StageOptions, Theatre } from "./stage.ts";
import { type Flow, type Sent, Traffic } from "./traffic.ts";

/** Something that happens to cless, its apps or its machine while requests come. */
export interface Disruption {
  readonly name: string;
  /** Whether somebody does it on purpose: then no request at all may fail. */
  readonly planned: boolean;
  readonly requirement: Requirement;
  /** What it needs of the machine beside Docker and Go. */
  readonly needs?: readonly Need[];
  /** Makes what has to be there before cless. */
  readonly prepare?: (theatre: Theatre) => Promise<void>;
  /** For one that needs a cless of its own. */
  readonly stage?: StageOptions | ((theatre: Theatre) => StageOptions);
  /** What is sent meanwhile; {@linkcode usualFlows} where it is missing. */
  readonly flows?: (quick: boolean) => readonly Flow[];
  /** How many requests there have to be, of a whole run; 2,000 where it is missing, and 10,000 of what is planned. */
  readonly leastSent?: number;
  /** Does it. */
  readonly run: (act: Act) => Promise<void>;
}

/** What a machine may lack. */
export type Need = "own engine" | "mount" | "faketime" | "prlimit";

/** What a {@linkcode Disruption} works with. */
export interface Act extends Theatre {
  readonly stage: Stage;
  readonly traffic: Traffic;
  readonly random: Random;
  /** Whether it is a short run. */
  readonly quick: boolean;
  readonly note: (line: string) => void;
  /** What was looked at beside the requests. */
  readonly findings: Finding[];
  readonly harms: Harms;
  /** Are asked once all requests have ended. */
  readonly afterwards: ((sent: Sent) => readonly Finding[])[];
  /** The sender's executable, for more requests beside those that come anyway. */
  readonly sender: string;
  readonly seed: number;
}

/** Notes something that has to be so. */
export function expect(
  { findings }: Pick<Act, "findings">,
  what: string,
  value: string | number,
  bar: string,
  met: boolean,
): void {
  findings.push({ what, value: `${value}`, bar, met, correctness: true });
}

/** Notes how fast or large something is; a short run tells it only. */
export function measure(
  { findings }: Pick<Act, "findings">,
  what: string,
  value: string,
  bar: string,
  met: boolean,
): void {
  findings.push({ what, value, bar, met });
}

/** Does something to a service, or to all; until it is done, requests that are under way may be lost. */
export async function harm<T>({ harms }: Act, service: string | undefined, work: () => Promise<T>): Promise<T> {
  const done = harms.harming(service);
  try {
    return await work();
  } finally {
    done();
  }
}

/** Notes whether all containers are those from before something. */
export async function expectSameContainers(act: Act, before: string): Promise<void> {
  const after = await act.stage.containers();
  expect(
    act,
    "containers",
    after === before ? "the same" : `${after} instead of ${before}`,
    "the same",
    after === before,
  );
}

/** Sends some more requests beside, for so long, and tells what came of them. */
export async function sendBeside({ seed, sender, stage }: Act, flows: readonly Flow[], ms: number): Promise<Sent> {
  await using traffic = Traffic.start(sender, stage.cless.url, flows, seed + 1000);
  await pause(ms);
  return await traffic.finish();
}

const MB = 1e6;

/** All kinds of requests, for two services. @param scale How many of them; 1 is about 300 a second. */
export function usualFlows(scale = 1): Flow[] {
  const [app, other] = ["app.localhost", "other.localhost"];
  return [
    { name: "kept", kind: "get", host: app, rate: 125 * scale },
    { name: "new", kind: "get", host: app, rate: 90 * scale, fresh: true },
    { name: "working", kind: "get", host: app, rate: 20 * scale, query: "work=50" },
    { name: "posts", kind: "upload", host: app, rate: 10 * scale, ms: 0, bytes: 100 },
    { name: "uploads", kind: "upload", host: app, rate: scale, ms: 2000, bytes: MB / 2 },
    { name: "chunked", kind: "upload", host: app, rate: scale, ms: 2000, bytes: MB / 2, chunked: true },
    { name: "streams", kind: "stream", host: app, rate: scale, ms: 2000 },
    { name: "sockets", kind: "socket", host: app, rate: scale, ms: 3000 },
    { name: "other, kept", kind: "get", host: other, rate: 30 * scale },
    { name: "other, new", kind: "get", host: other, rate: 40 * scale, fresh: true },
  ];
}
