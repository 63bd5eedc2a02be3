import type { Revision } from "../model/revision.ts";
import { plainMessageOf } from "../base/errors.ts";
import type { Volume } from "../model/template.ts";
import type { InstancePool } from "../pool/instance_pool.ts";
import { Conflict } from "../control/deploy_error.ts";
import type { Publisher } from "./publisher.ts";
import type { RevisionRecord } from "../control/records.ts";
import { reachable, type ServiceState } from "../control/service_states.ts";
import type { Trial } from "./trial.ts";

/** The folders of this machine that containers may be given. */
export class HostPaths {
  readonly #allowed: readonly string[];
  readonly #realPath: (path: string) => Promise<string>;

  /**
   * @param allowed What lies in one of these may be used, and they themselves; absolute.
   * @param realPath Follows all symbolic links of a path; rejects with `NotFound` where there is nothing.
   */
  constructor(allowed: readonly string[], realPath: (path: string) => Promise<string>) {
    this.#allowed = allowed.map((path) => path.replace(/\/+$/, ""));
    this.#realPath = realPath;
  }

  /**
   * Why a folder may not be used; `undefined` where it may. On the way there from the folder that is allowed there may be
   * no symbolic link: whoever can write there could lead it anywhere.
   *
   * @param path Absolute, without `.`, `..` and empty parts.
   */
  async problem(path: string): Promise<string | undefined> {
    const allowed = this.#allowed.filter((folder) => path === folder || path.startsWith(`${folder}/`));
    if (allowed.length === 0) {
      return this.#allowed.length === 0
        ? "is a folder of the host, and none may be used; allow some with --allow-host-path"
        : "is not in one of the folders of --allow-host-path";
    }
    let problem: string | undefined;
    for (const folder of allowed) {
      problem = await this.#problemBelow(folder, path);
      if (problem === undefined) return undefined;
    }
    return problem;
  }

  async #problemBelow(folder: string, path: string): Promise<string | undefined> {
    try {
      const root = await this.#realPath(folder === "" ? "/" : folder);
      const { real, rest } = await this.#real(path);
      const expected = `${root === "/" ? "" : root}${path.slice(folder.length)}`;
      const found = `${real === "/" ? "" : real}${rest}`;
      if ((expected || "/") !== (found || "/")) return "leads over a symbolic link, which is not allowed";
      // The engine would refuse it too, but only when the one that had the volume has been stopped for it.
      return rest === "" ? undefined : "is not there; make it first";
    } catch (error) {
      return `cannot be used: ${plainMessageOf(error)}`;
    }
  }

  /** Where the part of a path that is there leads to, and the part that is not there yet. */
  async #real(path: string): Promise<{ real: string; rest: string }> {
    let there = path;
    while (true) {
      try {
        return { real: await this.#realPath(there === "" ? "/" : there), rest: path.slice(there.length) };
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound) || there === "") throw error;
        there = there.slice(0, there.lastIndexOf("/"));
      }
    }
  }
}

/** The containers that may be there. */
interface Containers {
  /** Resolves when the matching containers that exist now are gone, or after a minute. */
  untilGone(fits: (revision: Revision) => boolean): Promise<void>;
}

/** What a {@linkcode VolumeHandover} works with. */
export interface VolumeHandoverParts {
  readonly publisher: Publisher;
  readonly launcher: Containers;
  readonly trial: Pick<Trial, "run">;
  /** How long what is in flight may take until an instance is stopped all the same, ms. */
  readonly drainTimeout: number;
}

/** How a change gets its pools. */
export interface HandoverOptions {
  /** Pools that were made for the change already. */
  readonly made: readonly InstancePool[];
  /**
   * Whether a revision that gets a volume must show first that it works: `instead` where it takes the place of another
   * one.
   */
  readonly start: "always" | "instead" | "never";
  readonly signal: AbortSignal;
}

/** Sees to it that no two revisions ever have one volume: the next one gets it once the last has let go of it. */
export class VolumeHandover {
  readonly #parts: VolumeHandoverParts;
  readonly #services: () => Iterable<ServiceState>;
  /** The volumes that are being handed over now, by service, with who gets them. */
  readonly #claims = new Map<string, readonly RevisionRecord[]>();

  /** @param services Every service as it is. */
  constructor(parts: VolumeHandoverParts, services: () => Iterable<ServiceState>) {
    this.#parts = parts;
    this.#services = services;
  }

  /** Whether volumes are being handed over from one revision of a service to another. */
  isUnderWay(name: string): boolean {
    return this.#claims.has(name);
  }

