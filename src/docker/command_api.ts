import { MuxAsyncIterator } from "@std/async/mux-async-iterator";
import { Limiter } from "../base/async.ts";
import { messageOf } from "../base/errors.ts";
import { firstBytes, linesOf, piecesOf, readText } from "../base/streams.ts";
import type { ExecCommand, ExecProcess, TerminalSize } from "../control/exec/process.ts";
import type { Revision } from "../model/revision.ts";
import type { Usage } from "../pool/launcher.ts";
import { type CommandOptions, type DockerCommand, killGroup, problemLine } from "./command.ts";
import { carryEnv } from "./container_env.ts";
import { ChosenLogging, environmentOf, LABEL, type Placement, runArgs } from "./container_spec.ts";
import {
  type CallOptions,
  type ContainerFilter,
  type EngineApi,
  type EngineEvent,
  type EngineImage,
  type EngineInfo,
  type EngineNetwork,
  EVENT_ACTIONS,
  type ListedContainer,
  type LogLine,
  type LogOptions,
  type NetworkSpec,
} from "./engine_api.ts";
import { EngineError, kindOf, kindOfMessage } from "./engine_error.ts";
import { containerOf, eventOf, imageOf, infoOf, jsonLines, networkOf, shortName } from "./engine_json.ts";
import { atTerminal, CommandExec } from "./exec/command_exec.ts";
import { LogSplitter } from "./logs/log_splitter.ts";

/** At most this many commands stop or remove containers at once. Each process takes some 30 MB. */
const MAX_ENDING = 16;
/**
 * Listing the networks is tried at most this many times. It takes two commands, and a network may be removed between
 * them.
 */
const MAX_NETWORK_LISTS = 16;

/**
 * Reaches the engine through the docker command. This also works if the command is a wrapper or the engine is remote.
 */
export class CommandApi implements EngineApi {
  readonly via: string;
  readonly #docker: DockerCommand;
  readonly #logging = new ChosenLogging();
  readonly #ending = new Limiter(MAX_ENDING);

  constructor(docker: DockerCommand) {
    this.via = `the command ${docker.path}`;
    this.#docker = docker;
  }

  async version(options: CallOptions = {}): Promise<string> {
    const output = await this.#run(["version", "--format={{.Server.Version}}"], options);
    return /^\d+\.\S*$/m.exec(output)?.[0] ?? "unknown";
  }

