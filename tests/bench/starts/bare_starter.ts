import type { DockerCommand } from "../../../src/docker/command.ts";
import { OwnNetwork } from "../../../src/docker/network/network.ts";
import { runArgs } from "../../../src/docker/run_args.ts";
import type { Revision } from "../../../src/model/revision.ts";
import { probe } from "../../../src/pool/probe.ts";
import { checkAnswer } from "../support/app.ts";
import { removeContainers, settle } from "../support/cless_under_test.ts";
import { BenchError } from "../support/errors.ts";
import { HttpClient } from "../support/http_client.ts";

/** How long an app may take for its first answer, ms. */
const PATIENCE_MS = 30_000;
/** How long an answer may take, ms: a packet that came too early is lost. */
const ANSWER_MS = 100;

/** A container that was started without cless. */
export interface BareStart {
  /** How often the app was asked until it answered. */
  readonly probes: number;
  /** How long that took, ms. */
  readonly probingMs: number;
}

/** Starts the app's containers without cless, as cless does it: `docker run -d` with the same flags. */
export class BareStarter implements AsyncDisposable {
  /** Marks its containers. */
  readonly owner = crypto.randomUUID().slice(0, 8);
  readonly #docker: DockerCommand;
  readonly #network: OwnNetwork;
  readonly #app: Revision;
  readonly #addresses: string[] = [];
  #count = 0;

  /** @param folder Noted on its network, as cless notes its data-dir. */
  constructor(docker: DockerCommand, app: Revision, folder: string) {
    this.#docker = docker;
    this.#network = new OwnNetwork(docker, { owner: this.owner, path: folder });
    this.#app = app;
  }

  /** Does in advance what cless does before the first request. */
  async prepare(): Promise<void> {
    await this.#network.ensure();
  }

  /**
   * Starts one, and asks its app until it answers. Call {@linkcode BareStarter.prepare} first.
   *
   * @param pauseMs From one attempt to the next, ms; the timer rounds it up.
   * @throws {BenchError} When there is no answer.
   */
  async start(pauseMs: number, signal: AbortSignal): Promise<BareStart> {
    const address = this.#network.take();
    const origin = `http://${address}:${this.#app.port}`;
    this.#addresses.push(address);
    await run(runArgs(this.#app, {
      id: `cless-bench-${this.owner}-${++this.#count}`,
      owner: this.owner,
      network: this.#network.name,
      address,
      hostPort: undefined,
      origin,
    }));
    return await untilAnswer(`${origin}/`, pauseMs, signal);
  }

  /** @throws {BenchError} When one of those that were started does not answer as the app does. */
  async check(): Promise<void> {
    using client = new HttpClient();
    for (const address of this.#addresses) {
      checkAnswer(await client.ask(`http://${address}:${this.#app.port}/`), "the container itself");
    }
  }

  /** Removes all that were started. */
  async remove(): Promise<void> {
    await removeContainers(this.#docker, this.owner);
    for (const address of this.#addresses.splice(0)) this.#network.free(address);
    await settle();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await removeContainers(this.#docker, this.owner);
    await this.#network.remove();
  }
}

/** Runs the docker command as any program would, without what cless does about it. */
async function run(args: readonly string[]): Promise<void> {
  const command = new Deno.Command("docker", { args: [...args], stdin: "null", stdout: "piped", stderr: "piped" });
  const { success, stderr } = await command.output();
  if (!success) throw new BenchError(`docker ${args[0]} has failed: ${new TextDecoder().decode(stderr).trim()}`);
}

/** Asks again and again until there is an answer, by as little as that takes. */
async function untilAnswer(url: string, pauseMs: number, signal: AbortSignal): Promise<BareStart> {
  const began = performance.now();
  for (let probes = 1;; probes++) {
    signal.throwIfAborted();
    const probed = await probe(url, AbortSignal.timeout(ANSWER_MS));
    const probingMs = performance.now() - began;
    if (typeof probed === "number") return { probes, probingMs };
    if (probingMs > PATIENCE_MS) throw new BenchError(`no answer from ${url}: ${probed}`);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
