import { abortable } from "@std/async/abortable";
import { atMost, delay } from "../../base/async.ts";
import type { Clock } from "../../base/clock.ts";
import { ClessError, messageOf, shuttingDown } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import { defined } from "../../model/defined.ts";
import { isAsleep, isEnding } from "../../model/instance_state.ts";
import type { Waker } from "../../model/waker.ts";
import type { Fleet } from "../../fleet/fleet.ts";
import type { Instance, Lease } from "../../pool/instance.ts";
import type { InstancePool } from "../../pool/pool.ts";
import type { Router } from "../../routing/router.ts";
import { Conflict, NotFound, RevisionFailed } from "../deploy_error.ts";
import type { EventLog } from "../events.ts";
import { EXEC_CODE, type ExecCommand, type ExecEnd, ExecError, type ExecPiece, type ExecProcess } from "./process.ts";

const log = logger("exec");
/** At most this many sessions are open at once: each may hold some megabytes. */
const MAX_SESSIONS = 100;
/** Sessions that are closed get this long to tell their clients why. */
const CLOSE_TIMEOUT_MS = 1000;
/** For a command that was killed, this long is waited for the news that its instance has ended. */
const END_NEWS_MS = 500;
const MAX_NAME_LENGTH = 100;

/** What runs if no command is given: bash if the image has it, else sh. An image with bash has sh too. */
const SHELL = ["sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi"];

/** Runs commands in containers. */
export interface ExecEngine {
  /** @param id The instance. @param signal Ends the wait for the command. @throws {ExecError} */
  exec(id: string, command: ExecCommand, signal: AbortSignal): Promise<ExecProcess>;
}

/** Where a command runs. */
export interface ExecPlace {
  readonly service: string;
  readonly pool: InstancePool;
  /** `undefined` for any instance of the pool. */
  readonly instance: Instance | undefined;
}

/** What a client wants to run. */
export interface ExecRequest extends Omit<ExecCommand, "command"> {
  /** Empty for a shell. */
  readonly command: readonly string[];
  /** The name of the token that was used. */
  readonly by: string;
}

/** The side of a session that wanted the command. */
export interface ExecClient {
  /** Aborted when the client has gone. */
  readonly gone: AbortSignal;
  /** Called when the command runs. From now on, input goes there. */
  started(process: ExecProcess, instance: Instance): void;
  /** Sends output; resolves when there is room for more, or the client has gone. */
  send(piece: ExecPiece): Promise<void>;
}

/** Why a session is ended from this side. */
class SessionClosed extends Error {
  override readonly name = "SessionClosed";
}

/**
 * Runs commands in instances at an operator's request. A session keeps its instance awake as a request does, but takes
 * none of its slots.
 */
export class ExecSessions {
  readonly #router: Pick<Router, "service">;
  readonly #fleet: Pick<Fleet, "get" | "poolOf">;
  readonly #engine: ExecEngine;
  readonly #events: Pick<EventLog, "emit">;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  readonly #open = new Set<Promise<unknown>>();

  constructor({ clock, engine, events, fleet, router }: {
    readonly router: Pick<Router, "service">;
    readonly fleet: Pick<Fleet, "get" | "poolOf">;
    readonly engine: ExecEngine;
    readonly events: Pick<EventLog, "emit">;
    readonly clock: Clock;
  }) {
    this.#router = router;
    this.#fleet = fleet;
    this.#engine = engine;
    this.#events = events;
    this.#clock = clock;
  }

  /**
   * Finds where a command is to run. Wakes nothing.
   *
   * @throws {NotFound} @throws {Conflict} If the instance is ending.
   * @throws {ClessError} `overloaded` if there are too many sessions, `draining` if cless is stopping.
   */
  async find(
    service: string,
    wanted: { readonly instance?: string | undefined; readonly revision?: string | undefined },
  ): Promise<ExecPlace> {
    if (this.#closing.signal.aborted) throw shuttingDown();
    if (this.#open.size >= MAX_SESSIONS) {
      throw new ClessError("overloaded", `${MAX_SESSIONS} sessions are open, and there may be no more`, {
        retryAfterS: 10,
      });
    }
    const found = await this.#router.service(service);
    if (found === undefined) throw new NotFound(`there is no service ${service}`);
    if (wanted.instance !== undefined) return this.#placeOf(service, wanted.instance, wanted.revision);
    const pool = wanted.revision === undefined ? found.main() : found.poolOf(wanted.revision);
    if (pool !== undefined) return { service, pool, instance: undefined };
    throw new NotFound(`${service} has no revision ${wanted.revision} with a share of its traffic or a tag`);
  }

  #placeOf(service: string, id: string, revision: string | undefined): ExecPlace {
    const instance = this.#fleet.get(id);
    const pool = instance && this.#fleet.poolOf(instance);
    if (instance === undefined || pool === undefined || instance.revision.service !== service) {
      throw new NotFound(`${service} has no instance ${id}; cless instances lists those that there are`);
    }
    if (revision !== undefined && instance.revision.name !== revision) {
      throw new Conflict(`the instance ${id} is of ${instance.revision.name}, not of ${revision}`);
    }
    const { state } = instance;
    if (!isEnding(state)) return { service, pool, instance };
    throw new Conflict(`the instance ${id} is ${state}, so nothing can be run in it`);
  }

