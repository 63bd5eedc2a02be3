import { join, relative } from "node:path";
import { plainMessageOf } from "../base/errors.ts";
import { Conflict } from "../control/deploy_error.ts";
import type { RevisionRecord } from "../control/records.ts";
import { type DeclaredService, type DeclaredServices, reachable } from "../control/declared_services.ts";
import type { Revision } from "../model/revision.ts";
import type { Volume } from "../model/template.ts";
import type { InstancePool } from "../pool/pool.ts";
import type { Publisher } from "./publisher.ts";
import type { Containers } from "./pulled_images.ts";

/** The host folders that containers may use. */
export class HostPaths {
  readonly #allowed: readonly string[];
  readonly #realPath: (path: string) => Promise<string>;

  /**
   * @param allowed The allowed folders, with everything in them; absolute.
   * @param realPath Follows all symbolic links of a path; rejects with `NotFound` if it does not exist.
   */
  constructor(allowed: readonly string[], realPath: (path: string) => Promise<string>) {
    this.#allowed = allowed.map((path) => path.replace(/(?<=.)\/+$/, ""));
    this.#realPath = realPath;
  }

  /**
   * Why a folder may not be used; `undefined` if it may. Below the allowed folder, the path must not contain a symbolic
   * link: anyone who can write there could point the link anywhere.
   *
   * @param path Absolute, without `.`, `..` and empty parts.
   */
  async problem(path: string): Promise<string | undefined> {
    if (this.#allowed.length === 0) {
      return "is a folder of the host, and none may be used; allow some with --allow-host-path";
    }
    let problem: string | undefined = "is not in one of the folders of --allow-host-path";
    for (const folder of this.#allowed.filter((folder) => path === folder || isIn(path, folder))) {
      problem = await this.#problemBelow(folder, path);
      if (problem === undefined) break;
    }
    return problem;
  }

  async #problemBelow(folder: string, path: string): Promise<string | undefined> {
    let at = folder;
    try {
      let expected = await this.#realPath(folder);
      for (const part of relative(folder, path).split("/")) {
        at = join(at, part);
        expected = join(expected, part);
        if (await this.#realPath(at) !== expected) return "leads over a symbolic link, which is not allowed";
      }
      return undefined;
    } catch (error) {
      const isMissing = at !== folder && error instanceof Deno.errors.NotFound;
      // Refused here, since the engine would refuse it only after the revision that has the volume was stopped.
      return isMissing ? "is not there; make it first" : `cannot be used: ${plainMessageOf(error)}`;
    }
  }
}

/** Options of {@linkcode VolumeHandover.run}. */
export interface HandoverOptions {
  /** The pools that were made for the change. */
  readonly made: readonly InstancePool[];
  /**
   * Whether a revision that gets a volume is tried before the change is stored and published. With `instead`, only if it
   * takes the volume from another revision.
   */
  readonly start: "always" | "instead" | "never";
  readonly signal: AbortSignal;
}

/**
 * Hands volumes over from one revision to another, so that no two revisions have a volume at the same time: the next
 * revision gets the volume after the previous revision has stopped.
 */
export class VolumeHandover {
  readonly #declared: Pick<DeclaredServices, "needingPreparation">;
  readonly #publisher: Publisher;
  readonly #containers: Containers;
  readonly #drainTimeoutMs: number;
  /** The revisions that are getting volumes, by service. */
  readonly #claims = new Map<string, readonly RevisionRecord[]>();

  /** @param drainTimeoutMs After this time an instance stops even with requests in flight. */
  constructor(
    declared: Pick<DeclaredServices, "needingPreparation">,
    publisher: Publisher,
    containers: Containers,
    drainTimeoutMs: number,
  ) {
    this.#declared = declared;
    this.#publisher = publisher;
    this.#containers = containers;
    this.#drainTimeoutMs = drainTimeoutMs;
  }

  isUnderWay(name: string): boolean {
    return this.#claims.has(name);
  }

