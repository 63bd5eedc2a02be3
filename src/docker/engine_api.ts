import type { ExecCommand, ExecProcess } from "../control/exec/process.ts";
import type { OutputLine, OutputOptions } from "../logs/instance_output.ts";
import type { Revision } from "../model/revision.ts";
import type { Container, Usage } from "../pool/launcher.ts";
import type { Placement } from "./container_spec.ts";

/** The limits of one call. */
export interface CallOptions {
  readonly timeoutMs?: number;
  /** Cancels the call, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What an engine says about itself. */
export interface EngineInfo {
  /** Unique to this engine. */
  readonly id: string;
  /** The folder of images and containers on the engine's machine. */
  readonly dataFolder: string;
  /** What runs containers by default, such as `runc`. */
  readonly runtime: string;
}

/** The containers to list: all of one owner, or all with a named volume. */
export type ContainerFilter = { readonly owner: string } | { readonly volume: string };

/** A container as the engine lists it. */
export interface ListedContainer extends Pick<Container, "id" | "service" | "revision" | "imageId" | "state"> {
  /** The engine's id of it, 64 hex digits. */
  readonly engineId: string;
  /** Empty for a container that no cless has made, as are the other fields that come from labels. */
  readonly owner: string;
  /** About how long it has been running, ms; from one hour on, up to half an hour too much. `undefined` if unknown. */
  readonly upFor: number | undefined;
  readonly address: string;
  /** Where the host reached the app when the container was created. */
  readonly origin: string;
}

/** Which lines of a container are read; without options, all of them. */
export type LogOptions = Partial<OutputOptions>;

/** A line of an app, without its line end. Its time is when the engine received it. */
export interface LogLine extends OutputLine {
  /** Set if the line is longer than 64 KiB, and continues in the next one of its stream. */
  readonly cut?: true;
}

/** Something that happened to a container or an image. */
export interface EngineEvent {
  readonly type: "container" | "image";
  readonly action: string;
  /** The engine's id of the container; for an image, its name. */
  readonly engineId: string;
  /** Such as `name`, `exitCode`, and the container's labels. */
  readonly attributes: Readonly<Record<string, string>>;
  /** By the engine's clock, seconds since 1970 with six decimals; missing if the engine gave none. */
  readonly time: string | undefined;
}

/** The events that cless listens to. */
export const EVENT_ACTIONS = {
  container: ["start", "die", "oom", "kill", "pause", "unpause"],
  image: ["tag", "untag", "delete", "import", "load", "pull"],
} as const;

/** A network, as the engine describes it. */
export interface EngineNetwork {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Such as `172.17.0.0/16`, each with the host's own address in it if known. */
  readonly subnets: readonly { readonly subnet: string; readonly gateway: string | undefined }[];
}

/** A bridge network to create. Its containers cannot reach each other. */
export interface NetworkSpec {
  readonly name: string;
  readonly subnet: string;
  readonly gateway: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** An image on the engine's machine. */
export interface EngineImage {
  /** The content, `sha256:…`. */
  readonly id: string;
  /** The names by which the same content can be pulled, `name@sha256:…`. */
  readonly digests: readonly string[];
  /** The TCP ports of `EXPOSE`. */
  readonly exposedPorts: readonly number[];
  /** Whether it has a `HEALTHCHECK`. */
  readonly hasHealthCheck: boolean;
  /** The `USER` that its containers run as: `USER[:GROUP]`, names or numbers; empty for root. */
  readonly user: string;
}

/**
 * What cless needs from a Docker engine. There are two implementations: through the engine's socket, and through the
 * docker command. One is chosen at start. The same tests check both. Pulling is not part of it, since only the docker
 * command has the logins and credential helpers.
 *
 * Every method rejects with an `EngineError`.
 */
export interface EngineApi extends Disposable {
  /** How the engine is reached, in words. */
  readonly via: string;
  version(options?: CallOptions): Promise<string>;
  info(): Promise<EngineInfo>;

  /** Creates and starts a container. After a failure, a container may exist under the placement's id. */
  run(revision: Revision, placement: Placement): Promise<void>;
  /** Asks the app to end, and kills it after the grace time. Does nothing to an ended container. */
  stop(id: string, graceS: number): Promise<void>;
  /** Fails with `already` if it is paused. */
  pause(id: string): Promise<void>;
  /** Fails with `already` if it is not paused. */
  unpause(id: string): Promise<void>;
  /** Kills and removes a container and its anonymous volumes; fails with `already` if it is being removed. */
  remove(id: string): Promise<void>;
  containers(filter: ContainerFilter): Promise<ListedContainer[]>;
  /** What running containers use, by the engine's ids. Leaves out those that have ended. */
  usage(engineIds: readonly string[]): Promise<Map<string, Usage>>;
  /**
   * Runs a command in a running container. @param signal Ends the wait for it.
   * @throws {EngineError} `gone`; `refused` if the command is to have a terminal and cannot.
   */
  exec(id: string, command: ExecCommand, signal: AbortSignal): Promise<ExecProcess>;
  /**
   * The first bytes of a tar archive of a file or folder in a container, running or ended. It may be shorter than the
   * archive, but has `bytes` if the archive has so many.
   */
  archive(id: string, path: string, bytes: number): Promise<Uint8Array>;
  /** The app's output, each stream in order, until the container ends, the signal is aborted or the reader stops. */
  logs(id: string, options?: LogOptions): AsyncGenerator<LogLine, void, void>;
  /**
   * Listens to {@linkcode EVENT_ACTIONS} from a time on (seconds since 1970). Resolves when listening has begun. The
   * events end when the signal is aborted or the connection is lost.
   */
  events(since: string, signal: AbortSignal): Promise<AsyncIterable<EngineEvent>>;

  networks(): Promise<EngineNetwork[]>;
  createNetwork(spec: NetworkSpec): Promise<void>;
  removeNetwork(name: string): Promise<void>;

  /** Inspects the image of a name or id; fails with `no_such_image`. */
  image(reference: string, options?: CallOptions): Promise<EngineImage>;
  /** The ids of all images that have a name, by name with its tag. */
  imageNames(): Promise<Map<string, string>>;
  /** The images named `…-docker:latest`, ids by name. */
  conventionImages(): Promise<Map<string, string>>;
  /** Removes a name of an image, or an image by its id; fails with `in_use` or `tagged` if it must stay. */
  removeImage(reference: string): Promise<void>;
}
