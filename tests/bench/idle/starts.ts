import type { DockerCommand } from "../../../src/docker/command.ts";
import { type Peer, startPeer } from "../forward/peers.ts";
import { APP_HOST, checkAnswer } from "../support/app.ts";
import { ClessUnderTest } from "../support/cless_under_test.ts";
import { BenchError } from "../support/errors.ts";
import { HttpClient } from "../support/http_client.ts";

/** Where and with what starts are measured. */
export interface StartsPlace {
  readonly docker: DockerCommand;
  /** An empty folder. */
  readonly folder: string;
  readonly peers: readonly Peer[];
  /** The app that the peers send to. */
  readonly origin: string;
  readonly rounds: number;
  readonly signal: AbortSignal;
}

/** How long starts took, ms, each time. */
export interface Starts {
  /** With a data-dir that has to be made, to a good /readyz. */
  readonly first: number[];
  /** With the data-dir of the one before. */
  readonly again: number[];
  /** From a process that is ready to the answer to the first request of the admin API. */
  readonly firstCall: number[];
  /** The same for the next one. */
  readonly nextCall: number[];
  /** Of each peer, to its first answer; by id. */
  readonly peers: ReadonlyMap<string, number[]>;
}

/**
 * Starts everybody in turn, once in each round. The order turns round from one round to the next.
 *
 * @throws {BenchError} When one does not start, or answers wrongly.
 */
export async function measureStarts(place: StartsPlace): Promise<Starts> {
  const { peers, rounds, signal } = place;
  const starts: Starts = {
    first: [],
    again: [],
    firstCall: [],
    nextCall: [],
    peers: new Map(peers.map(({ id }) => [id, []])),
  };
  for (let round = 0; round < rounds; round++) {
    const turns = [
      () => startCless(place, `${place.folder}/cless-${round}`, starts),
      ...peers.map((peer) => () => startOther(place, peer, `${place.folder}/${peer.id}-${round}`, starts)),
    ];
    for (const turn of round % 2 === 0 ? turns : turns.toReversed()) {
      signal.throwIfAborted();
      await turn();
    }
  }
  return starts;
}

/** Starts cless, ends it, and starts it again. */
async function startCless({ docker, signal }: StartsPlace, dataDir: string, starts: Starts): Promise<void> {
  {
    await using cless = await ClessUnderTest.start(docker, dataDir, signal);
    starts.first.push(cless.startMs);
  }
  await using cless = await ClessUnderTest.start(docker, dataDir, signal);
  starts.again.push(cless.startMs);
  for (const calls of [starts.firstCall, starts.nextCall]) {
    const began = performance.now();
    await cless.instances();
    calls.push(performance.now() - began);
  }
}

async function startOther(place: StartsPlace, peer: Peer, folder: string, starts: Starts): Promise<void> {
  await Deno.mkdir(folder);
  const began = performance.now();
  const { program, url } = await startPeer(peer, { origin: place.origin, folder }, place.signal);
  await using _ending = program;
  starts.peers.get(peer.id)!.push(performance.now() - began);
  using client = new HttpClient(0);
  checkAnswer(await client.ask(url, { host: APP_HOST }), peer.name);
}

/** Has cless start the app; returns where the container is. */
export async function originOf(cless: ClessUnderTest): Promise<string> {
  using client = new HttpClient(0);
  checkAnswer(await client.ask(cless.url, { host: APP_HOST }), "cless");
  const [instance] = await cless.instances();
  if (instance === undefined) throw new BenchError("cless lists no instance though it has answered");
  return `http://${instance.address}`;
}