  /**
   * Checks that no volume has two revisions that requests can reach.
   *
   * @param state A service as it is to be.
   * @param tried A revision of it that must show that it works, also where no request will reach it.
   * @throws {Conflict} For the first volume that would have two.
   */
  check(state: ServiceState, tried?: RevisionRecord): void {
    const own = holders(state, tried);
    if (own.length === 0) return;
    own.forEach((one, at) => own.slice(at + 1).forEach((other) => refuse(one, other)));
    for (const other of this.#services()) {
      const { name } = other.service;
      if (name === state.service.name) continue;
      for (const theirs of holders(other)) for (const one of own) refuse(one, theirs);
    }
    for (const [name, claimed] of this.#claims) {
      if (name === state.service.name) continue;
      for (const theirs of claimed) for (const one of own) refuse(one, theirs);
    }
  }

  /**
   * Carries out a change of a service. Where a revision gets volumes that another one has, requests are held, the other one
   * is stopped, and started again where the change fails. Only one change of a service at a time.
   *
   * @param state The service as it is to be.
   * @param commit Keeps and publishes it, with pools that were made for it; those who were held go there.
   * @throws {Conflict} As {@linkcode check} does.
   * @throws {RevisionFailed} When a revision does not become ready.
   */
  async run<T>(
    state: ServiceState,
    options: HandoverOptions,
    commit: (made: readonly InstancePool[]) => Promise<T>,
  ): Promise<T> {
    const { made, start } = options;
    const { name } = state.service;
    const tried = start === "always" ? state.revisions.find((one) => isOf(made, one)) : undefined;
    this.check(state, tried);
    const next = holders(state, tried).filter((one) => this.#parts.publisher.poolOf(name, one.name) === undefined);
    if (next.length === 0) return await commit(made);
    this.#claims.set(name, next);
    const pools = [...made];
    try {
      for (const record of next) if (!isOf(pools, record)) pools.push(await this.#parts.publisher.newPool(record));
      const volumes = next.flatMap(({ template }) => template.volumes);
      return await this.#replace(name, pools, volumes, options, () => commit(pools));
    } catch (error) {
      for (const pool of pools) if (!made.includes(pool)) this.#parts.publisher.discard(pool);
      throw error;
    } finally {
      this.#claims.delete(name);
    }
  }

  async #replace<T>(
    name: string,
    pools: readonly InstancePool[],
    volumes: readonly Volume[],
    { start, signal }: HandoverOptions,
    commit: () => Promise<T>,
  ): Promise<T> {
    const { drainTimeout, launcher, publisher, trial } = this.#parts;
    const shares = (pool: Pick<InstancePool, "revision">) => sharedVolume(volumes, pool.revision.volumes) !== undefined;
    const old = publisher.madePools(name).filter(shares);
    const wereAwake = old.filter(({ awake }) => awake);
    try {
      await Promise.all(old.map((pool) => pool.suspend(drainTimeout)));
      // Also those that nobody reaches any more, and that still drain.
      await launcher.untilGone((revision) => shares({ revision }));
      signal.throwIfAborted();
      if (start === "always" || (start === "instead" && old.length > 0)) {
        for (const pool of pools.filter(shares)) await trial.run(pool, signal);
      }
      return await commit();
    } catch (error) {
      for (const pool of old) pool.resume();
      for (const pool of wereAwake) pool.wake();
      throw error;
    }
  }
}

/** The revisions of a service that have volumes and that requests can reach. */
function holders({ service, revisions }: ServiceState, tried?: RevisionRecord): RevisionRecord[] {
  const names = reachable(service);
  return revisions.filter((one) => one.template.volumes.length > 0 && (one === tried || names.has(one.name)));
}

function isOf(pools: readonly InstancePool[], { name }: RevisionRecord): boolean {
  return pools.some(({ revision }) => revision.name === name);
}

function refuse(one: RevisionRecord, other: RevisionRecord): void {
  const source = sharedVolume(one.template.volumes, other.template.volumes);
  if (source === undefined) return;
  throw new Conflict(
    `${one.name} and ${other.name} would both have the volume ${source}, which only one revision may have at a time; ` +
      "move traffic and tags away from one of them first",
  );
}

/** The first volume of one that is, or lies in or around, a volume of the other; by its source. */
export function sharedVolume(a: readonly Volume[], b: readonly Volume[]): string | undefined {
  return a.find(({ source }) => b.some((other) => isSamePlace(source, other.source)))?.source;
}

/** Two folders are one place where one of them is in the other: who writes into one would write into the other. */
function isSamePlace(a: string, b: string): boolean {
  return a === b || isIn(a, b) || isIn(b, a);
}

function isIn(inner: string, outer: string): boolean {
  return outer.startsWith("/") && inner.startsWith(outer.endsWith("/") ? outer : `${outer}/`);
}
