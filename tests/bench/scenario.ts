import type { DockerCommand } from "../../src/docker/command.ts";
import type { Revision } from "../../src/model/revision.ts";
import type { Options } from "./options.ts";
import type { Finding } from "./support/finding.ts";

/** What a {@linkcode Scenario} works with. */
export interface Bench {
  readonly docker: DockerCommand;
  /** What cless makes of the image of the app behind the proxies. */
  readonly app: Revision;
  /** An empty folder of the scenario's own, which goes with the bench. */
  readonly folder: string;
  readonly options: Options;
  /** Says how far it is. */
  readonly note: (line: string) => void;
  /** Ends the measuring. */
  readonly signal: AbortSignal;
}

/** What has come of a {@linkcode Scenario}. */
export interface Outcome {
  /** Markdown, shown before the findings. */
  readonly tables?: readonly string[];
  readonly findings: readonly Finding[];
}

/**
 * One of the things that can be measured.
 *
 * @throws {BenchError} When an answer was wrong, or what it needs is missing.
 */
export type Scenario = (bench: Bench) => Promise<Outcome>;
