import { Random } from "../support/random.ts";
import type { Outcome, Tally, Tier } from "./tally.ts";

/** What sends the requests: its connections are kept for the next ones. */
export function newClient(): Deno.HttpClient {
  return Deno.createHttpClient({ allowHost: true, http2: false, poolMaxIdlePerHost: 100 });
}

/** After that a request is taken for lost, ms; longer than a start may take. */
const PATIENCE_MS = 100_000;
const LARGE = 200_000;
const SLOW_READ_MS = 100;

/** The times that decide how deep an idle service sleeps, ms. */
export interface Tiers {
  readonly pauseAfter: number;
  readonly hibernateAfter: number;
  readonly stopAfter: number;
}

/** What {@linkcode useService} works with. */
export interface UseOptions extends Tiers {
  readonly service: string;
  /** Where the proxy listens, `HOST:PORT`. */
  readonly proxy: string;
  readonly client: Deno.HttpClient;
  readonly random: Random;
  readonly tally: Tally;
  readonly signal: AbortSignal;
}

/** Sends requests to a service, a few at a time with gaps between them that let it fall asleep; ends with the signal. */
export async function useService(options: UseOptions): Promise<void> {
  const { random, service, signal, tally } = options;
  while (!signal.aborted) {
    const burst = random.chance(0.2) ? random.between(2, 6) : 1;
    await Promise.all(Array.from({ length: burst }, async () => {
      tally.begin(service);
      tally.add(await request(options));
    }));
    await pauseFor(gap(options), signal);
  }
}

/** Mostly short, at times long enough for one of the tiers. */
function gap({ hibernateAfter, pauseAfter, random, stopAfter }: UseOptions): number {
  if (random.chance(0.6)) return random.below(pauseAfter);
  if (random.chance(0.4)) return random.between(pauseAfter, hibernateAfter);
  if (random.chance(0.6)) return random.between(hibernateAfter, stopAfter);
  return random.between(stopAfter, stopAfter + 2 * pauseAfter);
}

async function request({ client, proxy, random, service }: UseOptions): Promise<Outcome> {
  const kind = random.below(100);
  const method = kind < 15 ? "POST" : "GET";
  const path = kind >= 80 ? `/${LARGE}` : "/";
  const aborting = random.chance(0.05) ? new AbortController() : undefined;
  const timer = aborting && setTimeout(() => aborting.abort(), random.below(60));
  const late = new AbortController();
  const patience = setTimeout(() => late.abort(new Error("no answer for long")), PATIENCE_MS);
  const began = performance.now();
  let ms = 0;
  let tier: Tier = "warm";
  let answering = false;
  let failure: string | undefined;
  try {
    const response = await fetch(`http://${proxy}${path}`, {
      client,
      method,
      headers: { host: `${service}.localhost` },
      signal: aborting === undefined ? late.signal : AbortSignal.any([aborting.signal, late.signal]),
      ...(method === "POST" ? { body: new Uint8Array(random.below(LARGE)) } : {}),
    });
    ms = performance.now() - began;
    const timing = response.headers.get("server-timing") ?? "";
    tier = (/desc="(cold|resume|hibernated)"/.exec(timing)?.[1] ?? "warm") as Tier;
    answering = response.ok;
    const length = await read(response, kind >= 95);
    if (!response.ok) failure = `${response.status} ${response.headers.get("cless-error")}`;
    else if (method === "GET" && length !== (path === "/" ? 12 : LARGE)) failure = `a body of ${length} bytes`;
  } catch (error) {
    const { cause, message } = error as Error;
    failure = (cause instanceof Error ? cause.message : message).replaceAll(/[\d.]+:\d+|http:\S+/g, "…");
  } finally {
    clearTimeout(timer);
    clearTimeout(patience);
  }
  const aborted = aborting?.signal.aborted ?? false;
  const outcome = { service, method, began, ended: performance.now(), aborted, answering, tier, ms };
  return failure === undefined ? outcome : { ...outcome, failure };
}

/** How many bytes the body has; read slowly, it keeps the instance in use. */
async function read(response: Response, slowly: boolean): Promise<number> {
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (slowly) await new Promise((resolve) => setTimeout(resolve, SLOW_READ_MS));
  }
  return length;
}

/** Waits; ends early with the signal. */
export function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    signal.addEventListener("abort", finish, { once: true });
  });
}
