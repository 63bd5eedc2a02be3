import type { DockerCommand } from "../../../src/docker/command.ts";
import { APP_HOST, checkAnswer } from "../support/app.ts";
import { ClessUnderTest } from "../support/cless_under_test.ts";
import { BenchError } from "../support/errors.ts";
import { HttpClient } from "../support/http_client.ts";
import { FLOOR, PEERS, startPeer } from "./peers.ts";
import { howToInstall, versionOf } from "../support/tool.ts";

/** The id of cless itself, which is always there, as is the floor. */
export const EXACT = "exact";
/** The id of cless with its other forwarder. */
export const FETCH = "fetch";
/** What `--peers` may name. */
export const PEER_IDS: readonly string[] = [FETCH, ...[FLOOR, ...PEERS].map(({ id }) => id)];

/** A proxy that is running. */
export interface Contender {
  readonly id: string;
  readonly name: string;
  readonly url: string;
  readonly pid: number;
}

/** The proxies that are compared; all but the second cless send to one container. */
export class Contenders implements AsyncDisposable {
  readonly all: readonly Contender[];
  /** A line for each that is not installed. */
  readonly leftOut: readonly string[];
  readonly #running: AsyncDisposableStack;

  private constructor(all: readonly Contender[], leftOut: readonly string[], running: AsyncDisposableStack) {
    this.all = all;
    this.leftOut = leftOut;
    this.#running = running;
  }

  /**
   * Starts them.
   *
   * @param peers The ids of those that are wanted beside cless exact and the floor.
   * @param folder For their files.
   */
  static async start(
    docker: DockerCommand,
    peers: readonly string[],
    folder: string,
    signal: AbortSignal,
  ): Promise<Contenders> {
    await using running = new AsyncDisposableStack();
    const exact = running.use(
      await ClessUnderTest.start(docker, `${folder}/cless-exact`, signal, { forward: "exact" }),
    );
    const origin = await originOf(exact);
    const all: Contender[] = [{ id: EXACT, name: "cless exact", url: exact.url, pid: exact.program.pid }];
    if (peers.includes(FETCH)) {
      const fetch = running.use(
        await ClessUnderTest.start(docker, `${folder}/cless-fetch`, signal, { forward: "fetch" }),
      );
      await originOf(fetch);
      all.push({ id: FETCH, name: "cless fetch", url: fetch.url, pid: fetch.program.pid });
    }
    const leftOut: string[] = [];
    for (const peer of [FLOOR, ...PEERS.filter(({ id }) => peers.includes(id))]) {
      if (peer.tool !== undefined && await versionOf(peer.tool) === undefined) {
        leftOut.push(`Left out: ${peer.name}, ${howToInstall(peer.tool)}`);
        continue;
      }
      const place = { origin, folder: `${folder}/${peer.id}` };
      await Deno.mkdir(place.folder);
      const { program, url } = await startPeer(peer, place, signal);
      running.use(program);
      all.push({ id: peer.id, name: peer.name, url, pid: program.pid });
    }
    return new Contenders(all, leftOut, running.move());
  }

  /** Ends them. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running[Symbol.asyncDispose]();
  }
}

/** Has cless start the app, unless it runs; returns where the container is. */
async function originOf(cless: ClessUnderTest): Promise<string> {
  using client = new HttpClient();
  checkAnswer(await client.ask(cless.url, { host: APP_HOST }), "cless");
  const [instance] = await cless.instances();
  if (instance === undefined) throw new BenchError("cless lists no instance though it has answered");
  return `http://${instance.address}`;
}
