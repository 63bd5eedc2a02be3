import { atMost, delay } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import type { Config } from "../base/config.ts";
import { ClessError, messageOf, OperatorError } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { notify } from "../base/notify.ts";
import { VERSION } from "../base/version.ts";
import type { Adoption } from "../fleet/adoption.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { type InstanceUse, type Predecessor, usesOf } from "../fleet/predecessor.ts";
import type { Reconciler } from "../fleet/reconciler.ts";
import type { Server } from "../http/server.ts";
import { allowMigration, knock, stopAccepting } from "../http/stop_accepting.ts";
import type { Tenure } from "../pool/decide.ts";
import { type DataDir, isDataDirInUse } from "./data_dir.ts";
import type { Figures } from "./figures/figures.ts";
import { HandoverClient, type PredecessorFacts, type RunningProcess, type Sealed } from "./handover.ts";
import type { Supervision } from "./supervision.ts";

const log = logger("cless");
/** The time between two attempts to get the data-dir back. */
const RETRY_MS = 1000;
/**
 * If the predecessor has ended, this process tries to lock the data-dir at most this many times: the predecessor's lock
 * may take a moment to vanish.
 */
const MAX_LOCKS = 20;
/** The time between two of these attempts. */
const LOCK_RETRY_MS = 50;

/** What a process may do in one step of a take-over. */
export interface Role {
  /** What its pools may do with containers. Unless it is `all`, the reconciler removes no container either. */
  readonly tenure: Tenure;
  /** Whether each response closes its connection, so that clients reconnect to the successor. */
  readonly isLast: boolean;
  /** Whether the containers and the store belong to this process. If not, it must not stop the containers. */
  readonly isOwner: boolean;
}

/**
 * The roles of a process in a take-over. A process that runs alone is the `owner`. Handing over: `sealing` → `sealed` →
 * `superseded`; on failure `unsealing` → `owner`. Taking over: `successor` → `owner`.
 */
export const ROLES = {
  owner: { tenure: "all", isLast: false, isOwner: true },
  /** Ends all changes, and copies the store. */
  sealing: { tenure: "all", isLast: false, isOwner: false },
  /** Serves all requests, but the successor has the store, and adopts the containers. */
  sealed: { tenure: "serve", isLast: true, isOwner: false },
  /** Serves all requests, and gets the store back. */
  unsealing: { tenure: "serve", isLast: false, isOwner: false },
  /** Finishes its last requests while the successor serves. */
  superseded: { tenure: "finish", isLast: true, isOwner: false },
  /** Has the store, and adopts the containers. Does not serve yet. */
  successor: { tenure: "finish", isLast: false, isOwner: false },
} satisfies Record<string, Role>;

/** What a {@linkcode TakeOver} works with. */
export interface TakeOverOptions<Position> {
  /** Only {@linkcode TakeOver} writes it. */
  readonly role: { now: Role };
  readonly clock: Clock;
  readonly config: Pick<Config, "drainTimeoutMs" | "notifySocket">;
  /** Aborted when this process stops, or is superseded. */
  readonly stopping: AbortController;
  readonly dataDir: Pick<DataDir, "path" | "lock" | "unlock" | "leave">;
  readonly store: { seal(): void; unseal(): void; install(): void; confirm(): void };
  readonly figures: Pick<Figures, "finish" | "inherit">;
  readonly deployer: { pause(reason: Error): Promise<void>; resume(): void; close(reason: Error): Promise<void> };
  /** Its launcher gives out the addresses of containers. */
  readonly engine: {
    readonly listening: boolean;
    readonly launcher: {
      readonly position: Position;
      continueFrom(position: Position): void;
      endPauses(): Promise<void>;
    };
    stopHibernating(): void;
  };
  readonly fleet: Fleet;
  readonly adoption: Pick<Adoption, "known" | "unsuspend" | "waits">;
  readonly predecessor: Pick<Predecessor, "alive" | "apply" | "end" | "report">;
  readonly reconciler: Pick<Reconciler, "reconcile">;
  readonly supervision: Pick<Supervision, "start" | "stop">;
  readonly servers: readonly Server[];
  /** One of the servers: that for the other cless of the owner, if there may be such. */
  readonly peerServer?: Pick<Server, "shutdown"> | undefined;
}

