import type { DockerCommand } from "../../../src/docker/command.ts";
import type { Revision } from "../../../src/model/revision.ts";
import { caddyfile } from "../forward/peer_configs.ts";
import { CADDY, type Peer, startPeer } from "../forward/peers.ts";
import { checkAnswer } from "../support/app.ts";
import { ClessUnderTest } from "../support/cless_under_test.ts";
import { BenchError } from "../support/errors.ts";
import { HttpClient } from "../support/http_client.ts";
import { buildGo, howToInstall, versionOf } from "../support/tool.ts";

/** The id of cless. */
export const CLESS = "cless";

/** What the sender sends to. */
export interface Contender {
  readonly id: string;
  readonly name: string;
  /** Of the loopback address. */
  readonly url: string;
}

/** How many services there are, and how many of them get requests. */
export interface ServiceCount {
  readonly services: number;
  readonly warm: number;
}

/** cless, Caddy with the same routes to the same containers, and a program that answers at once. */
export class OpenLoopContenders implements AsyncDisposable {
  readonly all: readonly Contender[];
  /** The hostnames of the warm services. */
  readonly hosts: readonly string[];
  /** A line for what is not installed. */
  readonly leftOut: readonly string[];
  readonly #running: AsyncDisposableStack;

  private constructor(
    { all, hosts, leftOut }: Pick<OpenLoopContenders, "all" | "hosts" | "leftOut">,
    running: AsyncDisposableStack,
  ) {
    this.all = all;
    this.hosts = hosts;
    this.leftOut = leftOut;
    this.#running = running;
  }

  /**
   * Starts them, and the app for each warm service.
   *
   * @param folder For their files.
   * @throws {BenchError}
   */
  static async start(
    docker: DockerCommand,
    app: Revision,
    count: ServiceCount,
    folder: string,
    signal: AbortSignal,
  ): Promise<OpenLoopContenders> {
    await using running = new AsyncDisposableStack();
    const cless = running.use(await ClessUnderTest.start(docker, `${folder}/cless`, signal));
    const names = Array.from({ length: count.services }, (_, n) => `open-${n + 1}`);
    for (const name of names) await cless.declare(name, { image: app.image });
    const warm = names.filter((_, n) => n % Math.floor(count.services / count.warm) === 0).slice(0, count.warm);
    const origins = await wake(cless, warm, signal);
    const all: Contender[] = [{ id: CLESS, name: "cless", url: cless.url }];
    const leftOut: string[] = [];
    for (const peer of [caddy(names, origins), answerer()]) {
      if (peer.tool !== undefined && await versionOf(peer.tool) === undefined) {
        leftOut.push(`Left out: ${peer.name}, ${howToInstall(peer.tool)}`);
        continue;
      }
      const own = `${folder}/${peer.id}`;
      await Deno.mkdir(own);
      const { program, url } = await startPeer(peer, { origin: cless.url, folder: own }, signal);
      running.use(program);
      all.push({ id: peer.id, name: peer.name, url });
    }
    return new OpenLoopContenders({ all, hosts: warm.map(hostOf), leftOut }, running.move());
  }

  /** Ends them. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running[Symbol.asyncDispose]();
  }
}

function hostOf(service: string): string {
  return `${service}.localhost`;
}

/** Has cless start the services; returns where the container of each is, such as `http://172.18.0.2:8080`. */
async function wake(
  cless: ClessUnderTest,
  services: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, string>> {
  using client = new HttpClient();
  for (const service of services) {
    checkAnswer(await client.ask(cless.url, { host: hostOf(service), signal }), "cless");
  }
  const origins = new Map((await cless.instances()).map(({ address, service }) => [service, `http://${address}`]));
  if (origins.size !== services.length) {
    throw new BenchError(`cless has ${origins.size} services with an instance, and not ${services.length}`);
  }
  return origins;
}

/** A site for each service; those that are not warm lead to the container of one that is, since nobody asks for them. */
function caddy(services: readonly string[], origins: ReadonlyMap<string, string>): Peer {
  const [any] = origins.values();
  const sites = (port: number) =>
    services.map((service) => ({
      address: `http://${hostOf(service)}:${port}`,
      origin: origins.get(service) ?? any!,
    }));
  return {
    ...CADDY,
    prepare: ({ folder, port }) => Deno.writeTextFile(`${folder}/Caddyfile`, caddyfile(sites(port))),
  };
}

/** What is left when there is no proxy and no app. */
function answerer(): Peer {
  const source = `${import.meta.dirname}/answerer`;
  return {
    id: "answerer",
    name: "no proxy, answers at once",
    prepare: ({ folder }, signal) => buildGo(source, `${folder}/answerer`, signal),
    command: ({ folder, port }) => [`${folder}/answerer`, `-listen=127.0.0.1:${port}`],
  };
}
