import { BenchError } from "../bench/support/errors.ts";
import { Program } from "../bench/support/program.ts";

const MACHINE_SOCKET = "/var/run/docker.sock";
/** On a busy machine, one that had been killed took 34 s until it answered again. */
const PATIENCE_MS = 60_000;
/**
 * The bridge of the engine's default network, which nothing uses. Without one of its own, the engine would use that of
 * the machine's engine; told to have none, it would delete that one.
 */
const BRIDGE = `chaos-${Deno.pid}`;
const BRIDGE_ADDRESS = "169.254.213.1/24";
const BUFFER_BYTES = 65_536;

/** Whether this user may start an engine, and there are the programs for that. */
export async function mayStartEngine(): Promise<boolean> {
  const { success } = await new Deno.Command("sh", {
    args: ["-c", "command -v dockerd && command -v ip"],
    stdout: "null",
  }).output();
  return success && Deno.uid() === 0;
}

/** A Docker engine, with a line before it that can be slow or stand still. */
export class Engine implements AsyncDisposable {
  /** Where the engine itself is. */
  readonly socket: string;
  readonly line: EngineLine;
  /** Whether it may be ended and started: it is there for this run alone. */
  readonly isOwn: boolean;
  readonly #launch: () => Program;
  readonly #folder: string;
  #program: Program | undefined;

