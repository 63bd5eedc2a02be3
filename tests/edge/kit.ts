import { connect } from "node:http2";
import { freePorts } from "../support/free_ports.ts";
import { HttpMessage, HttpReader, writeAll } from "../support/http_message.ts";
import { isListening, Pebble } from "../support/pebble.ts";
import { until } from "../support/until.ts";

/** A line of the log of `cless https run`. */
export interface EdgeLine {
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

/** The command line that runs the program. */
export const PROGRAM = [Deno.execPath(), "run", "-A", "--quiet", "main.ts"] as const;

/** `cless https run` as a process of its own, on ports of 127.0.0.1 that are free. */
export class EdgeProcess implements AsyncDisposable {
  readonly lines: EdgeLine[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#reading = this.#read();
  }

  /** Starts it. @param flags All but `--domain`, which is example.org. */
  static start(flags: readonly string[]): EdgeProcess {
    const [program, ...args] = PROGRAM;
    const child = new Deno.Command(program, {
      args: [...args, "https", "run", "--domain", "example.org", ...flags],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    return new EdgeProcess(child);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** The first line with that message, and with those fields. */
  async logged(message: string, fields: Record<string, unknown> = {}): Promise<EdgeLine> {
    const find = () =>
      this.lines.find((line) =>
        line.message === message && Object.entries(fields).every(([name, value]) => line[name] === value)
      );
    await until(() => find() !== undefined);
    return find()!;
  }

  /** Lets it end, and resolves with the exit code. */
  async end(): Promise<number> {
    try {
      this.#child.kill("SIGTERM");
    } catch {
      // It has ended by itself.
    }
    return await this.exit();
  }

  /** Resolves with the exit code when it has ended. */
  async exit(): Promise<number> {
    const { code } = await this.#child.status;
    await this.#reading;
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        this.lines.push(line.startsWith("{") ? JSON.parse(line) : { level: "text", message: line });
      }
    }
  }
}

/** Who stands behind the edge in a test: it answers what Caddy asks, and what Caddy passes on. */
export class Behind implements AsyncDisposable {
  readonly admin = freePorts(1);
  readonly listen = freePorts(1);
  /** The names that were asked for, in order. */
  readonly asked: string[] = [];
  #servers: Deno.HttpServer[] = [];

  /** @param isServed Which names get a certificate. @param answer Answers a request. */
  constructor(isServed: (name: string) => boolean, answer: (request: Request) => Response | Promise<Response>) {
    this.#serve(this.admin, (request) => {
      const { pathname, searchParams } = new URL(request.url);
      const name = searchParams.get("domain") ?? "";
      this.asked.push(name);
      return new Response(null, { status: pathname === "/v1/ask" && isServed(name) ? 200 : 404 });
    });
    this.#serve(this.listen, answer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.shutdown()));
  }

  #serve(port: number, handler: (request: Request) => Response | Promise<Response>): void {
    this.#servers.push(Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, handler));
  }
}

/** The ports and the folder of an edge in a test, and its authority. */
export class EdgeRig implements AsyncDisposable {
  readonly httpPort = freePorts(1);
  readonly httpsPort = freePorts(1);
  readonly folder = Deno.makeTempDirSync({ prefix: "edge-" });
  /** The address that Caddy listens on. */
  bind = "127.0.0.1";
  #authority: Pebble | undefined;

  /** Starts an authority that looks at these ports. @param validityS How long its certificates are valid. */
  static async start(validityS?: number): Promise<EdgeRig> {
    const rig = new EdgeRig();
    rig.#authority = await Pebble.start({ httpPort: rig.httpPort, ...validityS === undefined ? {} : { validityS } });
    return rig;
  }

  get authority(): Pebble {
    return this.#authority!;
  }

  /** The flags of `cless https run` for it. */
  flags({ listen, admin }: Pick<Behind, "listen" | "admin">): string[] {
    return [
      ...["--http-port", `${this.httpPort}`, "--https-port", `${this.httpsPort}`, "--bind", this.bind],
      ...["--storage", this.folder, "--listen", `127.0.0.1:${listen}`, "--admin-api", `127.0.0.1:${admin}`],
      ...["--acme-url", this.authority.url, "--acme-ca-root", this.authority.rootFile],
    ];
  }

  /** Starts `cless https run`, and resolves when Caddy listens. */
  async run(behind: Pick<Behind, "listen" | "admin">, flags: readonly string[] = []): Promise<EdgeProcess> {
    const edge = EdgeProcess.start([...this.flags(behind), ...flags]);
    await until(async () => await isListening(this.httpPort) && await isListening(this.httpsPort));
    return edge;
  }

  /** The answer to a GET over HTTPS, by a client that trusts the authority. Rejects if there is no certificate. */
  async get(hostname: string, path = "/", headers: readonly string[] = [], address?: string): Promise<HttpMessage> {
    using tls = await this.connect(hostname, [this.authority.root], address);
    const lines = [`GET ${path} HTTP/1.1`, `host: ${hostname}`, "connection: close", ...headers];
    await writeAll(tls, lines.join("\r\n") + "\r\n\r\n");
    const answer = await new HttpReader(tls).response("GET");
    if (answer === undefined) throw new Error("the connection ended before the answer");
    return answer;
  }

  /** A TLS connection. @param roots Whom the client trusts, in PEM; by default the authority alone. */
  async connect(
    hostname: string,
    roots: readonly string[] = [this.authority.root],
    address = "127.0.0.1",
  ): Promise<Deno.TlsConn> {
    const connection = await Deno.connect({ hostname: address, port: this.httpsPort });
    const tls = await Deno.startTls(connection, { hostname, caCerts: [...roots] });
    try {
      await tls.handshake();
    } catch (error) {
      tls.close();
      throw error;
    }
    return tls;
  }

  /** A client that speaks HTTP/2, and so has requests beside each other on one connection. */
  async client(hostname: string) {
    (await this.connect(hostname)).close(); // from now on there is a certificate
    const session = connect(`https://127.0.0.1:${this.httpsPort}`, { ca: this.authority.root, servername: hostname });
    return {
      /** Sends a request, by default without a body, and resolves with the status of the answer. */
      request: (method: string, path: string, body?: string) =>
        new Promise<number>((resolve, reject) => {
          const head = { ":method": method, ":path": path, ":authority": hostname };
          const stream = session.request(head, { endStream: body === undefined });
          let status = 0;
          stream.on("response", (headers) => status = Number(headers[":status"]));
          stream.on("end", () => resolve(status));
          stream.on("error", reject);
          stream.resume();
          if (body !== undefined) stream.end(body);
        }),
      [Symbol.dispose]: () => session.destroy(),
    };
  }

  /** What curl prints of a request over HTTPS. @param args Its further arguments. */
  async curl(hostname: string, ...args: string[]): Promise<{ code: number; out: string }> {
    const root = `${this.folder}/root.pem`;
    await Deno.writeTextFile(root, this.authority.root);
    const { code, stdout } = await new Deno.Command("curl", {
      args: [
        ...["--silent", "--max-time", "20", "--cacert", root, "--resolve", `${hostname}:${this.httpsPort}:127.0.0.1`],
        ...[...args, `https://${hostname}:${this.httpsPort}/`],
      ],
      stderr: "null",
    }).output();
    return { code, out: new TextDecoder().decode(stdout) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#authority?.[Symbol.asyncDispose]();
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** Whether curl can do something, such as `HTTP3`. */
export async function curlHas(feature: string): Promise<boolean> {
  const { stdout } = await new Deno.Command("curl", { args: ["--version"] }).output();
  return new TextDecoder().decode(stdout).split(/\s+/).includes(feature);
}
