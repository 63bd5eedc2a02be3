import type { OutputLine, OutputOptions } from "../logs/instance_output.ts";
import type { Revision } from "../model/revision.ts";
import type { Container } from "../pool/launcher.ts";
import type { Placement } from "./container_spec.ts";

/** What bounds one call. */
export interface CallOptions {
  readonly timeoutMs?: number;
  /** Ends the call, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What an engine says about itself. */
export interface EngineInfo {
  /** Unique to this engine. */
  readonly id: string;
  /** The folder with its images and containers, on the engine's machine. */
  readonly dataFolder: string;
}

/** Which containers are listed: all of one owner, or all that use a named volume. */
export type ContainerFilter = { readonly owner: string } | { readonly volume: string };

/** A container as the engine lists it. */
export interface ListedContainer extends Pick<Container, "id" | "service" | "revision" | "imageId" | "state"> {
  /** The engine's own name for it, 64 hex digits. */
  readonly engineId: string;
  /** Empty for a container that no cless has made; likewise everything else that labels say. */
  readonly owner: string;
  /** For how long it has been up at least, ms; `undefined` where that is not known. */
  readonly upFor: number | undefined;
  readonly address: string;
  /** Where the host reached the app when the container was made. */
  readonly origin: string;
}

/** Which lines of a container are read; without options all that there are. */
export type LogOptions = Partial<OutputOptions>;

/** A line that an app has written, without its line end. Its time is when the engine received it. */
export interface LogLine extends OutputLine {
  /** The line is longer than 64 KiB and continues in the next one of its stream. */
  readonly cut?: true;
}

/** Something that happened to a container or an image. */
export interface EngineEvent {
  readonly type: "container" | "image";
  readonly action: string;
  /** Such as `name`, `exitCode`, and the container's labels. */
  readonly attributes: Readonly<Record<string, string>>;
  /** By the engine's clock, seconds since 1970 with six digits after the point; missing where the engine did not say. */
  readonly time: string | undefined;
}

/** The events that are asked for. */
export const EVENT_ACTIONS = {
  container: ["start", "die", "oom", "kill", "pause", "unpause"],
  image: ["tag", "untag", "delete", "import", "load", "pull"],
} as const;

/** A network, as the engine describes it. */
export interface EngineNetwork {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Such as `172.17.0.0/16`, each with the host's own address on it where that is known. */
  readonly subnets: readonly { readonly subnet: string; readonly gateway: string | undefined }[];
}

/** A bridge network to be made, whose containers cannot reach each other. */
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
  /** Where the same content can be pulled, `name@sha256:…`. */
  readonly digests: readonly string[];
  /** The TCP ports of `EXPOSE`. */
  readonly exposedPorts: readonly number[];
}

/**
 * What cless asks of a Docker engine. There are two implementations, over the engine's socket and by the docker command;
 * one of them is chosen at start, and the same tests hold for both. Pulling is no part of it: it needs the logins and
 * credential helpers that only the docker command knows.
 *
 * Every method rejects with an `EngineError`.
 */
export interface EngineApi extends Disposable {
  /** How the engine is reached, for people. */
  readonly via: string;
  /** Asks the engine for its version, such as `26.1.5`. */
  version(options?: CallOptions): Promise<string>;
  info(): Promise<EngineInfo>;

  /** Makes a container and starts it. After a failure a container may have been made, under the placement's id. */
  run(revision: Revision, placement: Placement): Promise<void>;
  /** Asks the app to end; kills it after the grace time. A container that has ended stays as it is. */
  stop(id: string, graceS: number): Promise<void>;
  /** Fails with `already` if it is paused. */
  pause(id: string): Promise<void>;
  /** Fails with `already` if it is not paused. */
  unpause(id: string): Promise<void>;
  /** Kills and removes a container and its anonymous volumes; fails with `already` if it is being removed. */
  remove(id: string): Promise<void>;
  /** Lists containers, ended ones too. */
  containers(filter: ContainerFilter): Promise<ListedContainer[]>;
  /** How many bytes of memory running containers use, without reclaimable caches, by the engine's ids. */
  memory(engineIds: readonly string[]): Promise<Map<string, number>>;
  /**
   * What the app in a container has written, each stream's lines in order. It ends with the container, when the signal is
   * aborted, or when the reader breaks off. Little is read ahead of the reader.
   */
  logs(id: string, options?: LogOptions): AsyncGenerator<LogLine, void, void>;
  /**
   * Listens to {@linkcode EVENT_ACTIONS}, from a moment on (seconds since 1970); resolves when listening has begun. The
   * events end when the signal is aborted or the connection is lost.
   */
  events(since: string, signal: AbortSignal): Promise<AsyncIterable<EngineEvent>>;

  networks(): Promise<EngineNetwork[]>;
  createNetwork(spec: NetworkSpec): Promise<void>;
  removeNetwork(name: string): Promise<void>;

  /** Inspects the image of a name or id; fails with `no_such_image`. */
  image(reference: string, options?: CallOptions): Promise<EngineImage>;
  /** The images named `…-docker:latest`: ids by name. */
  conventionImages(): Promise<Map<string, string>>;
  /** Removes a name of an image, or an image by its id; fails with `in_use` or `tagged` if it has to stay. */
  removeImage(reference: string): Promise<void>;
}
