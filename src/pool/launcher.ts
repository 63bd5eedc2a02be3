import type { Revision } from "../model/revision.ts";
import type { HeldSlots, SlotUser } from "./held_slots.ts";

/** The container to start. */
export interface Launch {
  /** The instance's id, which is also the container's name. */
  readonly id: string;
  readonly revision: Revision;
  /** The container under an id that this process uses or is ending; `undefined` if there is none. */
  readonly known?: (id: string) => KnownContainer | undefined;
  /** Whether the app at an origin did not answer when this process would have used it lately. */
  readonly isSilent?: (origin: string) => boolean;
}

/** A container that this process uses, or is ending. */
export interface KnownContainer {
  readonly isEnding: boolean;
  /** Empty if it has not run yet. */
  readonly origin: string;
}

/** A container of this cless, as the engine reports it. */
export interface Container {
  readonly id: string;
  readonly service: string;
  readonly revision: string;
  readonly imageId: string;
  readonly state: "created" | "running" | "paused" | "ended";
  /** About how long it has been running, ms; missing if unknown. */
  readonly upFor?: number | undefined;
  /** Where the host reaches the app, such as `http://172.18.0.2:8080`; missing if the host cannot. */
  readonly origin: string | undefined;
  /** False if another cless decides when it sleeps and ends. */
  readonly isOurs?: boolean;
}

/** A container that the host reaches. */
export type Reached = Container & { readonly origin: string };

/** What a container uses. */
export interface Usage {
  /** In RAM, without caches that the kernel could drop at once. */
  readonly bytes: number;
  /** In the machine's swap; missing if unknown. */
  readonly swapBytes?: number;
  /** The processor time so far, ns; missing if unknown. */
  readonly processorNs?: number;
}

/** The engine of a {@linkcode Launcher} does not answer. The same call may succeed later. */
export class EngineAway extends Error {
  override readonly name: string = "EngineAway";
}

/** The machine that has the volumes of an instance is away, so that the instance cannot run now. */
export class VolumeAway extends EngineAway {
  override readonly name = "VolumeAway";
  /** Whether the machine does not come back by itself: an operator has to do something. */
  readonly isLost: boolean;

  constructor(message: string, { isLost, ...options }: ErrorOptions & { readonly isLost: boolean }) {
    super(message, options);
    this.isLost = isLost;
  }
}

/** The container no longer exists, or somebody ended it before its app was ready. */
export class ContainerGone extends Error {
  override readonly name = "ContainerGone";
}

/**
 * Another container of the revision serves in place of one that was to start: it has the volumes, or the revision has as
 * many containers as it may have. It runs, though this process did not use it.
 */
export class ServedByOther extends Error {
  override readonly name = "ServedByOther";
  readonly container: Reached;

  constructor(container: Reached) {
    super(`${container.id} serves in its place`);
    this.container = container;
  }
}

/** The container must not be paused or ended now; later is fine. */
export class NotNow extends Error {
  override readonly name = "NotNow";
  /** For how long nobody else has used it, ms; missing if nobody else uses it. */
  readonly idleMs: number | undefined;

  constructor(message: string, { idleMs, ...options }: ErrorOptions & { readonly idleMs?: number | undefined } = {}) {
    super(message, options);
    this.idleMs = idleMs;
  }
}

/**
 * Starts and stops containers. Every method may throw if the engine refuses, or {@linkcode EngineAway} if it does not
 * answer. `stop` and `remove` accept a container that is already gone.
 */
export interface Launcher {
  /**
   * Starts a container. Resolves with the app's origin once the container runs, often long before the app answers.
   * @throws {ContainerGone} @throws {ServedByOther}
   */
  launch(launch: Launch): Promise<{ origin: string }>;
  /**
   * Freezes a container's processes, and keeps its memory. Does nothing if it is already paused.
   *
   * @param idleMs For how long nobody must have used it, where others may. @throws {NotNow}
   */
  pause(id: string, idleMs: number): Promise<void>;
  resume(id: string): Promise<void>;
  /** Whether {@linkcode hibernate} may succeed now: there is a helper, and the machine's swap is good. */
  readonly canHibernate: boolean;
  /** The size of the machine's swap, bytes. */
  readonly swapTotalBytes: number;
  /**
   * Moves the memory of a paused container to disk. Rejects if that is not possible, or if the container is resumed or
   * stopped meanwhile, which does not wait for it.
   */
  hibernate(id: string): Promise<void>;
  /** Asks the app to end, gives it some time, at most `graceS` seconds, and removes the container. */
  stop(id: string, graceS?: number): Promise<void>;
  remove(id: string): Promise<void>;
  /** Frees the container's address. Call it once no request is on its way there. */
  forget(id: string): void;
  /** The last lines of what the app wrote. */
  output(id: string, lines: number): Promise<string>;
  exposedPorts(revision: Pick<Revision, "imageId">): Promise<readonly number[]>;
  /** Every container of this cless, ended ones too. */
  list(): Promise<Container[]>;
  /** How the containers are shared with other cless; `undefined` if nobody else uses them. */
  readonly sharing?: Sharing | undefined;
  /** What each container uses now, by id. Leaves out containers whose memory is unknown. */
  usage(): Promise<ReadonlyMap<string, Usage>>;
  /** The processor time that a container has used so far, ns; `undefined` if unknown. */
  processorTime(id: string): Promise<number | undefined>;
}

/** How the containers of a {@linkcode Launcher} are shared with other cless. */
export interface Sharing {
  /** Whether this process decides when a container sleeps and ends. One decides for each. */
  isOurs(id: string): boolean;
  /** A container that another process has just started; `undefined` if there is none, or none any more. */
  find(id: string): Promise<Container | undefined>;
  /**
   * Asks the others whether a container may end. They agree if they have not used it for `idleMs`, and leave it alone
   * from then on. @throws {NotNow} When one does not agree.
   */
  mayEnd(id: string, idleMs: number): Promise<void>;
  /** Tells them that it runs on after all. */
  runsOn(id: string): void;
  /** Breaks off a pause to which the others have not all agreed yet, since a request needs the container. */
  usesAgain(id: string): void;
  readonly slots: SharedSlots;
}

/** The slots of containers that several cless use: each slot is at one of them. */
export interface SharedSlots {
  /** The slots of a container that this process uses from now on. It holds none yet. */
  hold(id: string, concurrency: number, user: SlotUser): HeldSlots;
  /**
   * Asks for slots for the waiting requests. Resolves soon with whether others use them all, as far as is known by then.
   * Never rejects.
   */
  get(held: HeldSlots): Promise<boolean>;
  /** Gives back what others wait for and is free. Returns whether there was any. */
  giveBack(held: HeldSlots): boolean;
}

/** Something that happened to a container. */
export interface ContainerEvent {
  readonly id: string;
  readonly what: "paused" | "resumed" | "ended";
  /** The exit code of an ended container, if the engine reported it. */
  readonly exitCode?: number;
  /** Whether it was killed for memory, if the engine reported that. */
  readonly oom?: boolean;
  /** Whether somebody, cless included, stopped or killed it, if the engine reported that. */
  readonly byHand?: boolean;
}
