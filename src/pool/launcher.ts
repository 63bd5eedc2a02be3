import type { Revision } from "../model/revision.ts";

/** What a container is to be started as. */
export interface Launch {
  /** The instance's id, which is also the container's name. */
  readonly id: string;
  readonly revision: Revision;
}

/** A container of this cless, as the engine describes it. */
export interface Container {
  readonly id: string;
  readonly service: string;
  readonly revision: string;
  readonly imageId: string;
  readonly state: "created" | "running" | "paused" | "ended";
  /** For how long it has been up at least, ms; missing if unknown. */
  readonly upFor?: number | undefined;
  /** Where the host reaches the app, such as `http://172.18.0.2:8080`; missing if it cannot. */
  readonly origin: string | undefined;
}

/** Thrown by a {@linkcode Launcher} if the engine does not answer at all: the same order may succeed later. */
export class EngineAway extends Error {
  override readonly name = "EngineAway";
}

/** Thrown by a {@linkcode Launcher} if somebody has removed the container while it was being started. */
export class ContainerGone extends Error {
  override readonly name = "ContainerGone";
}

/**
 * Starts and stops containers. Every method may throw if the engine refuses, and {@linkcode EngineAway} if it is away;
 * `stop` and `remove` do not mind a container that is gone.
 */
export interface Launcher {
  /**
   * Starts a container and resolves as soon as it runs, long before the app in it answers.
   *
   * @returns Where the host reaches the app.
   * @throws {ContainerGone} If somebody has removed it meanwhile.
   */
  launch(launch: Launch): Promise<{ origin: string }>;
  /** Freezes a container: its memory stays, its processes do not run. One that is already paused stays so. */
  pause(id: string): Promise<void>;
  /** Lets a paused container go on. */
  resume(id: string): Promise<void>;
  /** Asks the app to end, waits for that a while, and removes the container. */
  stop(id: string): Promise<void>;
  /** Kills and removes the container. */
  remove(id: string): Promise<void>;
  /** Gives up the container's address; to be called once no request is on its way there. */
  forget(id: string): void;
  /** The last lines of what the app wrote. */
  output(id: string, lines: number): Promise<string>;
  /** The TCP ports that the image of a revision exposes; none if they are unknown. */
  exposedPorts(revision: Pick<Revision, "imageId">): Promise<readonly number[]>;
  /** Every container of this cless, ended ones too. */
  list(): Promise<Container[]>;
  /** How much memory each of its containers uses now, bytes by id; without those for which it is unknown. */
  memory(): Promise<ReadonlyMap<string, number>>;
}

/** What has happened to a container. */
export interface ContainerEvent {
  /** The container's name. */
  readonly id: string;
  readonly what: "paused" | "resumed" | "ended";
  /** Of a container that has ended, if the engine told it. */
  readonly exitCode?: number;
  /** Whether it was killed for memory, if the engine told it. */
  readonly oom?: boolean;
  /** Whether somebody, cless included, had it stopped or killed, if the engine told it. */
  readonly byHand?: boolean;
}