  /**
   * Wakes the service if it sleeps, runs a command, and passes its output on until it ends, the client goes or
   * {@linkcode close} is called.
   *
   * @throws {RevisionFailed} If no instance becomes ready. @throws {Conflict} If the instance ends before it is ready.
   */
  run(place: ExecPlace, request: ExecRequest, client: ExecClient): Promise<ExecEnd> {
    const running = this.#run(place, request, client).finally(() => this.#open.delete(running));
    this.#open.add(running);
    running.catch(() => {}); // its caller reports it
    return running;
  }

  /** Ends all sessions, and refuses new ones. @param why What their clients are told. */
  async close(why: string): Promise<void> {
    this.#closing.abort(new SessionClosed(why));
    await atMost(Promise.all(this.#open), this.#clock, CLOSE_TIMEOUT_MS);
  }

  async #run(place: ExecPlace, request: ExecRequest, client: ExecClient): Promise<ExecEnd> {
    const signal = AbortSignal.any([client.gone, this.#closing.signal]);
    try {
      signal.throwIfAborted();
      const session = await this.#enter(place, { kind: "operator", name: request.by }, signal);
      try {
        return await this.#runIn(session.instance, request, client, signal);
      } finally {
        session.release();
      }
    } catch (error) {
      if (this.#closing.signal.aborted) return { code: EXEC_CODE.failed, problem: messageOf(signal.reason) };
      if (signal.aborted) return { code: EXEC_CODE.failed };
      if (error instanceof ExecError) return { code: EXEC_CODE.failed, problem: error.message };
      throw error;
    }
  }

  /** Opens a session on an instance, which is ready then. */
  async #enter({ instance, pool }: ExecPlace, by: Waker, signal: AbortSignal): Promise<Lease> {
    if (instance !== undefined) return await enterInstance(instance, pool, by, signal);
    try {
      return await pool.enter(signal, by);
    } catch (error) {
      signal.throwIfAborted();
      throw new RevisionFailed(pool.revision.name, error);
    }
  }

  async #runIn(instance: Instance, request: ExecRequest, client: ExecClient, signal: AbortSignal): Promise<ExecEnd> {
    const isShell = request.command.length === 0;
    const { revision: { name: revision, service } } = instance;
    // Arguments may be secrets, so they are reported nowhere.
    const program = isShell ? "shell" : request.command[0]!.slice(0, MAX_NAME_LENGTH);
    const facts = { instance: instance.id, revision, by: request.by, command: program };
    const began = this.#clock.now();
    using process = await this.#engine.exec(
      instance.id,
      { ...request, command: isShell ? SHELL : request.command },
      signal,
    );
    log.info("exec started", { service, ...facts });
    this.#events.emit("exec.started", service, facts);
    const dispose = () => process[Symbol.dispose]();
    signal.addEventListener("abort", dispose, { once: true });
    let end: ExecEnd | undefined;
    try {
      client.started(process, instance);
      end = await passOn(process, client, signal);
      // If the instance has ended, that is known a moment later.
      if (end.code === EXEC_CODE.killed) await delay(this.#clock, END_NEWS_MS, instance.gone);
      return explain(end, instance, isShell);
    } finally {
      signal.removeEventListener("abort", dispose);
      const ms = Math.round(this.#clock.now() - began);
      const outcome = defined({ code: end?.code, ms });
      log.info("exec ended", { service, ...facts, ...outcome });
      this.#events.emit("exec.ended", service, { ...facts, ...outcome });
    }
  }
}

/**
 * Opens a session on a certain instance, and wakes it if it sleeps. @throws {Conflict} If it ends before it is ready.
 * @throws The signal's reason.
 */
async function enterInstance(
  instance: Instance,
  pool: Pick<InstancePool, "look">,
  by: Waker,
  signal: AbortSignal,
): Promise<Lease> {
  const session = instance.enter(by);
  try {
    while (instance.state === "starting" || isAsleep(instance.state)) {
      const moved = instance.untilMoved();
      pool.look(); // an instance that sleeps while it is used is resumed
      await abortable(moved, signal);
    }
    if (instance.state === "ready") return session;
    throw new Conflict(`the instance ${instance.id} has ended before it was ready`);
  } catch (error) {
    session.release();
    throw error;
  }
}

async function passOn(process: ExecProcess, client: ExecClient, signal: AbortSignal): Promise<ExecEnd> {
  const pieces = process.run();
  for (;;) {
    const next = await pieces.next();
    signal.throwIfAborted();
    if (next.done) return next.value;
    await client.send(next.value);
  }
}

/** Adds why a command ended, if that was not its own doing. */
function explain(end: ExecEnd, { gone, id }: Instance, isShell: boolean): ExecEnd {
  const isMissing = end.code === EXEC_CODE.notFound || end.code === EXEC_CODE.notRunnable;
  if (isShell && end.problem !== undefined && isMissing) {
    const remedy = "name a program that it has, as in cless exec NAME -- /app --version";
    return { ...end, problem: `the image has no shell; ${remedy}` };
  }
  if (end.problem === undefined && end.code === EXEC_CODE.killed && gone.aborted) {
    return { ...end, problem: `the instance ${id} has ended` };
  }
  return end;
}
