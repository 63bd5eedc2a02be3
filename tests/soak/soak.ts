import { DockerCommand } from "../../src/docker/command.ts";
import { buildApp } from "../bench/support/app.ts";
import { docker } from "../support/docker.ts";
import { Program } from "../support/program.ts";
import { Random } from "../support/random.ts";
import { bareTimes } from "./bare.ts";
import { changeServices, harmContainers } from "./chaos.ts";
import { Tally } from "./tally.ts";
import { newClient, pauseFor, useService } from "./traffic.ts";
import { mostGrowth, Watch } from "./watch.ts";

const TIERS = { pauseAfter: 1000, stopAfter: 4000 };
/** Nobody has a service of such a name by chance. */
const PREFIX = "soak";
const MOST_NEW_FILES = 20;
const MIB = 1024 ** 2;

/** Options of {@linkcode soak}. */
export interface SoakOptions {
  readonly minutes: number;
  readonly services: number;
  readonly seed: number;
  readonly tell: (line: string) => void;
}

/** Uses many services at random and does harm to them; resolves with whether everything was as it should be. */
export async function soak({ minutes, seed, services: count, tell }: SoakOptions): Promise<boolean> {
  const folder = await Deno.makeTempDir({ prefix: "soak-" });
  const { image } = await buildApp(new DockerCommand("docker"), folder, new AbortController().signal)
    .finally(() => Deno.remove(folder, { recursive: true }));
  for (const line of await bareTimes(image)) tell(line);
  const flags = ["--pause-after", `${TIERS.pauseAfter}ms`, "--stop-after", `${TIERS.stopAfter}ms`];
  await using program = await Program.start({ flags: [...flags, "--no-convention"], logLevel: "info" });
  const tally = new Tally();
  const names = Array.from({ length: count }, (_, n) => `${PREFIX}-${n}`);
  const templates = [{}, {}, { concurrency: 2, maxInstances: 2 }, { minInstances: 1 }];
  for (const [n, name] of names.entries()) {
    const { status, text } = await program.send("PUT", `/v1/services/${name}`, { image, ...templates[n % 4] });
    if (status !== 201) throw new Error(`cannot deploy ${name}: ${text}`);
  }

  const watch = new Watch(program.pid, 5000);
  const before = await watch.look();
  const ending = new AbortController();
  const { signal } = ending;
  const random = (part: number) => new Random(seed, part);
  const { hostname, port } = program.proxy;
  const proxy = `${hostname}:${port}`;
  const client = newClient();
  const use = { ...TIERS, client, proxy, tally, signal };
  const users = names.map((service, n) => useService({ ...use, service, random: random(n) }));
  const chaos = { program, services: names, tally, signal };
  const harmed = harmContainers({ ...chaos, random: random(-1), every: 1500 });
  const changed = changeServices({ ...chaos, random: random(-2), every: 3000, template: { image } });
  const began = performance.now();
  while (performance.now() - began < minutes * 60_000) {
    await pauseFor(Math.min(30_000, began + minutes * 60_000 - performance.now()), signal);
    const { files, memory } = await watch.look();
    const seconds = Math.round((performance.now() - began) / 1000);
    tell(`${seconds} s: ${tally.requests} requests, ${(memory / MIB).toFixed(0)} MiB, ${files} files`);
  }
  ending.abort();
  await Promise.all(users);
  client.close(); // its connections are no leak
  tell(`${await harmed} containers harmed, ${await changed} revisions deployed`);
  watch.stop();
  for (const line of tally.report()) tell(line);
  for (const line of complaints(program)) tell(line);
  const leaks = await findLeaks(program, watch, before.files);
  if (watch.slope() > mostGrowth(minutes)) leaks.push("memory, as said below");
  for (const leak of leaks) tell(`leak: ${leak}`);
  if (leaks.length === 0) tell("leaks: none");
  tell(`memory: ${(watch.slope() / MIB).toFixed(2)} MiB a minute in the second half`);
  return !tally.failed && leaks.length === 0;
}

/** What the program has warned of, and how often. */
function complaints({ log }: Program): string[] {
  const said = log.filter(({ level }) => level === "warning" || level === "error").map(({ code, message, reason }) =>
    [message, code, reason].filter(Boolean).join("; ").replaceAll(/soak-[\w-]+|\b[0-9a-f]{12,}\b/g, "…")
  );
  return [...Map.groupBy(said, (text) => text)].map(([text, those]) => `log: ${those.length} x ${text}`);
}

/** What is there that should be gone once nobody asks for anything any more. */
async function findLeaks(program: Program, watch: Watch, filesBefore: number): Promise<string[]> {
  const leaks: string[] = [];
  // Only the instances that are kept up remain.
  await new Promise((resolve) => setTimeout(resolve, TIERS.stopAfter + 15_000));
  const services = await program.api("/v1/services");
  const instances = await program.api("/v1/instances");
  const containers = await program.containers();
  const inFlight = instances.reduce((sum, one) => sum + Number(one.inFlight), 0);
  if (inFlight > 0) leaks.push(`${inFlight} leases`);
  const kept = services.length / 4;
  if (instances.length > kept) leaks.push(`${instances.length} instances, where at most ${kept} are kept up`);
  const ids = instances.map(({ id }) => String(id));
  const strays = containers.filter((name) => !ids.includes(name));
  if (strays.length > 0) leaks.push(`containers without an instance: ${strays.join(", ")}`);
  const { files } = await watch.look();
  if (files > filesBefore + MOST_NEW_FILES) leaks.push(`${files} files are open, and were ${filesBefore}`);
  const code = await program.end();
  if (code !== 0) leaks.push(`exit code ${code}`);
  const left = await program.containers();
  if (left.length > 0) leaks.push(`${left.length} containers after the end`);
  const owner = (await Deno.readTextFile(`${program.dataDir}/owner`)).trim();
  const networks = await docker("network", "ls", "--quiet", `--filter=name=cless-${owner}`);
  if (networks !== "") leaks.push("the network after the end");
  return leaks;
}