/** A successor's connection to its predecessor. */
type SuccessorLink<Position> = Pick<HandoverClient<Position>, "accepting" | "closed" | "gone" | "listen">;

/**
 * This process in a take-over, whether it hands over or takes over. Nothing else changes the {@linkcode Role}. See
 * `handover.ts` for the order of the steps in both processes.
 */
export class TakeOver<Position> implements RunningProcess<Position> {
  readonly #options: TakeOverOptions<Position>;
  /** The connection to the predecessor, if this process takes over. */
  #handover: SuccessorLink<Position> | undefined;
  /** Whether the last successor serves; resolved once that is known. Missing if there has been no successor. */
  #outcome: PromiseWithResolvers<boolean> | undefined;

  constructor(options: TakeOverOptions<Position>) {
    this.#options = options;
  }

  /**
   * Refuses changes, copies the store for a successor, and unlocks the data-dir. From then on, requests are still
   * served, but no instances are paused, and only draining ones are stopped.
   */
  async seal(): Promise<Position> {
    const { adoption, clock, config, dataDir, deployer, engine, figures, fleet, role, stopping, store, supervision } =
      this.#options;
    if (!adoption.known || stopping.signal.aborted || !role.now.isOwner) {
      throw new OperatorError("it is starting or stopping");
    }
    const error = new ClessError("draining", "another cless process is taking over", { retryAfterS: 1 });
    role.now = ROLES.sealing;
    this.#outcome = Promise.withResolvers();
    try {
      await atMost(deployer.pause(error), clock, config.drainTimeoutMs);
      await deployer.close(error); // cancels what takes longer
      figures.finish();
      store.seal();
    } catch (error) {
      role.now = ROLES.owner;
      deployer.resume();
      this.#outcome.resolve(false);
      throw error;
    }
    role.now = ROLES.sealed;
    supervision.stop();
    // The successor would take an instance for one that runs.
    await atMost(engine.launcher.endPauses(), clock, config.drainTimeoutMs);
    dataDir.unlock();
    log.debug("sealed", { instances: fleet.size });
    await this.#notify({ RELOADING: 1 });
    return engine.launcher.position;
  }

  async unseal(): Promise<void> {
    const { clock, dataDir, deployer, engine, role, stopping, store, supervision } = this.#options;
    role.now = ROLES.unsealing;
    while (!stopping.signal.aborted) {
      try {
        await dataDir.lock();
        store.unseal();
        break;
      } catch (error) {
        log.error("cannot use the data-dir again; trying again", { reason: messageOf(error) });
        await delay(clock, RETRY_MS, stopping.signal);
      }
    }
    if (stopping.signal.aborted) return;
    role.now = ROLES.owner;
    deployer.resume();
    supervision.start();
    this.#outcome?.resolve(false);
    await this.#notify({ READY: 1 });
    log.info("changes are accepted again", { listening: engine.listening });
  }

