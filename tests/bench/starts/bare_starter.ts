import type { DockerCommand } from "../../../src/docker/command.ts";
import { CommandApi } from "../../../src/docker/command_api.ts";
import { Addresses } from "../../../src/docker/network/addresses.ts";
import { OwnNetwork } from "../../../src/docker/network/network.ts";
import { runArgs } from "../../../src/docker/container_spec.ts";
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
  readonly #addresses: Addresses;
  readonly #app: Revision;
  /** The addresses of its containers, by their names. */
  readonly #started = new Map<string, string>();
  #count = 0;

  /** @param folder Noted on its network, as cless notes its data-dir. */
  constructor(docker: DockerCommand, app: Revision, folder: string) {
    this.#docker = docker;
    this.#network = new OwnNetwork(new CommandApi(docker), { owner: this.owner, path: folder });
    const portRange = { first: 20_000, last: 29_999 };
    this.#addresses = new Addresses(this.#network, { portRange, upstream: "direct" });
    this.#app = app;
  }

  /** Does in advance what cless does before the first request. */
  async prepare(): Promise<void> {
    await this.#addresses.prepare();
  }

  /**
   * Starts one, and asks its app until it answers. Call {@linkcode BareStarter.prepare} first.
   *
   * @param pauseMs From one attempt to the next, ms; the timer rounds it up.
   * @throws {BenchError} When there is no answer.
   */
  async start(pauseMs: number, signal: AbortSignal): Promise<BareStart> {
    const id = `cless-bench-${this.owner}-${++this.#count}`;
    const placement = await this.#addresses.take(id, this.#app.port);
    this.#started.set(id, placement.address);
    await run(runArgs(this.#app, placement));
    return await untilAnswer(`${placement.origin}/`, pauseMs, signal);
  }

  /** @throws {BenchError} When one of those that were started does not answer as the app does. */
  async check(): Promise<void> {
    using client = new HttpClient();
    for (const address of this.#started.values()) {
      checkAnswer(await client.ask(`http://${address}:${this.#app.port}/`), "the container itself");
    }
  }

  /** The containers that were started: their names, and where each app is, `ADDRESS:PORT`. */
  get started(): { readonly id: string; readonly address: string }[] {
    return [...this.#started].map(([id, address]) => ({ id, address: `${address}:${this.#app.port}` }));
  }

  /** Removes all that were started. */
  async remove(): Promise<void> {
    await removeContainers(this.#docker, this.owner);
    for (const id of this.#started.keys()) this.#addresses.free(id);
    this.#started.clear();
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
