import { noDocker } from "./docker.ts";

/** Whether this machine has the program for a registry of one's own. */
export const hasRegistry = !noDocker &&
  (await new Deno.Command("sh", { args: ["-c", "command -v docker-registry"], stdout: "null" }).output()).success;

/** Options of {@linkcode Registry.start}. */
interface RegistryOptions {
  /** Where another registry has its images. */
  readonly folder?: string;
  /** Whether it wants a password: one that nobody has, or one of these lines of a file of htpasswd with bcrypt. */
  readonly closed?: boolean | string;
  /** The address of this machine at which it listens; only this machine reaches it by default. */
  readonly hostname?: string;
}

/** A registry on a port of this machine; it goes away with its images. */
export class Registry implements AsyncDisposable {
  /** What images of it are called at the beginning. */
  readonly host: string;
  readonly folder: string;
  readonly #child: Deno.ChildProcess;
  readonly #log: Promise<void>;

  private constructor(host: string, folder: string, child: Deno.ChildProcess, log: Promise<void>) {
    this.host = host;
    this.folder = folder;
    this.#child = child;
    this.#log = log;
  }

  static async start(
    { closed = false, folder: given, hostname = "127.0.0.1" }: RegistryOptions = {},
  ): Promise<Registry> {
    const folder = given ?? await Deno.makeTempDir();
    using probe = Deno.listen({ hostname, port: 0 });
    const host = `${hostname}:${probe.addr.port}`;
    probe.close();
    const config = {
      version: 0.1,
      storage: { filesystem: { rootdirectory: folder } },
      http: { addr: host },
      ...(closed ? { auth: { htpasswd: { realm: "test", path: `${folder}/passwords` } } } : {}),
    };
    if (typeof closed === "string") await Deno.writeTextFile(`${folder}/passwords`, closed);
    const file = `${folder}/${closed ? "closed" : "open"}.yml`;
    await Deno.writeTextFile(file, JSON.stringify(config));
    const child = new Deno.Command("docker-registry", { args: ["serve", file], stdout: "null", stderr: "piped" })
      .spawn();
    const listening = Promise.withResolvers<void>();
    const log = read(child, (text) => text.includes("listening on") && listening.resolve());
    await Promise.race([
      listening.promise,
      log.then(() => Promise.reject(new Error("The registry has ended before it was listening"))),
    ]);
    return new Registry(host, folder, child, log);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill();
    await this.#child.status;
    await this.#log;
    await Deno.remove(this.folder, { recursive: true }).catch(() => {}); // two may have shared it
  }
}

async function read(child: Deno.ChildProcess, told: (text: string) => void): Promise<void> {
  for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) told(text);
}
