import type { DockerCommand } from "../../../src/docker/command.ts";
import { type ClessOptions, ClessUnderTest } from "../support/cless_under_test.ts";

/** The id of cless without metrics of requests. */
export const BARE = "bare";
/** The id of cless as everybody has it. */
export const METRICS = "metrics";
/** The id of cless with an access log. */
export const LOG = "log";
/** The id of cless whose traces are recorded now and then. */
export const SAMPLED = "sampled";
/** The id of cless whose traces are all recorded. */
export const TRACES = "traces";

/** One cless among those that are compared. */
export interface Contender {
  readonly id: string;
  readonly name: string;
  readonly url: string;
  readonly pid: number;
}

/** Several cless from source that note different things, and a collector for the traces. */
export class ObserveContenders implements AsyncDisposable {
  readonly all: readonly Contender[];
  readonly #running: AsyncDisposableStack;

  private constructor(all: readonly Contender[], running: AsyncDisposableStack) {
    this.all = all;
    this.#running = running;
  }

  /** Starts them. @param folder For their files. @throws {BenchError} */
  static async start(docker: DockerCommand, folder: string, signal: AbortSignal): Promise<ObserveContenders> {
    await using running = new AsyncDisposableStack();
    const collector = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
      await request.arrayBuffer();
      return new Response();
    });
    running.defer(() => collector.shutdown());
    const traced = {
      OTEL_DENO: "true",
      OTEL_DENO_METRICS: "false",
      OTEL_DENO_CONSOLE: "ignore",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.addr.port}`,
    };
    const sampled = { ...traced, OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "0.01" };
    const kinds: readonly (Pick<ClessOptions, "entry" | "env" | "flags"> & Pick<Contender, "id" | "name">)[] = [
      { id: BARE, name: "no metrics of requests", entry: "tests/bench/observe/without_metrics.ts" },
      { id: METRICS, name: "metrics, as everybody has it" },
      { id: LOG, name: "and an access log, JSON", flags: [`--access-log=${folder}/access.log`] },
      { id: SAMPLED, name: "and traces, one of 100 recorded", env: sampled },
      { id: TRACES, name: "and traces, all recorded", env: traced },
    ];
    const all: Contender[] = [];
    for (const { id, name, ...options } of kinds) {
      // Never the executable: it cannot leave out the metrics.
      const own = { ...options, executable: undefined };
      const cless = running.use(await ClessUnderTest.start(docker, `${folder}/${id}`, signal, own));
      all.push({ id, name, url: cless.url, pid: cless.program.pid });
    }
    return new ObserveContenders(all, running.move());
  }

  /** Ends them. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running[Symbol.asyncDispose]();
  }
}
