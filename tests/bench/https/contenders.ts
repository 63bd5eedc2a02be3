import type { DockerCommand } from "../../../src/docker/command.ts";
import { caddyfileOf, type Wiring } from "../../../src/edge/caddyfile.ts";
import type { OwnCertificate } from "../../../src/edge/settings.ts";
import { parseEndpoint } from "../../../src/model/host.ts";
import { freePorts } from "../../support/free_ports.ts";
import { APP_HOST, checkAnswer } from "../support/app.ts";
import { ClessUnderTest } from "../support/cless_under_test.ts";
import { BenchError } from "../support/errors.ts";
import { HttpClient, untilAnswer } from "../support/http_client.ts";
import { Program } from "../support/program.ts";
import { makeCertificate } from "./certificate.ts";

/** The id of Caddy in front of cless. */
export const EDGE = "edge";
/** The id of Caddy in front of the app itself. */
export const CADDY = "caddy";
/** The id of cless without HTTPS. */
export const CLESS = "cless";

/** A way to the app. */
export interface Contender {
  readonly id: string;
  readonly name: string;
  /** Of the loopback address. */
  readonly url: string;
  /** The process that ends TLS. */
  readonly caddy?: number;
  /** The process of cless. */
  readonly cless?: number;
}

/** cless behind Caddy, Caddy alone with the same configuration and certificate, and cless over HTTP. */
export class HttpsContenders implements AsyncDisposable {
  readonly all: readonly Contender[];
  /** The certificate that both Caddys have (PEM). */
  readonly certificate: string;
  readonly #running: AsyncDisposableStack;

  private constructor(all: readonly Contender[], certificate: string, running: AsyncDisposableStack) {
    this.all = all;
    this.certificate = certificate;
    this.#running = running;
  }

  /**
   * Starts them, and the app. cless with and without HTTPS is one process, which has the settings that `cless https on`
   * gives it.
   *
   * @param folder For their files.
   * @throws {BenchError}
   */
  static async start(docker: DockerCommand, folder: string, signal: AbortSignal): Promise<HttpsContenders> {
    await using running = new AsyncDisposableStack();
    const own = await makeCertificate(folder, signal);
    const certificate = await Deno.readTextFile(own.certificate);
    const [edgePorts, directPorts] = [freePorts(2), freePorts(2)];
    const flags = [
      "--domain=localhost",
      `--public-url=https://localhost:${edgePorts}`,
      "--trusted-proxy=127.0.0.1/32",
    ];
    const cless = running.use(await ClessUnderTest.start(docker, `${folder}/cless`, signal, { flags }));
    using client = new HttpClient();
    checkAnswer(await client.ask(cless.url, { host: APP_HOST }), "cless");
    const [instance] = await cless.instances();
    if (instance === undefined) throw new BenchError("cless lists no instance though it has answered");
    const caddy = async (id: string, upstream: string, firstPort: number) => {
      const place = { id, upstream, admin: new URL(cless.adminUrl).host, folder: `${folder}/${id}`, firstPort };
      const { program, url } = await startCaddy(place, own, certificate, signal);
      running.use(program);
      return { id, url, caddy: program.pid };
    };
    const edge = await caddy(EDGE, new URL(cless.url).host, edgePorts);
    const direct = await caddy(CADDY, instance.address, directPorts);
    const { pid } = cless.program;
    const all: Contender[] = [
      { ...edge, name: "cless behind Caddy, HTTPS", cless: pid },
      { ...direct, name: "Caddy alone, HTTPS" },
      { id: CLESS, name: "cless alone, HTTP", url: cless.url, cless: pid },
    ];
    return new HttpsContenders(all, certificate, running.move());
  }

  /** Ends them. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running[Symbol.asyncDispose]();
  }
}

/** What one Caddy is started with. */
interface CaddyPlace {
  readonly id: string;
  /** Where it sends requests, such as `127.0.0.1:8080`. */
  readonly upstream: string;
  /** Where the admin API of cless is. */
  readonly admin: string;
  /** Is made for its files. */
  readonly folder: string;
  /** For HTTP; the next one is for HTTPS. */
  readonly firstPort: number;
}

/** Starts Caddy with the configuration that cless writes, and waits until it answers over HTTPS. */
async function startCaddy(
  { admin, firstPort, folder, id, upstream }: CaddyPlace,
  own: OwnCertificate,
  certificate: string,
  signal: AbortSignal,
): Promise<{ program: Program; url: string }> {
  const wiring: Wiring = {
    upstream: parseEndpoint(upstream),
    admin: parseEndpoint(admin),
    bind: "127.0.0.1",
    httpPort: firstPort,
    httpsPort: firstPort + 1,
    storage: `${folder}/storage`,
    additions: `${folder}/additions`,
  };
  await Deno.mkdir(wiring.storage, { recursive: true });
  await Deno.mkdir(wiring.additions);
  await Deno.writeTextFile(`${folder}/Caddyfile`, caddyfileOf({ domain: "localhost", admin: false, own }, wiring));
  const program = Program.start(`Caddy (${id})`, "caddy", {
    args: ["run", "--config", `${folder}/Caddyfile`, "--adapter", "caddyfile"],
    env: { XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
  });
  const url = `https://127.0.0.1:${wiring.httpsPort}/`;
  try {
    await untilAnswer(url, () => true, () => {
      signal.throwIfAborted();
      program.check();
    }, [certificate]);
    return { program, url };
  } catch (error) {
    await program[Symbol.asyncDispose]();
    throw error;
  }
}
