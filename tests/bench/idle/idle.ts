import { conventionImage } from "../../../src/model/revision.ts";
import { type Peer, PEERS, startPeer } from "../forward/peers.ts";
import type { Bench, Outcome } from "../scenario.ts";
import { APP_HOST, checkAnswer } from "../support/app.ts";
import { ClessUnderTest } from "../support/cless_under_test.ts";
import { HttpClient } from "../support/http_client.ts";
import { residentMb } from "../support/process.ts";
import { howToInstall, versionOf } from "../support/tool.ts";
import { wrk } from "../support/wrk.ts";
import { pauseServices } from "./paused.ts";
import { idleFindings, idleTable } from "./report.ts";
import { measureStarts, originOf } from "./starts.ts";
import { type Idler, sleep, watchIdle } from "./windows.ts";

/** Who idles beside cless. */
const PEER_IDS = ["caddy", "haproxy"];
/** After that, what a start or a pause has left to do is done, ms. */
const SETTLE_MS = 5000;
/** Over how many connections the load comes. */
const CONNECTIONS = 32;

/** What cless and its peers cost while nothing happens, and how long they take to start. */
export async function idle({ app, docker, folder, note, options, signal }: Bench): Promise<Outcome> {
  const { rounds, idleSeconds, pausedServices, quick, seconds } = options;
  const { peers, leftOut } = await installed();
  await using running = new AsyncDisposableStack();
  // It has the paused services later on, and until then the container that the peers send to.
  const busy = running.use(await ClessUnderTest.start(docker, `${folder}/busy`, signal));
  const origin = await originOf(busy);

  note(`${rounds} starts`);
  await Deno.mkdir(`${folder}/starts`);
  const starts = await measureStarts({ docker, folder: `${folder}/starts`, peers, origin, rounds, signal });

  const empty = running.use(await ClessUnderTest.start(docker, `${folder}/empty`, signal));
  const idlers: Idler[] = [{ name: "cless, no service", pid: empty.program.pid }];
  for (const peer of peers) {
    const own = `${folder}/${peer.id}`;
    await Deno.mkdir(own);
    const { program } = await startPeer(peer, { origin, folder: own }, signal);
    running.use(program);
    idlers.push({ name: peer.name, pid: program.pid });
  }
  await busy.makeCold();
  note(`${pausedServices} services are started, and paused by cless`);
  const image = conventionImage(app.service);
  const quiet = quick ? 500 : SETTLE_MS;
  await pauseServices(busy, image, { first: 0, count: 1 }, signal);
  await sleep(quiet, signal);
  const oneMb = await residentMb(busy.program.pid);
  await pauseServices(busy, image, { first: 1, count: pausedServices - 1 }, signal);
  await sleep(quiet, signal);
  idlers.push({ name: `cless, ${pausedServices} paused services`, pid: busy.program.pid });

  note(`${rounds} times ${idleSeconds} s of idleness`);
  const idleness = await watchIdle(idlers, { windows: rounds, seconds: idleSeconds }, signal);

  using client = new HttpClient();
  checkAnswer(await client.ask(empty.url, { host: APP_HOST }), "cless");
  await wrk({ url: empty.url, host: APP_HOST, seconds, connections: CONNECTIONS }, signal);
  const loadedMb = await residentMb(empty.program.pid);
  const figures = {
    starts,
    peers,
    idlers,
    idleness,
    pausedServices,
    oneMb,
    loadedMb,
    executableMb: await executableMb(),
  };
  return { tables: [idleTable(figures), ...leftOut], findings: idleFindings(figures) };
}

/** The peers that are there, and a line for each that is not. */
async function installed(): Promise<{ peers: Peer[]; leftOut: string[] }> {
  const peers: Peer[] = [];
  const leftOut: string[] = [];
  for (const peer of PEERS.filter(({ id }) => PEER_IDS.includes(id))) {
    const isThere = peer.tool === undefined || await versionOf(peer.tool) !== undefined;
    if (isThere) peers.push(peer);
    else leftOut.push(`Left out: ${peer.name}, ${howToInstall(peer.tool)}`);
  }
  return { peers, leftOut };
}

async function executableMb(): Promise<number | undefined> {
  try {
    return (await Deno.stat(`${import.meta.dirname}/../../../cless`)).size / 1e6;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
