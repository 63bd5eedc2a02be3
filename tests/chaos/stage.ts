import type { DockerCommand } from "../../src/docker/command.ts";
import { LABEL } from "../../src/docker/container_spec.ts";
import { ClessUnderTest } from "../bench/support/cless_under_test.ts";
import { BenchError } from "../bench/support/errors.ts";
import { type Answer, HttpClient } from "../bench/support/http_client.ts";
import { buildGo } from "../bench/support/tool.ts";
import { docker } from "../support/docker.ts";
import { mount, unmount } from "../support/mounts.ts";
import { type Engine, pause } from "./engine.ts";

/** The image of the app; by its name it is no service that somebody has. */
export const IMAGE = "cless-chaos-docker";
/** How long something may take that ought to happen soon, ms. */
const PATIENCE_MS = 30_000;
/** After that it is asked again, ms. */
const ASK_MS = 5000;

/** How a cless differs from the one that most disruptions are for. */
export interface StageOptions {
  readonly flags?: readonly string[];
  readonly env?: Record<string, string>;
  /** A command that runs it, such as `prlimit --nofile=256`. */
  readonly runner?: readonly string[];
  /** Whether it speaks to the engine over the line that can be slow. */
  readonly overLine?: boolean;
  /** The size of a disk of its own for its data, such as `8m`. */
  readonly disk?: string;
  /** What its services have, beside an image. */
  readonly template?: object;
}

/** What all stages are made with. */
export interface Theatre {
  readonly engine: Engine;
  readonly docker: DockerCommand;
  readonly folder: string;
  /** The executable of cless; missing where it runs from source. */
  readonly executable: string | undefined;
  /** A file for what cless logs. */
  readonly log: string | undefined;
  readonly signal: AbortSignal;
  /** The ids of all images that were made. */
  readonly images: Set<string>;
}

/** What the admin API says of an instance. */
export interface Instance {
  readonly id: string;
  readonly service: string;
  readonly revision: string;
  readonly state: string;
  readonly inFlight: number;
}

/** Makes the app's image in the engine. @param greeting What it says where no environment says otherwise. */
export async function buildImage(
  { folder, images, signal }: Pick<Theatre, "folder" | "images" | "signal">,
  name = IMAGE,
  greeting = "found",
): Promise<void> {
  const context = `${folder}/app`;
  const isMade = await Deno.stat(`${context}/app`).then(() => true, () => false);
  if (!isMade) {
    await Deno.mkdir(context);
    await buildGo(`${import.meta.dirname}/app`, `${context}/app`, signal);
  }
  const dockerfile = await Deno.readTextFile(`${import.meta.dirname}/app/Dockerfile`);
  await Deno.writeTextFile(`${context}/Dockerfile`, `${dockerfile}ENV GREETING=${greeting}\n`);
  images.add(await docker("build", "--quiet", `--tag=${name}`, context));
}

/** A cless with three services: `app`, which is harmed, `other` beside it, and `idle`, which nobody asks for anything. */
export class Stage implements AsyncDisposable {
  readonly cless: ClessUnderTest;
  readonly #theatre: Theatre;
  readonly #template: object;
  readonly #client = new HttpClient();
  readonly #disk: string | undefined;
  readonly dataDir: string;

  private constructor(
    theatre: Theatre,
    cless: ClessUnderTest,
    { dataDir, disk, template }: { dataDir: string; disk: string | undefined; template: object },
  ) {
    this.#theatre = theatre;
    this.cless = cless;
    this.dataDir = dataDir;
    this.#disk = disk;
    this.#template = template;
  }

  /** Starts it, and waits until its services are there. */
  static async start(theatre: Theatre, options: StageOptions = {}): Promise<Stage> {
    const { docker, engine, executable, folder, log, signal } = theatre;
    const { disk: size, env = {}, flags = [], overLine = false, runner = [], template = {} } = options;
    const own = await Deno.makeTempDir({ dir: folder });
    const disk = size === undefined ? undefined : `${own}/disk`;
    if (disk !== undefined) {
      await Deno.mkdir(disk);
      if (!await mount("-t", "tmpfs", "-o", `size=${size}`, "none", disk)) throw new BenchError("cannot mount a disk");
    }
    const dataDir = `${disk ?? own}/data`;
    try {
      const cless = await ClessUnderTest.start(docker, dataDir, signal, {
        executable,
        flags: ["--no-convention", ...flags],
        runner,
        env: { DOCKER_HOST: `unix://${overLine ? engine.line.path : engine.socket}`, CLESS_LOG_FORMAT: "json", ...env },
        ...(log === undefined ? {} : { log }),
      });
      const stage = new Stage(theatre, cless, { dataDir, disk, template });
      try {
        await stage.#declare();
      } catch (error) {
        await stage[Symbol.asyncDispose]();
        throw error;
      }
      return stage;
    } catch (error) {
      if (disk !== undefined) await unmount(disk);
      throw error;
    }
  }

