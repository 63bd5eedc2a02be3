import { docker } from "./docker.ts";
import { ProgramLog } from "./program_log.ts";

const client = Deno.createHttpClient({ allowHost: true, http2: false, poolMaxIdlePerHost: 2000 });

/** An answer that has been read whole. */
export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

/** Options of {@linkcode Program.start}. */
export interface ProgramOptions {
  readonly flags?: readonly string[];
  readonly dataDir?: string;
  readonly env?: Record<string, string>;
  /** What runs in place of `main.ts`, with its first arguments. */
  readonly entry?: readonly string[];
  /** Where a test makes so many requests that a line for each is too much. */
  readonly logLevel?: "debug" | "info";
}

/** The real program, as a process of its own, on ports that are free. */
export class Program extends ProgramLog implements AsyncDisposable {
  readonly dataDir: string;
  readonly #child: Deno.ChildProcess;
  #proxy = "";
  #admin = "";

  private constructor(child: Deno.ChildProcess, dataDir: string) {
    super(child.stderr);
    this.#child = child;
    this.dataDir = dataDir;
  }

  /** Starts the program, and resolves when it serves. */
  static async start(
    { flags = [], dataDir = Deno.makeTempDirSync(), env = {}, entry = ["main.ts"], logLevel = "debug" }:
      ProgramOptions = {},
  ): Promise<Program> {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", ...entry, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
        ...["--data-dir", dataDir, "--log-format", "json", "--log-level", logLevel, ...flags],
      ],
      env,
      detached: true, // a group of its own, as a shell gives it to what runs in the foreground
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const program = new Program(child, dataDir);
    const { listen, admin } = await program.logged("serving") as unknown as { listen: string[]; admin: string };
    program.#proxy = listen[0]!;
    program.#admin = admin;
    return program;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Where the proxy listens. */
  get proxy(): { hostname: string; port: number } {
    const [hostname, port] = this.#proxy.split(":");
    return { hostname: hostname!, port: Number(port) };
  }

  /** Where the admin API listens. */
  get admin(): { hostname: string; port: number } {
    const [hostname, port] = this.#admin.split(":");
    return { hostname: hostname!, port: Number(port) };
  }

  /** A request for a service. */
  async get(label: string, path = "/", init: RequestInit = {}): Promise<Answer> {
    const headers = new Headers(init.headers);
    headers.set("host", `${label}.localhost`);
    const response = await fetch(`http://${this.#proxy}${path}`, { ...init, headers, client, redirect: "manual" });
    return { status: response.status, text: await response.text(), headers: response.headers };
  }

  /** A GET of the admin API. */
  async api(path: string): Promise<Record<string, unknown>[]> {
    const token = (await Deno.readTextFile(`${this.dataDir}/admin-token`)).trim();
    const response = await fetch(`http://${this.#admin}${path}`, { headers: { authorization: `Bearer ${token}` } });
    return await response.json();
  }

  /** Any request of the admin API; `json` is what the answer holds, where it is that. */
  async send(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
    // deno-lint-ignore no-explicit-any -- a test says what it expects by what it compares
  ): Promise<{ status: number; headers: Headers; text: string; json: any }> {
    const token = (await Deno.readTextFile(`${this.dataDir}/admin-token`)).trim();
    const response = await fetch(`http://${this.#admin}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = /[/+]json/.test(response.headers.get("content-type") ?? "");
    return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined };
  }

  /** The names of this program's containers, running or not. */
  async containers(service?: string): Promise<string[]> {
    const owner = (await Deno.readTextFile(`${this.dataDir}/owner`)).trim();
    const filters = [
      `label=cless.owner=${owner}`,
      ...(service === undefined ? [] : [`label=cless.service=${service}`]),
    ];
    const names = await docker("ps", "--all", "--format={{.Names}}", ...filters.map((filter) => `--filter=${filter}`));
    return names.split("\n").filter(Boolean);
  }

  /** Sends a signal, and resolves with the exit code. */
  async end(signal: Deno.Signal = "SIGTERM"): Promise<number> {
    if (!this.hasEnded) this.#child.kill(signal);
    return await this.exit();
  }

  /** Sends a signal. */
  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Sends SIGINT to the program and all that it has started, as Ctrl-C does. */
  async interrupt(): Promise<void> {
    await new Deno.Command("kill", { args: ["-INT", "--", `-${this.pid}`] }).output();
  }

  /** Resolves with the exit code when the program has ended. */
  async exit(): Promise<number> {
    const { code } = await this.#child.status;
    await this.readWhole();
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
    for (const name of await this.containers()) await docker("rm", "--force", name);
    const owner = (await Deno.readTextFile(`${this.dataDir}/owner`)).trim();
    await docker("network", "rm", `cless-${owner}`).catch(() => {}); // it is there only after a crash
    await Deno.remove(this.dataDir, { recursive: true });
  }
}
