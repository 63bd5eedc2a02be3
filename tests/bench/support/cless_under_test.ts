import type { DockerCommand } from "../../../src/docker/command.ts";
import { LABEL } from "../../../src/docker/container_spec.ts";
import { freePorts } from "../../support/free_ports.ts";
import { BenchError } from "./errors.ts";
import { type Answer, type AskOptions, HttpClient, untilAnswer } from "./http_client.ts";
import { Program } from "./program.ts";

const ROOT = `${import.meta.dirname}/../../..`;
/** What a removed container leaves for cless and the engine to do in the background is done by then, ms. */
const SETTLE_MS = 300;

/** What the admin API says of an instance, as far as it matters here. */
export interface Instance {
  readonly id: string;
  readonly service: string;
  readonly revision: string;
  readonly state: string;
  readonly inFlight: number;
  /** Such as `172.18.0.2:8080`. */
  readonly address: string;
  /** In RAM. */
  readonly memoryBytes?: number;
  readonly swapBytes?: number;
}

/** How a {@linkcode ClessUnderTest} differs from one as everybody has it. */
export interface ClessOptions {
  /** Its `--forward`. */
  readonly forward?: "exact" | "fetch";
  /** More of its flags. */
  readonly flags?: readonly string[];
  /** More of its environment. */
  readonly env?: Record<string, string>;
  /** A command that runs it, such as `prlimit --nofile=256`. */
  readonly runner?: readonly string[];
  /** What runs in place of `main.ts` where it is run from source. */
  readonly entry?: string;
  /** The executable; missing where it is run from source. By default the one that CLESS_BIN names. */
  readonly executable?: string | undefined;
  /** A file that its log is added to. */
  readonly log?: string;
}

/** A cless with a data-dir of its own, on ports of its own: from source, or the executable that CLESS_BIN names. */
export class ClessUnderTest implements AsyncDisposable {
  /** Where services answer. */
  readonly url: string;
  /** Where its admin API is. */
  readonly adminUrl: string;
  /** From the start of the process to a good /readyz, ms. */
  readonly startMs: number;
  /** Marks its containers. */
  readonly owner: string;
  readonly #launch: (flags: readonly string[]) => Program;
  readonly #docker: DockerCommand;
  readonly #token: string;
  readonly #client = new HttpClient();
  /** Those that have been started, the newest last: while one takes over from another, two run. */
  readonly #programs: Program[];

  private constructor(parts: {
    program: Program;
    launch: (flags: readonly string[]) => Program;
    url: string;
    adminUrl: string;
    startMs: number;
    owner: string;
    token: string;
    docker: DockerCommand;
  }) {
    this.#programs = [parts.program];
    this.#launch = parts.launch;
    this.url = parts.url;
    this.startMs = parts.startMs;
    this.owner = parts.owner;
    this.adminUrl = parts.adminUrl;
    this.#docker = parts.docker;
    this.#token = parts.token;
  }