  uses(): readonly InstanceUse[] {
    return usesOf(this.#options.fleet);
  }

  async yield(knock: () => void): Promise<void> {
    const { clock, dataDir, engine, fleet, peerServer, role, servers, stopping } = this.#options;
    role.now = ROLES.superseded;
    engine.stopHibernating(); // the successor cannot break that off
    dataDir.leave();
    stopping.abort(); // ends event streams of the admin API, so that clients reconnect to the successor
    await stopAccepting(servers, clock, knock);
    peerServer?.shutdown(); // what the others ask now, the successor must answer: only it knows how it uses instances
    for (const pool of fleet.pools()) pool.giveBackSlots();
    this.#outcome?.resolve(true);
  }

  /** Whether a successor serves. If a take-over is under way, waits for its outcome. */
  handedOver(): Promise<boolean> {
    return this.#outcome?.promise ?? Promise.resolve(false);
  }

  /** Begins to take over. By then, this process has opened the copy of the store that the predecessor has made. */
  begin(handover: SuccessorLink<Position>, { position, uses }: Sealed<Position>): void {
    const { engine, figures, predecessor, role } = this.#options;
    role.now = ROLES.successor;
    this.#handover = handover;
    engine.launcher.continueFrom(position);
    predecessor.report(uses);
    handover.listen({ uses: (uses) => this.#heard(uses), figures: (counted) => figures.inherit(counted) });
    handover.gone.addEventListener("abort", () => this.#inherit());
    if (handover.gone.aborted) this.#inherit();
  }

  /** Whether this process takes over, and does not serve yet. */
  get isSuccessor(): boolean {
    return this.#options.role.now === ROLES.successor;
  }

  /**
   * Puts the store in place once the containers are adopted. The predecessor can still undo that.
   *
   * @throws {StoreUnavailable}
   */
  async install(): Promise<void> {
    const { predecessor, store } = this.#options;
    predecessor.apply();
    log.debug("take-over", { step: "adopted" });
    await allowMigration();
    store.install();
    log.debug("take-over", { step: "installed" });
  }

  /** Replaces the predecessor once this process listens. Resolves when the predecessor no longer listens. */
  async supersede(): Promise<void> {
    const { clock, role, servers, store, supervision } = this.#options;
    const handover = this.#handover!;
    log.debug("take-over", { step: "listening" });
    role.now = ROLES.owner;
    await handover.accepting();
    await knock(servers.map(({ endpoint }) => endpoint), handover.closed, clock);
    log.debug("take-over", { step: "accepted" });
    store.confirm();
    supervision.start();
  }

  /** Takes a report of how the predecessor uses the instances. */
  #heard(uses: readonly InstanceUse[]): void {
    const { adoption, predecessor, reconciler } = this.#options;
    if (!predecessor.alive) return;
    predecessor.report(uses);
    // A container that the predecessor was creating may exist now.
    if (adoption.waits) reconciler.reconcile().then(() => adoption.unsuspend());
  }

  /** Takes over everything from the predecessor, which has ended. */
  #inherit(): void {
    const { adoption, predecessor, reconciler, role } = this.#options;
    predecessor.end();
    if (!adoption.known) return;
    adoption.unsuspend();
    if (role.now.isOwner) reconciler.reconcile();
  }

  /** Tells the service manager what this process does now. */
  #notify(state: Record<string, string | number>): Promise<void> {
    return notify(this.#options.config.notifySocket, this.#options.dataDir.path, state);
  }
}

/** The connection to the predecessor, and what the predecessor has told about itself. */
export interface PredecessorLink<Position> {
  readonly handover: HandoverClient<Position>;
  readonly facts: PredecessorFacts;
}

/** Connects to the predecessor; `undefined` if there is none. @throws {OperatorError} */
export async function findPredecessor<Position>(
  { dataDir, takeOver }: Pick<Config, "dataDir" | "takeOver">,
): Promise<PredecessorLink<Position> | undefined> {
  if (!takeOver || !await isDataDirInUse(dataDir)) return undefined;
  const handover = await HandoverClient.connect<Position>(await Deno.realPath(dataDir));
  const facts = await handover.hello();
  if (facts === undefined) return undefined;
  log.info("taking over", { pid: facts.pid, from: facts.version, to: VERSION });
  return { handover, facts };
}

/**
 * Makes sure that the predecessor's containers are run by the engine that this process uses. With another one, the two
 * would run the same services side by side, and could use the same volumes at once.
 *
 * @throws {OperatorError} If they are not.
 */
export function checkSameEngine(
  { engine }: Pick<Config, "engine">,
  { engine: other = "docker", pid }: Pick<PredecessorFacts, "engine" | "pid">,
): void {
  if (engine === other) return;
  throw new OperatorError(
    `the cless that is running (pid ${pid}) has --engine ${other}, and one with --engine ${engine} cannot take over ` +
      "its containers; stop it, then start this one",
  );
}

/**
 * Makes the predecessor seal its store, and locks the data-dir. If the predecessor has ended instead, resolves with
 * `undefined`, and this process starts as usual. @throws {OperatorError} If the predecessor refuses.
 */
export async function lockAfter<Position>(
  handover: Pick<HandoverClient<Position>, "gone" | "seal">,
  dataDir: Pick<DataDir, "lock">,
  clock: Clock,
): Promise<Sealed<Position> | undefined> {
  const sealed = await handover.seal();
  for (let tries = 1;; tries++) {
    try {
      await dataDir.lock();
      break;
    } catch (error) {
      // The lock of a process that has ended may take a moment to vanish.
      if (!handover.gone.aborted || tries >= MAX_LOCKS) throw error;
      await delay(clock, LOCK_RETRY_MS);
    }
  }
  if (sealed !== undefined) log.debug("take-over", { step: "locked" });
  return sealed;
}
