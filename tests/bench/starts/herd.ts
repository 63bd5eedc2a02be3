import type { DockerCommand } from "../../../src/docker/command.ts";
import { LABEL } from "../../../src/docker/container_spec.ts";
import { APP_HOST, checkAnswer } from "../support/app.ts";
import { ClessUnderTest } from "../support/cless_under_test.ts";
import { GoSender } from "../support/go_sender.ts";
import { HttpClient } from "../support/http_client.ts";
import type { Bench, Outcome } from "../scenario.ts";
import type { Finding } from "../support/finding.ts";
import { median, spread } from "../support/statistics.ts";
import { sendHerd, type Sent } from "./herd_sender.ts";
import { pauseInstance } from "./paused.ts";

const BAR_MS = 1000;

/** How many requests come at once. */
const HERD_SIZE = 1000;

/** What the service is like when a herd comes, and how many containers that should start. */
const CONTAINERS = { cold: 1, paused: 0 } as const;
type Temperature = keyof typeof CONTAINERS;

/** What became of a herd. */
interface Herd extends Sent {
  /** How many containers were started for it. */
  readonly containers: number;
}

/** How many containers of an owner's the engine has started since a time, s. */
async function startsSince(docker: DockerCommand, owner: string, since: string): Promise<number> {
  const started = await docker.run([
    "events",
    `--since=${since}`,
    `--until=${now()}`,
    "--filter=type=container",
    "--filter=event=start",
    `--filter=label=${LABEL.owner}=${owner}`,
    "--format={{.Actor.ID}}",
  ]);
  return started.match(/^[0-9a-f]{64}$/gm)?.length ?? 0;
}

/** The time as the engine's events take it, s. */
function now(): string {
  return (Date.now() / 1000).toFixed(3);
}

/** What the herds that came to a service tell. */
function herdFindings(temperature: Temperature, herds: readonly Herd[]): Finding[] {
  const of = `herd of ${HERD_SIZE} on a ${temperature} service (${herds.length} times)`;
  const containers = herds.map((herd) => herd.containers);
  const failures = herds.map((herd) => herd.failures);
  const firstMs = herds.map((herd) => herd.firstMs);
  const spreadMs = herds.map((herd) => herd.lastMs - herd.firstMs);
  const failure = herds.find((herd) => herd.failures > 0)?.failure;
  const expected = CONTAINERS[temperature];
  return [
    {
      what: `${of}: containers started`,
      value: `${median(containers)}`,
      spread: spread(containers, 0),
      bar: `${expected}`,
      met: containers.every((count) => count === expected),
      correctness: true,
    },
    {
      what: `${of}: failures${failure === undefined ? "" : ` (${failure})`}`,
      value: `${median(failures)}`,
      spread: spread(failures, 0),
      bar: "0",
      met: herds.every((herd) => herd.failures === 0 && herd.answers === HERD_SIZE),
      correctness: true,
    },
    { what: `${of}: first answer`, value: `${median(firstMs).toFixed(0)} ms`, spread: spread(firstMs, 0) },
    {
      what: `${of}: from first to last answer`,
      value: `${median(spreadMs).toFixed(0)} ms`,
      spread: spread(spreadMs, 0),
      bar: `≤ ${BAR_MS} ms`,
      met: median(spreadMs) <= BAR_MS,
    },
  ];
}

/** Many requests at once to a service without a ready instance. */
export async function herd({ docker, folder, note, options, signal }: Bench): Promise<Outcome> {
  const sender = await GoSender.build("sender", folder, signal);
  await using cless = await ClessUnderTest.start(docker, `${folder}/data`, signal);
  using client = new HttpClient();
  const prepare = {
    cold: () => cless.makeCold(),
    paused: async () => {
      checkAnswer(await client.ask(cless.url, { host: APP_HOST }), "cless");
      await pauseInstance(cless, docker);
    },
  };
  const herds: Record<Temperature, Herd[]> = { cold: [], paused: [] };
  for (let n = 1; n <= options.herds; n++) {
    for (const temperature of ["cold", "paused"] as const) {
      signal.throwIfAborted();
      await prepare[temperature]();
      const since = now();
      const sent = await sendHerd(sender, cless.url, HERD_SIZE, signal);
      herds[temperature].push({ ...sent, containers: await startsSince(docker, cless.owner, since) });
      const { firstMs, lastMs } = sent;
      note(`${n} of ${options.herds}, ${temperature}: answers from ${firstMs.toFixed(0)} to ${lastMs.toFixed(0)} ms`);
    }
  }
  return { findings: [...herdFindings("cold", herds.cold), ...herdFindings("paused", herds.paused)] };
}