  /**
   * Starts it, and waits until it is ready.
   *
   * @param dataDir A folder that is not there yet, or one that is ready for it.
   * @throws {BenchError} When it does not get ready.
   */
  static async start(
    docker: DockerCommand,
    dataDir: string,
    signal: AbortSignal,
    options: ClessOptions = {},
  ): Promise<ClessUnderTest> {
    const url = `http://127.0.0.1:${freePorts(1)}/`;
    const adminUrl = `http://127.0.0.1:${freePorts(1)}`;
    const { entry = "main.ts", env = {}, flags: more = [], forward, log, runner = [] } = options;
    const executable = "executable" in options ? options.executable : Deno.env.get("CLESS_BIN");
    const flags = [
      "serve",
      `--listen=${new URL(url).host}`,
      `--admin=${new URL(adminUrl).host}`,
      "--data-dir",
      dataDir,
      ...(forward === undefined ? [] : [`--forward=${forward}`]),
      ...more,
    ];
    const path = executable ? await Deno.realPath(executable) : Deno.execPath();
    const [command, ...args] = [
      ...runner,
      path,
      ...(executable ? [] : ["run", "--quiet", "-P", "--no-prompt", entry]),
    ];
    const launch = (last: readonly string[]) =>
      Program.start("cless", command!, {
        args: [...args, ...flags, ...last],
        cwd: ROOT,
        // While the others have their turn, its instance is idle.
        env: { CLESS_PAUSE_AFTER: "0", CLESS_STOP_AFTER: "0", ...env },
        ...(log === undefined ? {} : { log }),
      });
    const began = performance.now();
    const program = launch([]);
    try {
      await untilReady(program, adminUrl, signal);
      const startMs = performance.now() - began;
      const [owner, token] = await Promise.all(
        ["owner", "admin-token"].map(async (name) => (await Deno.readTextFile(`${dataDir}/${name}`)).trim()),
      );
      return new ClessUnderTest({ program, launch, url, adminUrl, startMs, owner: owner!, token: token!, docker });
    } catch (error) {
      await program[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The process that runs, or has run last. */
  get program(): Program {
    return this.#programs.at(-1)!;
  }

  /**
   * Ends the process, and leaves everything else as it leaves it.
   *
   * @throws {BenchError} When it does not end well.
   */
  async end(): Promise<void> {
    const code = await this.program.end();
    if (code !== 0) throw new BenchError(`cless has ended with exit code ${code}`);
  }

  /** Starts a process again: with the same data-dir, ports and flags. @param flags More flags, for this one only. */
  begin(flags: readonly string[] = []): void {
    this.#programs.push(this.#launch(flags));
  }

  /** Kills the process; resolves when it has gone. */
  async kill(): Promise<void> {
    this.program.signal("SIGKILL");
    await this.program.exit();
  }

  /** Waits until it is ready. @throws {BenchError} When it does not get so. */
  async untilReady(signal: AbortSignal): Promise<void> {
    await untilReady(this.program, this.adminUrl, signal);
  }

  /** Declares a service, and waits until it has been deployed. @throws {BenchError} When it is refused. */
  async deploy(name: string, template: object): Promise<void> {
    await this.#put(name, template);
  }

  /** Declares a service that is not tried first: it has no instance then. @throws {BenchError} When it is refused. */
  async declare(name: string, template: object): Promise<void> {
    await this.#put(`${name}?wait=false`, template);
  }

  /** How many instances are in a state; unlike {@linkcode instances}, cless need not look at them to tell. */
  async count(state: string): Promise<number> {
    const { body, status } = await this.askAdmin("/metrics");
    if (status !== 200) throw new BenchError(`cless does not give its metrics: status ${status}`);
    const counts = [...body.matchAll(new RegExp(`^cless_instances\\{[^}]*state="${state}"\\} (\\d+)$`, "gm"))];
    return counts.reduce((sum, [, count]) => sum + Number(count), 0);
  }

  /** Asks the admin API. @param path With its query. @throws {BenchError} When there is no answer. */
  askAdmin(path: string, options: Pick<AskOptions, "method" | "json"> = {}): Promise<Answer> {
    return this.#client.ask(this.adminUrl + path, { ...options, token: this.#token });
  }

  /** The containers that it has. */
  async instances(): Promise<Instance[]> {
    const { body, status } = await this.askAdmin("/v1/instances");
    if (status !== 200) throw new BenchError(`cless does not list its instances: status ${status}`);
    return JSON.parse(body);
  }

  /** Takes its containers away, and waits until it knows. */
  async makeCold(): Promise<void> {
    await removeContainers(this.#docker, this.owner);
    const end = performance.now() + 10_000;
    while ((await this.instances()).length > 0) {
      if (performance.now() > end) throw new BenchError("cless still lists an instance that was removed 10 s ago");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await settle();
  }

  /** Ends it, and makes sure that nothing of it is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#client[Symbol.dispose]();
    await Promise.all(this.#programs.map((program) => program[Symbol.asyncDispose]()));
    await removeContainers(this.#docker, this.owner);
    await this.#docker.run(["network", "rm", `cless-${this.owner}`]).catch(() => {}); // it does that itself
  }

  async #put(path: string, template: object): Promise<void> {
    const { body, status } = await this.askAdmin(`/v1/services/${path}`, { method: "PUT", json: template });
    if (status !== 200 && status !== 201) throw new BenchError(`cannot deploy ${path}: status ${status}, ${body}`);
  }
}

/** How many containers of an owner have been started, as far as they are there still. */
export async function countStarted(docker: DockerCommand, owner: string): Promise<number> {
  const states = await docker.run([...listing(owner), "--format={{.State}}"]);
  return states.match(/^(?!created$)[a-z]+$/gm)?.length ?? 0;
}

async function untilReady(program: Program, adminUrl: string, signal: AbortSignal): Promise<void> {
  await untilAnswer(`${adminUrl}/readyz`, ({ status }) => status === 200, () => {
    signal.throwIfAborted();
    program.check();
  });
}

/** Removes all containers of an owner. */
export async function removeContainers(docker: DockerCommand, owner: string): Promise<void> {
  const ids = await docker.run([...listing(owner), "--quiet"]);
  const found = ids.match(/^[0-9a-f]{12,}$/gm) ?? [];
  if (found.length > 0) await docker.run(["rm", "--force", ...found]);
}

function listing(owner: string): string[] {
  return ["ps", "--all", `--filter=label=${LABEL.owner}=${owner}`];
}

/** Waits until the engine has put away what was removed. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
}