  /**
   * Checks that no two reachable revisions have a common volume.
   *
   * @param state The service after the change.
   * @param tried A revision of it that will be tried, even if no request can reach it.
   * @throws {Conflict} For the first volume that two revisions would have.
   */
  check(state: DeclaredService, tried?: RevisionRecord): void {
    const own = holders(state, tried);
    if (own.length === 0) return;
    own.forEach((one, at) => own.slice(at + 1).forEach((other) => refuse(one, other)));
    const isOther = (name: string) => name !== state.service.name;
    const theirs = [
      ...this.#declared.needingPreparation().filter(({ service }) => isOther(service.name)).flatMap((all) =>
        holders(all)
      ),
      ...[...this.#claims].flatMap(([name, claimed]) => isOther(name) ? claimed : []),
    ];
    for (const other of theirs) for (const one of own) refuse(one, other);
  }

  /**
   * Commits a change of a service. If revisions get the volumes of others, it first holds requests and stops the
   * others. If the change then fails, it starts the others again. Only one change of a service may run at a time.
   *
   * @param state The service after the change.
   * @param tryRevision Starts an instance of a pool; rejects if it does not become ready.
   * @param commit Stores and publishes the change with the pools that were made, so that held requests go there.
   * @throws {Conflict} As {@linkcode check} does. @throws What `tryRevision` and `commit` throw.
   */
  async run<T>(
    state: DeclaredService,
    { made, start, signal }: HandoverOptions,
    tryRevision: (pool: InstancePool, signal: AbortSignal) => Promise<void>,
    commit: (made: readonly InstancePool[]) => Promise<T>,
  ): Promise<T> {
    const publisher = this.#publisher;
    const { name } = state.service;
    const tried = start === "always" ? state.revisions.find((one) => isOf(made, one)) : undefined;
    this.check(state, tried);
    const next = holders(state, tried).filter((one) => publisher.poolOf(name, one.name) === undefined);
    if (next.length === 0) return await commit(made);
    using _claim = this.#claim(name, next);
    using onFailure = new DisposableStack();
    const pools = [...made];
    for (const record of next) {
      if (isOf(pools, record)) continue;
      pools.push(onFailure.adopt(await publisher.newPool(record), (pool) => publisher.discard(pool)));
    }
    const volumes = next.flatMap(({ template }) => template.volumes);
    const shares = (revision: Revision) => sharedVolume(volumes, revision.volumes) !== undefined;
    const old = publisher.madePools(name).filter(({ revision }) => shares(revision));
    const wereLive = old.filter(({ live }) => live);
    onFailure.defer(() => {
      for (const pool of old) pool.unsuspend();
      for (const pool of wereLive) pool.wake();
    });
    await Promise.all(old.map((pool) => pool.suspend(this.#drainTimeoutMs)));
    await this.#containers.untilGone(shares); // including draining containers of retired pools
    signal.throwIfAborted();
    if (start === "always" || (start === "instead" && old.length > 0)) {
      for (const pool of pools.filter(({ revision }) => shares(revision))) {
        await tryRevision(pool, signal);
      }
    }
    const done = await commit(pools);
    onFailure.move();
    return done;
  }

  #claim(name: string, revisions: readonly RevisionRecord[]): Disposable {
    this.#claims.set(name, revisions);
    return { [Symbol.dispose]: () => void this.#claims.delete(name) };
  }
}

/** The revisions with volumes of a service that are reachable, and `tried` if it has volumes. */
function holders({ service, revisions }: DeclaredService, tried?: RevisionRecord): RevisionRecord[] {
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

/** The source of the first volume of `a` that overlaps with one of `b`; `undefined` if there is none. */
export function sharedVolume(a: readonly Volume[], b: readonly Volume[]): string | undefined {
  return a.find(({ source }) => b.some((other) => overlaps(source, other.source)))?.source;
}

/** Whether two volumes overlap. So do two folders if one contains the other. */
export function overlaps(a: string, b: string): boolean {
  return a === b || isIn(a, b) || isIn(b, a);
}

function isIn(inner: string, outer: string): boolean {
  return outer.startsWith("/") && inner.startsWith(outer.endsWith("/") ? outer : `${outer}/`);
}
