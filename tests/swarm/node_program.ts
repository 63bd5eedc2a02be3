import { ROOT } from "../support/sources.ts";
import type { Answer } from "../support/program.ts";
import { ProgramLog } from "../support/program_log.ts";
import type { Node } from "./nodes.ts";

/** The admin API answers anything within this time, also while the managers have no leader. */
const ANSWER_MS = 180_000;
const client = Deno.createHttpClient({ allowHost: true, http2: false, poolMaxIdlePerHost: 2000 });

/** The real program in a node. */
export class NodeProgram extends ProgramLog {
  /** What `serve` was given. */
  readonly flags: readonly string[];
  readonly #node: Node;
  readonly #child: Deno.ChildProcess;
  readonly #pidFile: string;

  /** @param number Distinguishes it from the node's earlier ones. */
  constructor(node: Node, number: number, flags: readonly string[]) {
    const pidFile = `cless-${number}.pid`;
    const child = new Deno.Command("docker", {
      args: [
        ...["exec", "--workdir", ROOT.pathname, node.name, "sh", "-c", `echo $$ >/node/${pidFile}; exec "$@"`, "sh"],
        ...["deno", "run", "-A", "main.ts", "serve", "--log-format", "json"],
        ...(flags.includes("--log-level") ? [] : ["--log-level", "debug"]),
        ...["--listen", `${node.address}:80`, "--admin", `${node.address}:1323`, ...flags],
      ],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    super(child.stderr);
    this.flags = flags;
    this.#node = node;
    this.#child = child;
    this.#pidFile = `${node.folder}/${pidFile}`;
  }

  /** A request for a service. */
  async get(label: string, path = "/", init: RequestInit = {}): Promise<Answer> {
    const headers = new Headers(init.headers);
    headers.set("host", `${label}.localhost`);
    const url = `http://${this.#node.address}${path}`;
    const response = await fetch(url, { ...init, headers, client, redirect: "manual" });
    return { status: response.status, text: await response.text(), headers: response.headers };
  }

  /** A GET of the admin API. */
  // deno-lint-ignore no-explicit-any -- a test says what it expects by what it compares
  async api(path: string): Promise<any> {
    return (await this.send("GET", path)).json;
  }

  /** Any request of the admin API; `json` is what the answer holds, where it is that. */
  // deno-lint-ignore no-explicit-any -- a test says what it expects by what it compares
  async send(method: string, path: string, body?: unknown): Promise<{ status: number; text: string; json: any }> {
    const token = (await Deno.readTextFile(`${this.#node.dataDir}/admin-token`)).trim();
    const response = await fetch(`http://${this.#node.address}:1323${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    const text = await response.text();
    const isJson = /[/+]json/.test(response.headers.get("content-type") ?? "");
    return { status: response.status, text, json: isJson ? JSON.parse(text) : undefined };
  }

  /** The process as this machine sees it. */
  async pid(): Promise<number> {
    const inside = (await Deno.readTextFile(this.#pidFile)).trim();
    return await this.#node.pidHere(inside);
  }

  /** Sends a signal, and resolves with the exit code. */
  async end(signal: "SIGTERM" | "SIGKILL" | "SIGINT" = "SIGTERM"): Promise<number> {
    const pid = (await Deno.readTextFile(this.#pidFile)).trim();
    if (!this.hasEnded) await this.#node.exec("kill", `-${signal.slice(3)}`, pid);
    return await this.exit();
  }

  /** Resolves with the exit code when the program has ended, or its node has. */
  async exit(): Promise<number> {
    const { code } = await this.#child.status;
    await this.readWhole();
    return code;
  }
}
