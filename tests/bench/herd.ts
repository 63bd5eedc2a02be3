import type { DockerCommand } from "../../src/docker/command.ts";
import { LABEL } from "../../src/docker/run_args.ts";
import { messageOf } from "../../src/errors.ts";
import { APP_HOST, checkAnswer } from "./app.ts";
import type { ClessUnderTest } from "./cless_under_test.ts";
import { HttpClient } from "./http_client.ts";

/** How many requests come at once. */
export const HERD_SIZE = 1000;

/** What became of a herd. */
export interface Herd {
  /** How many containers were started for it. */
  readonly containers: number;
  readonly failures: number;
  /** What was wrong with the first that failed. */
  readonly failure: string | undefined;
  /** From the first request to the first answer, ms. */
  readonly firstMs: number;
  /** From the first answer to the last, ms. */
  readonly spreadMs: number;
}

/** Sends many requests at once to a service without a container. */
export async function herd(cless: ClessUnderTest, docker: DockerCommand): Promise<Herd> {
  await cless.makeCold();
  using client = new HttpClient(HERD_SIZE);
  const answeredAt: number[] = [];
  const failures: string[] = [];
  const since = now();
  const began = performance.now();
  await Promise.all(Array.from({ length: HERD_SIZE }, async () => {
    try {
      const answer = await client.ask(cless.url, { host: APP_HOST, signal: AbortSignal.timeout(60_000) });
      answeredAt.push(performance.now());
      checkAnswer(answer, "cless");
    } catch (error) {
      failures.push(messageOf(error));
    }
  }));
  const started = await docker.run([
    "events",
    `--since=${since}`,
    `--until=${now()}`,
    "--filter=type=container",
    "--filter=event=start",
    `--filter=label=${LABEL.owner}=${cless.owner}`,
    "--format={{.Actor.ID}}",
  ]);
  const first = answeredAt[0] ?? NaN;
  return {
    containers: started.match(/^[0-9a-f]{64}$/gm)?.length ?? 0,
    failures: failures.length,
    failure: failures[0],
    firstMs: first - began,
    spreadMs: (answeredAt.at(-1) ?? NaN) - first,
  };
}

/** The time as the engine's events take it, s. */
function now(): string {
  return (Date.now() / 1000).toFixed(3);
}