  private constructor(folder: string, socket: string, launch: (() => Program) | undefined) {
    this.#folder = folder;
    this.socket = socket;
    this.isOwn = launch !== undefined;
    this.#launch = launch ?? (() => {
      throw new BenchError("the machine's engine is not this run's to start");
    });
    this.line = new EngineLine(`${folder}/line.sock`, socket);
  }

  /** Takes the engine of the machine, which others may use too. @param folder For the line's socket. */
  static ofMachine(folder: string): Engine {
    const given = /^unix:\/\/(\/.+)$/.exec(Deno.env.get("DOCKER_HOST") ?? "")?.[1];
    return new Engine(folder, given ?? MACHINE_SOCKET, undefined);
  }

  /**
   * Starts one of its own, with everything that it writes in a folder. It makes no rules for the machine's packet filter:
   * those that another engine has made would go. So its containers reach nothing but their network and this machine.
   *
   * @param keepsContainers Whether containers go on when the engine ends, and when it is started again. Before it is
   * disposed of, they have to be removed then.
   */
  static async start(folder: string, { keepsContainers = false } = {}): Promise<Engine> {
    await Deno.mkdir(folder);
    const socket = `${folder}/engine.sock`;
    const args = [
      `--host=unix://${socket}`,
      `--data-root=${folder}/data`,
      `--exec-root=${folder}/exec`,
      `--pidfile=${folder}/pid`,
      "--containerd-namespace=cless-chaos",
      "--containerd-plugins-namespace=cless-chaos-plugins",
      `--bridge=${BRIDGE}`,
      "--iptables=false",
      "--ip6tables=false",
      ...(keepsContainers ? ["--live-restore"] : []),
    ];
    await ip("link", "add", BRIDGE, "type", "bridge");
    await ip("address", "add", BRIDGE_ADDRESS, "dev", BRIDGE);
    const engine = new Engine(folder, socket, () => Program.start("dockerd", "dockerd", { args }));
    await engine.begin();
    return engine;
  }

  /** Starts it again, and waits until it answers. @throws {BenchError} When it does not. */
  async begin(): Promise<void> {
    await Deno.remove(`${this.#folder}/pid`).catch(() => {}); // of one that was killed
    const program = this.#program = this.#launch();
    const end = performance.now() + PATIENCE_MS;
    while (!await this.#answers()) {
      program.check();
      if (performance.now() > end) throw new BenchError("the engine does not answer");
      await pause(50);
    }
  }

  /** Kills it; its containers go on until it is started again, which ends them unless it keeps them. */
  async kill(): Promise<void> {
    const containerd = Number(await Deno.readTextFile(`${this.#folder}/exec/containerd/containerd.pid`));
    this.#program!.signal("SIGKILL");
    await this.#program!.exit();
    // The kernel ends it with its parent; a new engine that still meets it would wait for it for 10 s.
    while (await Deno.stat(`/proc/${containerd}`).then(() => true, () => false)) await pause(10);
  }

  /** Ends it, and its containers with it unless it keeps them. */
  async end(): Promise<void> {
    await this.#program!.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.line[Symbol.dispose]();
    if (this.#program === undefined) return;
    await this.#program.end();
    await this.#endOrphans();
    await ip("link", "delete", BRIDGE);
    for (const path of (await mountsBelow(this.#folder)).reverse()) {
      await new Deno.Command("umount", { args: ["--lazy", path] }).output();
    }
    await Deno.remove(this.#folder, { recursive: true });
  }

  /** An engine that is killed in the middle of a start knows nothing of that container afterwards. */
  async #endOrphans(): Promise<void> {
    for await (const { name: pid } of Deno.readDir("/proc")) {
      if (!/^\d+$/.test(pid)) continue;
      const read = (file: string) => Deno.readTextFile(`/proc/${pid}/${file}`).catch(() => ""); // it has ended meanwhile
      if (!(await read("cmdline")).includes(`${this.#folder}/exec/`)) continue;
      const children = (await read(`task/${pid}/children`)).split(" ").filter(Boolean);
      await new Deno.Command("kill", { args: ["-KILL", ...children, pid], stderr: "null" }).output();
    }
  }

  async #answers(): Promise<boolean> {
    const { success } = await new Deno.Command("docker", {
      args: ["--host", `unix://${this.socket}`, "version"],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).output();
    return success;
  }
}

/** Runs ip(8). @throws {BenchError} If it fails. */
async function ip(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("ip", { args, stdout: "null" }).output();
  if (!success) throw new BenchError(`ip ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
}

async function mountsBelow(folder: string): Promise<string[]> {
  const mounts = (await Deno.readTextFile("/proc/mounts")).split("\n").map((line) => line.split(" ")[1] ?? "");
  return mounts.filter((path) => path.startsWith(`${folder}/`));
}

/** A line to an engine that passes everything on: late, or not until it is told to. */
export class EngineLine implements Disposable {
  readonly path: string;
  readonly #target: string;
  readonly #listener: Deno.UnixListener;
  readonly #ends = new Set<Deno.UnixConn>();
  #delayMs = 0;
  #held: PromiseWithResolvers<void> | undefined;

  /** @param path Where it listens. @param target The engine's socket. */
  constructor(path: string, target: string) {
    this.path = path;
    this.#target = target;
    this.#listener = Deno.listen({ transport: "unix", path });
    this.#run();
  }

  /** From now on every call takes so much longer. */
  slow(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  /** From now on nothing is passed on, in both directions, until it is released. */
  hold(): void {
    this.#held ??= Promise.withResolvers();
  }

  /** Passes on what was held, and all that comes. */
  release(): void {
    this.#held?.resolve();
    this.#held = undefined;
  }

  [Symbol.dispose](): void {
    this.release();
    this.#listener.close();
    for (const end of this.#ends) close(end);
  }

  async #run(): Promise<void> {
    for await (const client of this.#listener) this.#join(client).catch(() => close(client));
  }

  async #join(client: Deno.UnixConn): Promise<void> {
    this.#ends.add(client);
    const engine = await Deno.connect({ transport: "unix", path: this.#target });
    this.#ends.add(engine);
    // What comes from the client after an answer is another call.
    let isNew = true;
    const late = async () => {
      if (isNew && this.#delayMs > 0) await pause(this.#delayMs);
      isNew = false;
    };
    const answered = () => Promise.resolve(void (isNew = true));
    await Promise.allSettled([this.#pass(client, engine, late), this.#pass(engine, client, answered)]);
    for (const end of [client, engine]) {
      close(end);
      this.#ends.delete(end);
    }
  }

  /** @param before Is waited for before anything is passed on. */
  async #pass(from: Deno.UnixConn, to: Deno.UnixConn, before: () => Promise<void>): Promise<void> {
    const buffer = new Uint8Array(BUFFER_BYTES);
    try {
      for (let count; (count = await from.read(buffer)) !== null;) {
        await before();
        await this.#held?.promise;
        for (let sent = 0; sent < count;) sent += await to.write(buffer.subarray(sent, count));
      }
      await this.#held?.promise;
      await to.closeWrite();
    } catch {
      close(to); // one of both has gone, and so goes the other
    }
  }
}

/** Waits. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function close(end: Deno.UnixConn): void {
  try {
    end.close();
  } catch {
    // It has been closed already.
  }
}
