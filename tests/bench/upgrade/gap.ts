import type { DockerCommand } from "../../../src/docker/command.ts";
import { LABEL } from "../../../src/docker/container_spec.ts";
import { APP_HOST, checkAnswer } from "../support/app.ts";
import { ClessUnderTest } from "../support/cless_under_test.ts";
import { BenchError } from "../support/errors.ts";
import { HttpClient } from "../support/http_client.ts";
import type { Bench, Outcome } from "../scenario.ts";
import type { Finding } from "../support/finding.ts";
import { median, spread } from "../support/statistics.ts";
import { type Restarted, RestartedCaddy, restartedCless } from "./restarted.ts";
import { type Sent, SteadySender } from "./steady_sender.ts";

/** So many good answers before a restart and after it show that the proxy is at work. */
const STEADY = 200;

/** What a restart was like for those who asked meanwhile. */
interface Restart extends Sent {
  /** From SIGTERM to the end of the old process, ms. */
  readonly exitMs: number;
}

/** The restarts of one round. */
interface Round {
  readonly cless: Restart;
  /** Missing where Caddy is not installed. */
  readonly caddy: Restart | undefined;
  /** Whether the container is still the one that was there before, and has not been started again. */
  readonly kept: boolean;
}

/** Ends a proxy's process and starts the next one when it has exited, as `systemctl restart` does, while requests come. */
async function restart(proxy: Restarted, signal: AbortSignal): Promise<Restart> {
  using sender = new SteadySender(proxy.url);
  const check = () => {
    signal.throwIfAborted();
    proxy.check();
  };
  await sender.untilGood(STEADY, check);
  const began = performance.now();
  await proxy.end();
  const exitMs = performance.now() - began;
  proxy.begin();
  await sender.untilGood(STEADY, check);
  return { ...await sender.finish(), exitMs };
}

/** Each of an owner's containers, with when it was started. */
async function containersOf(docker: DockerCommand, owner: string): Promise<string> {
  const ids = await docker.run(["ps", "--all", "--quiet", "--no-trunc", `--filter=label=${LABEL.owner}=${owner}`]);
  const found = ids.match(/^[0-9a-f]{64}$/gm) ?? [];
  if (found.length === 0) throw new BenchError("cless has no container");
  return await docker.run(["inspect", "--format={{.Id}} {{.State.StartedAt}}", ...found]);
}

/** What the rounds tell. */
function gapFindings(rounds: readonly Round[]): Finding[] {
  const summary = (what: string, values: readonly number[]) => ({
    what: `upgrade: ${what}`,
    value: `${median(values).toFixed(0)} ms`,
    spread: spread(values, 0),
    bar: "stated",
  });
  const count = (what: string, values: readonly number[]) => ({
    what: `upgrade: ${what}`,
    value: `${median(values)}`,
    spread: spread(values, 0),
    bar: "stated",
  });
  const none = (what: string, values: readonly number[]) => ({
    what: `upgrade: ${what}`,
    value: `${Math.max(...values)}`,
    spread: spread(values, 0),
    bar: "0",
    met: values.every((count) => count === 0),
    correctness: true,
  });
  const cless = rounds.map(({ cless }) => cless);
  const caddy = rounds.flatMap(({ caddy }) => caddy ?? []);
  const failure = cless.flatMap(({ failures }) => failures)[0];
  return [
    summary(`no answer, cless restarted (${rounds.length} times)`, cless.map(({ gapMs }) => gapMs)),
    summary("of it until the old process had exited", cless.map(({ exitMs }) => exitMs)),
    count("connections closed without an answer, cless", cless.map(({ unanswered }) => unanswered)),
    ...caddy.length < rounds.length ? [] : [
      summary("no answer, Caddy restarted", caddy.map(({ gapMs }) => gapMs)),
      summary("no answer, cless − Caddy", rounds.map(({ cless, caddy }) => cless.gapMs - caddy!.gapMs)),
      count("connections closed without an answer, Caddy", caddy.map(({ unanswered }) => unanswered)),
    ],
    none(
      `answers that were wrong or cut${failure === undefined ? "" : ` (${failure})`}`,
      cless.map(({ failures }) => failures.length),
    ),
    none("containers started again or replaced", rounds.map(({ kept }) => kept ? 0 : 1)),
  ];
}

/** How long nobody answers while cless is restarted with its containers kept, beside Caddy in front of the same one. */
export async function gap({ docker, folder, note, options, signal }: Bench): Promise<Outcome> {
  await using cless = await ClessUnderTest.start(docker, `${folder}/gap`, signal, { flags: ["--on-exit=keep"] });
  using client = new HttpClient();
  checkAnswer(await client.ask(cless.url, { host: APP_HOST }), "cless");
  const [instance] = await cless.instances();
  if (instance === undefined) throw new BenchError("cless lists no instance though it has answered");
  const caddy = await RestartedCaddy.start(`http://${instance.address}`, `${folder}/caddy`, signal);
  await using _caddy = typeof caddy === "string" ? undefined : caddy;
  const rounds: Round[] = [];
  for (let n = 0; n < options.rounds; n++) {
    const before = await containersOf(docker, cless.owner);
    const caddysTurn = async () => typeof caddy === "string" ? undefined : await restart(caddy, signal);
    const first = n % 2 === 1 ? await caddysTurn() : undefined;
    const own = await restart(restartedCless(cless), signal);
    const round = {
      cless: own,
      caddy: first ?? await caddysTurn(),
      kept: await containersOf(docker, cless.owner) === before,
    };
    rounds.push(round);
    const ofCaddy = round.caddy === undefined ? "" : `, Caddy ${round.caddy.gapMs.toFixed(0)} ms`;
    note(`restart ${n + 1} of ${options.rounds}: no answer for ${own.gapMs.toFixed(0)} ms${ofCaddy}`);
  }
  return { tables: typeof caddy === "string" ? [caddy] : [], findings: gapFindings(rounds) };
}