  async info(): Promise<EngineInfo> {
    return jsonLines(await this.#run(["info", "--format={{json .}}"]), infoOf, "ID")[0] ?? infoOf({});
  }

  async run(revision: Revision, placement: Placement): Promise<void> {
    const { options } = carryEnv(environmentOf(revision));
    await this.#logging.run((logging) => this.#run(runArgs(revision, placement, logging), options));
  }

  async stop(id: string, graceS: number): Promise<void> {
    await this.#ending.run(() => this.#run(["stop", `--time=${graceS}`, id]));
  }

  async pause(id: string): Promise<void> {
    await this.#run(["pause", id]);
  }

  async unpause(id: string): Promise<void> {
    await this.#run(["unpause", id]);
  }

  async remove(id: string): Promise<void> {
    const said = await this.#ending.run(() => this.#run(["rm", "--force", "--volumes", id]));
    // With --force, the command does not fail for a container that is gone, but prints no name.
    if (said.trim() === "") throw new EngineError("gone", `No such container: ${id}`);
  }

  async containers(filter: ContainerFilter): Promise<ListedContainer[]> {
    const labels = Object.values(LABEL).map((name) =>
      `${JSON.stringify(name)}:{{json (.Label ${JSON.stringify(name)})}}`
    );
    const output = await this.#run([
      "ps",
      "--all",
      "--no-trunc",
      "owner" in filter ? `--filter=label=${LABEL.owner}=${filter.owner}` : `--filter=volume=${filter.volume}`,
      `--format={"id":{{json .Names}},"engineId":{{json .ID}},"state":{{json .State}},"status":{{json .Status}},` +
      `"labels":{${labels.join(",")}}}`,
    ]);
    return jsonLines(output, containerOf, "id", "state", "labels");
  }

  /** Without processor time: the command prints only momentary percentages. */
  async usage(engineIds: readonly string[]): Promise<Map<string, Usage>> {
    if (engineIds.length === 0) return new Map();
    const format = '--format={"id":{{json .ID}},"usage":{{json .MemUsage}}}';
    const output = await this.#run(["stats", "--no-stream", "--no-trunc", format, ...engineIds]);
    const entries = jsonLines(
      output,
      ({ id, usage }: { id: string; usage: string }) => {
        const bytes = bytesOf(usage);
        return bytes === undefined || bytes === 0 ? undefined : [id, { bytes }] as const; // it has just ended
      },
      "id",
      "usage",
    );
    return new Map(entries);
  }

  // deno-lint-ignore require-await -- what it throws has to become a rejection
  async exec(id: string, { command, terminal, user }: ExecCommand): Promise<ExecProcess> {
    const as = user === undefined ? [] : [`--user=${user}`];
    const words = ["--", id, ...command];
    if (terminal === undefined) {
      return new CommandExec(this.#docker.spawn(["exec", "--interactive", ...as, ...words], "piped", "piped"), false);
    }
    return new CommandExec(this.#atTerminal(["exec", "--interactive", "--tty", ...as, ...words], terminal), true);
  }

  async archive(id: string, path: string, bytes: number): Promise<Uint8Array> {
    const child = this.#docker.spawn(["cp", `${id}:${path}`, "-"], "piped");
    const said = readText(child.stderr);
    try {
      const archive = await firstBytes(child.stdout, bytes);
      if (archive.length === 0) throw failure(problemLine(await said) || "docker cp gave nothing");
      return archive;
    } finally {
      killGroup(child, "SIGKILL"); // the rest is not needed
      await Promise.all([said, child.status]);
    }
  }

  async *logs(id: string, options: LogOptions = {}): AsyncGenerator<LogLine, void, void> {
    const { follow, signal, since, tail } = options;
    if (signal?.aborted) return;
    const child = this.#docker.spawn([
      "logs",
      "--timestamps", // they also distinguish the app's lines from the docker command's messages
      ...(follow ? ["--follow"] : []),
      ...(tail === undefined ? [] : [`--tail=${tail}`]),
      ...(since === undefined ? [] : [`--since=${since}`]),
      id,
    ], "piped");
    const end = () => killGroup(child, "SIGKILL"); // it has nothing to clean up
    signal?.addEventListener("abort", end, { once: true });
    const streams = [linesWithTime("stdout", child.stdout), linesWithTime("stderr", child.stderr)];
    const both = new MuxAsyncIterator<LogLine[]>();
    for (const stream of streams) both.add(stream);
    try {
      let words = "";
      for await (const lines of both) {
        for (const line of lines) {
          if (signal?.aborted) return;
          if (line.time === undefined) words += `${line.text}\n`;
          else yield line;
        }
      }
      const { code, success } = await child.status;
      if (!success && !signal?.aborted) throw failure(problemLine(words) || `docker logs ended with code ${code}`);
    } finally {
      signal?.removeEventListener("abort", end);
      end();
      await Promise.all([...streams.map((stream) => stream.return()), child.status]);
    }
  }

  // deno-lint-ignore require-await -- what it throws has to become a rejection
  async events(since: string, signal: AbortSignal): Promise<AsyncIterable<EngineEvent>> {
    const child = this.#docker.spawn([
      "events",
      "--format={{json .}}",
      `--since=${since}`,
      ...Object.keys(EVENT_ACTIONS).map((type) => `--filter=type=${type}`),
      ...Object.values(EVENT_ACTIONS).flat().map((action) => `--filter=event=${action}`),
    ]);
    const end = () => killGroup(child, "SIGTERM");
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
    return (async function* () {
      try {
        for await (const line of linesOf(child.stdout)) yield* jsonLines(line, eventOf);
      } finally {
        signal.removeEventListener("abort", end);
        end();
        await child.status;
      }
    })();
  }

  async networks(): Promise<EngineNetwork[]> {
    for (let tries = 1;; tries++) {
      const ids = (await this.#run(["network", "ls", "--no-trunc", "--quiet"])).match(/^[0-9a-f]{64}$/gm) ?? [];
      if (ids.length === 0) return [];
      try {
        return jsonLines(await this.#run(["network", "inspect", "--format={{json .}}", ...ids]), networkOf, "Name");
      } catch (error) {
        if (kindOf(error) !== "no_such_network" || tries >= MAX_NETWORK_LISTS) throw error;
      }
    }
  }

  async createNetwork({ gateway, labels, name, subnet }: NetworkSpec): Promise<void> {
    await this.#run([
      "network",
      "create",
      "--driver=bridge",
      `--subnet=${subnet}`,
      `--gateway=${gateway}`,
      "--opt=com.docker.network.bridge.enable_icc=false",
      ...Object.entries(labels).map(([name, value]) => `--label=${name}=${value}`),
      name,
    ]);
  }

  async removeNetwork(name: string): Promise<void> {
    await this.#run(["network", "rm", name]);
  }

  async image(reference: string, options: CallOptions = {}): Promise<EngineImage> {
    const output = await this.#run(["image", "inspect", "--format={{json .}}", reference], options);
    const [image] = jsonLines(output, imageOf);
    if (image === undefined) throw new EngineError("refused", `the engine does not say what ${reference} is`);
    return image;
  }

  async imageNames(): Promise<Map<string, string>> {
    const images = await this.#images();
    return new Map(images.flatMap(({ id, name, tag }) => tag === "<none>" ? [] : [[`${name}:${tag}`, id]]));
  }

  async conventionImages(): Promise<Map<string, string>> {
    const images = await this.#images("--filter=reference=*-docker:latest");
    return new Map(images.flatMap(({ id, name, tag }) => {
      const short = shortName(name);
      return tag === "latest" && short !== undefined ? [[short, id]] : [];
    }));
  }

  async #images(...filters: string[]): Promise<{ id: string; name: string; tag: string }[]> {
    const format = '--format={"id":{{json .ID}},"name":{{json .Repository}},"tag":{{json .Tag}}}';
    const output = await this.#run(["image", "ls", "--no-trunc", ...filters, format]);
    return [...jsonLines(output, (image: { id: string; name: string; tag: string }) => image, "id")];
  }

  async removeImage(reference: string): Promise<void> {
    await this.#run(["image", "rm", reference]);
  }

  [Symbol.dispose](): void {}

  /** Starts a command at a terminal of its own, since the docker command takes none from a pipe. */
  #atTerminal(args: readonly string[], size: TerminalSize): Deno.ChildProcess {
    try {
      return new Deno.Command("script", {
        args: atTerminal([this.#docker.path, ...args], size),
        env: { SHELL: "/bin/sh" },
        detached: true, // as for all commands, an interrupt is not for it
        ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
      }).spawn();
    } catch (error) {
      const remedy = "install util-linux, do without (--no-tty), or serve with --engine-api socket";
      throw new EngineError("refused", `a terminal needs the program script, as cless uses ${this.via}; ${remedy}`, {
        cause: error,
      });
    }
  }

  async #run(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    try {
      return await this.#docker.run(args, options);
    } catch (error) {
      throw kindOf(error) === "refused" ? failure(messageOf(error), error) : error;
    }
  }
}

function failure(message: string, cause?: unknown): EngineError {
  return new EngineError(kindOfMessage(message), message, { cause });
}

/** The first size in a text such as `12.5MiB / 1GiB`, in bytes. */
function bytesOf(usage: string): number | undefined {
  const [, count, unit] = /^([\d.]+)([KMGT]i)?B\b/.exec(usage) ?? [];
  if (count === undefined) return undefined;
  return Math.round(Number(count) * 1024 ** ("KMGT".indexOf(unit?.[0] ?? "-") + 1));
}

/** The lines of one of the two streams of `docker logs`, in batches. */
async function* linesWithTime(
  stream: LogLine["stream"],
  bytes: ReadableStream<Uint8Array>,
): AsyncGenerator<LogLine[], void, void> {
  const splitter = new LogSplitter(stream);
  try {
    for await (const piece of piecesOf(bytes)) yield splitter.push(piece);
  } catch {
    // The command's exit code shows whether something went wrong.
  }
  yield splitter.end();
}