  /** The process that runs, or ran last. */
  get pid(): number {
    return this.cless.program.pid;
  }

  /** Deploys a service anew, and waits for it. @throws {BenchError} When it is refused. */
  async deploy(name: string, greeting: string, more: object = {}): Promise<void> {
    await this.cless.deploy(name, { image: IMAGE, env: { GREETING: greeting }, ...this.#template, ...more });
  }

  /** Changes something by the admin API. @throws {BenchError} When it is refused. */
  async change(method: string, path: string, json?: unknown): Promise<Answer> {
    const answer = await this.try(method, path, json);
    if (answer.status >= 300) throw new BenchError(`${method} ${path}: status ${answer.status}, ${answer.body}`);
    return answer;
  }

  /** Asks the admin API, whatever it says. */
  async try(method: string, path: string, json?: unknown): Promise<Answer> {
    return await this.cless.askAdmin(path, { method, ...(json === undefined ? {} : { json }) });
  }

  /** One request for a service. @throws {BenchError} When there is no answer in time. */
  async ask(service: string, path = "/token", withinMs = 120_000): Promise<Answer> {
    const options = { host: `${service}.localhost`, signal: AbortSignal.timeout(withinMs) };
    return await this.#client.ask(this.cless.url + path.slice(1), options);
  }

  /** Waits until a service answers, with those words if they are given. @throws {BenchError} When it does not. */
  async untilAnswers(service: string, greeting?: string): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    let last = "nothing";
    for (; performance.now() < end; await pause(20)) {
      this.#theatre.signal.throwIfAborted();
      try {
        const { body, status } = await this.ask(service, "/token", ASK_MS);
        if (status === 200 && (greeting === undefined || body === `${greeting} token`)) return;
        last = `status ${status}, ${body.slice(0, 100)}`;
      } catch (error) {
        last = (error as Error).message;
      }
    }
    throw new BenchError(`${service} does not answer ${greeting ?? "at all"} within ${PATIENCE_MS / 1000} s: ${last}`);
  }

  /** The instances that serve, as the admin API tells. */
  async instances(service?: string): Promise<readonly Instance[]> {
    const all = await this.cless.instances() as unknown as readonly Instance[];
    return all.filter((instance) => service === undefined || instance.service === service);
  }

  /** The names of the containers of each service, which stay the same as long as none is replaced. */
  async containers(): Promise<string> {
    return (await this.instances()).map(({ id }) => id).sort().join(" ");
  }

  /** The instance of a service, once it is the only one and ready: after a deploy, the old one still ends its work. */
  async soleInstance(service: string): Promise<Instance> {
    const end = performance.now() + PATIENCE_MS;
    for (; performance.now() < end; await pause(50)) {
      this.#theatre.signal.throwIfAborted();
      const [instance, ...others] = await this.instances(service);
      if (instance?.state === "ready" && others.length === 0) return instance;
    }
    throw new BenchError(`${service} has no single ready instance within ${PATIENCE_MS / 1000} s`);
  }

  /** The process id of an instance's app. */
  async pidOf(instance: string): Promise<number> {
    const pid = Number(await docker("inspect", "--format={{.State.Pid}}", instance));
    // A signal to process 0 would reach this program itself.
    if (!(pid > 0)) throw new BenchError(`the container ${instance} does not run`);
    return pid;
  }

  /** Starts the process again, with the same data; resolves when it is ready. */
  async restart(): Promise<void> {
    this.cless.begin();
    await this.cless.untilReady(this.#theatre.signal);
  }

  /** Makes everything as it was at the beginning. */
  async reset(): Promise<void> {
    const answer = await this.try("GET", "/readyz");
    if (answer.status !== 200) throw new BenchError(`cless is not ready: status ${answer.status}`);
    await this.#declare();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client[Symbol.dispose]();
    this.cless.program.signal("SIGCONT");
    await this.cless[Symbol.asyncDispose]();
    if (this.#disk !== undefined) await unmount(this.#disk);
  }

  async #declare(): Promise<void> {
    await Promise.all([
      this.deploy("app", "first", { traffic: 100 }),
      this.deploy("other", "other"),
      this.deploy("idle", "idle", { liveness: { every: "2s" }, minInstances: 1 }),
    ]);
    await Promise.all(["app", "other", "idle"].map(async (service) => {
      await this.untilAnswers(service);
      await this.soleInstance(service);
    }));
  }
}

/** How many containers of a cless there are, in whatever state. */
export async function countContainers({ cless }: Stage): Promise<number> {
  const ids = await docker("ps", "--all", "--quiet", `--filter=label=${LABEL.owner}=${cless.owner}`);
  return ids.split("\n").filter(Boolean).length;
}
