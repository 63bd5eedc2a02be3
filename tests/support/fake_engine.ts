/**
 * What an engine's answer consists of; `never` is none, `lost` the end of the connection, and `open` one that goes on without
 * an end.
 */
type Answer = { readonly status: number; readonly body: unknown } | "never" | "lost" | "open";
/** An answer that is made when it is asked for. */
type Answers = () => Answer;

/** The head of an answer without an end. */
const OPEN = new TextEncoder().encode("HTTP/1.1 200 Said\r\nTransfer-Encoding: chunked\r\n\r\n");

/** The HTTP API of an engine without containers, on a unix socket of its own; */
export class FakeEngine implements AsyncDisposable {
  /** Where its socket is. */
  readonly path: string;
  /** What was asked, such as `POST /containers/one/pause`. */
  readonly requests: string[] = [];
  /** The headers of each. */
  readonly headers: Headers[] = [];
  /** What came with those that had something with them. */
  readonly bodies: unknown[] = [];
  /** Which hosts the requests were for. */
  readonly hosts = new Set<string>();
  /** How many connections there have been. */
  connections = 0;
  readonly #dir: string;
  readonly #answers = new Map<string, Answer | Answers>();
  readonly #open = new Set<Deno.Conn>();
  #listener: Deno.Listener;
  #serving: Promise<void>;

  private constructor(dir: string) {
    this.#dir = dir;
    this.path = `${dir}/engine.sock`;
    this.#listener = Deno.listen({ transport: "unix", path: this.path });
    this.#serving = this.#accept();
  }

  static async start(): Promise<FakeEngine> {
    return new FakeEngine(await Deno.makeTempDir({ prefix: "fake-engine-" }));
  }

  /** Says how a request is answered; what it has no answer for is not found. */
  on(request: string, status: number | "never" | "lost" | "open" | Answers, body: unknown = ""): void {
    this.#answers.set(request, typeof status === "number" ? { status, body } : status);
  }

  /** Goes away, with all of its connections. */
  async stop(): Promise<void> {
    this.#listener.close();
    for (const connection of this.#open) connection.close();
    this.#open.clear();
    await this.#serving;
    await Deno.remove(this.path).catch(() => {});
  }

  /** Is there again. */
  restart(): Promise<void> {
    this.#listener = Deno.listen({ transport: "unix", path: this.path });
    this.#serving = this.#accept();
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.stop();
    } catch {
      // It was stopped already.
    }
    await Deno.remove(this.#dir, { recursive: true });
  }

  async #accept(): Promise<void> {
    const handling: Promise<void>[] = [];
    try {
      for await (const connection of this.#listener) {
        this.connections++;
        this.#open.add(connection);
        handling.push(this.#handle(connection).catch(() => {}).finally(() => this.#open.delete(connection)));
      }
    } catch {
      // It has been closed.
    }
    await Promise.all(handling);
  }

  async #handle(connection: Deno.Conn): Promise<void> {
    let text = "";
    for await (const chunk of connection.readable.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      for (let message = split(text); message !== undefined; message = split(text)) {
        text = message.rest;
        this.requests.push(message.request);
        this.headers.push(message.headers);
        this.hosts.add(message.host);
        if (message.body !== "") this.bodies.push(JSON.parse(message.body));
        const said = this.#answers.get(message.request) ?? { status: 404, body: { message: "not found" } };
        const answer = typeof said === "function" ? said() : said;
        if (answer === "lost") return this.#lose(connection);
        if (answer === "open") await connection.write(OPEN);
        else if (answer !== "never") await connection.write(encode(answer));
      }
    }
  }

  #lose(connection: Deno.Conn): void {
    this.#open.delete(connection);
    connection.close();
  }
}

/** The first request of a text, where it is there as a whole. For bodies of ASCII. */
function split(
  text: string,
): { request: string; headers: Headers; host: string; body: string; rest: string } | undefined {
  const end = text.indexOf("\r\n\r\n") + 4;
  if (end < 4) return undefined;
  const head = text.slice(0, end);
  const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
  if (text.length < end + length) return undefined;
  const [, method, host = "", target] = /^(\S+) (?:http:\/\/([^/]+))?(\S+) /.exec(head)!;
  const [body, rest] = [text.slice(end, end + length), text.slice(end + length)];
  const headers = new Headers(
    head.trimEnd().split("\r\n").slice(1).map((line) => line.split(/: (.*)/s).slice(0, 2) as [string, string]),
  );
  return { request: `${method} ${target}`, headers, host, body, rest };
}

function encode({ body, status }: Exclude<Answer, string>): Uint8Array {
  const content = new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body));
  const length = status === 204 ? "" : `Content-Length: ${content.length}\r\n`;
  const head = new TextEncoder().encode(`HTTP/1.1 ${status} Said\r\nContent-Type: application/json\r\n${length}\r\n`);
  return status === 204 ? head : new Uint8Array([...head, ...content]);
}
