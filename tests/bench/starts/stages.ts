import type { DockerCommand } from "../../../src/docker/command.ts";
import { LABEL } from "../../../src/docker/container_spec.ts";
import { BenchError } from "../support/errors.ts";

/** What a cold start goes through, in order. */
export const STAGES = ["command", "create", "network", "start", "first answer"] as const;

/** How long each stage took, ms: from the end of the one before to its own. */
export type Stages = Readonly<Record<typeof STAGES[number], number>>;

/** What both who begin and who look at a start have seen of it; each in ms since 1970. */
export interface Span {
  readonly began: number;
  readonly answered: number;
}

/** What `docker events` says of an event, as far as it matters here. */
interface EngineEvent {
  readonly Type: string;
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
  readonly timeNano: number;
}

/** The time as the engine's events have it, ms since 1970, with fractions. */
export function wallClock(): number {
  return performance.timeOrigin + performance.now();
}

/**
 * Finds out afterwards, by what the engine has noted, what a start's time went into: watching it costs nothing so. What
 * was over before the start began, such as the making of a container, took none of it.
 *
 * @param owner Whose container it is; the container has to be there still.
 * @throws {BenchError} When not exactly one container of the owner's was started in that time, or an event is missing.
 */
export async function stagesOf(docker: DockerCommand, owner: string, { began, answered }: Span): Promise<Stages> {
  const events = await eventsBetween(docker, began, answered);
  const starts = events.filter(({ Type, Action, Actor }) =>
    Type === "container" && Action === "start" && Actor.Attributes[LABEL.owner] === owner
  );
  const started = starts[0];
  if (started === undefined || starts.length > 1) throw new BenchError(`${starts.length} containers were started`);
  const { ID } = started.Actor;
  const made = events.find(({ Action, Actor }) => Action === "create" && Actor.ID === ID);
  const connected = events.find(({ Action, Actor }) => Action === "connect" && Actor.Attributes.container === ID);
  const created = readTime((await docker.run(["container", "inspect", "--format={{.Created}}", ID])).trim());
  // It keeps the last 256 only.
  const isForgotten = created >= began && (made === undefined || connected === undefined);
  if (isForgotten) throw new BenchError("the engine has forgotten what it has done; too much else goes on");
  const ends = [created, momentOf(made), momentOf(connected), momentOf(started), answered];
  let before = began;
  const lengths = ends.map((end) => {
    const length = Math.max(0, end - before);
    before += length;
    return length;
  });
  return Object.fromEntries(STAGES.map((stage, place) => [stage, lengths[place]!])) as Stages;
}

/** When an event was, ms; long ago where it lies before all that was asked for. */
function momentOf(event: EngineEvent | undefined): number {
  return event === undefined ? 0 : event.timeNano / 1e6;
}

/** Reads what the engine has kept of a time. */
async function eventsBetween(docker: DockerCommand, since: number, until: number): Promise<EngineEvent[]> {
  const seconds = (ms: number) => (ms / 1000).toFixed(6);
  const output = await docker.run([
    "events",
    `--since=${seconds(since)}`,
    `--until=${seconds(until)}`,
    "--filter=type=container",
    "--filter=type=network",
    "--format={{json .}}",
  ]);
  return output.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

/** Reads a time such as `2026-01-31T12:00:00.123456789Z`, ms since 1970, with fractions. */
function readTime(text: string): number {
  const [, seconds, fraction = ""] = /^(.*:\d\d)(\.\d+)?Z$/.exec(text) ?? [];
  const whole = Date.parse(`${seconds}Z`);
  if (Number.isNaN(whole)) throw new BenchError(`the engine names no time: ${JSON.stringify(text)}`);
  return whole + Number(`0${fraction}`) * 1000;
}
