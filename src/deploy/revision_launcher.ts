import type { Revision } from "../model/revision.ts";
import { atMost } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import type { Container, Launch, Launcher } from "../pool/launcher.ts";
import { type HostPaths, sharedVolume } from "./volumes.ts";
import type { RevisionEnv } from "../control/runtime_revision.ts";

/** How long somebody waits at most for containers to go, ms: an engine that hangs must not hold up everything. */
const GONE_PATIENCE_MS = 60_000;

/** What a {@linkcode RevisionLauncher} works with. */
export interface RevisionLauncherParts {
  readonly launcher: Launcher;
  readonly env: Pick<RevisionEnv, "of">;
  readonly hostPaths: Pick<HostPaths, "problem">;
  readonly clock: Clock;
}

/** A container that may be there. */
interface Held {
  /** `undefined` for one that an earlier process has left and nobody knows: it may have any volume. */
  readonly revision: Revision | undefined;
  readonly gone: PromiseWithResolvers<void>;
  /** Whether it could not be removed when it should go; nothing starts it any more. */
  stuck: boolean;
}

/**
 * Stands before the engine: has containers started with their secrets, never two at once that have a volume in common,
 * and knows which ones may be there.
 */
export class RevisionLauncher implements Launcher {
  readonly #parts: RevisionLauncherParts;
  /** By id, in the order in which they were asked for; each goes from here only once it is gone for sure. */
  readonly #held = new Map<string, Held>();

  constructor(parts: RevisionLauncherParts) {
    this.#parts = parts;
  }

  /**
   * Notes a container that may be there from now on, such as one that an earlier process has left.
   *
   * @param revision Whose it is; where that is not known, nothing that has volumes starts before it is removed.
   */
  found(id: string, revision: Revision | undefined): void {
    this.#held.set(id, { revision, gone: Promise.withResolvers(), stuck: false });
  }

  /** Resolves when those containers are gone that are there now and whose revision fits; or after a minute. */
  async untilGone(fits: (revision: Revision) => boolean): Promise<void> {
    const going = [...this.#held.values()]
      .flatMap(({ revision, gone }) => revision !== undefined && fits(revision) ? [gone.promise] : []);
    if (going.length > 0) await atMost(Promise.all(going), this.#parts.clock, GONE_PATIENCE_MS);
  }

  /** Starts a container, once those before it have let go of its volumes. */
  async launch({ id, revision }: Launch): Promise<{ origin: string }> {
    const { env, launcher } = this.#parts;
    this.found(id, revision);
    if (revision.volumes.length > 0) await this.#takeVolumes(id, revision);
    return await launcher.launch({ id, revision: { ...revision, env: await env.of(revision) } });
  }

  async stop(id: string): Promise<void> {
    await this.#end(id, this.#parts.launcher.stop(id));
  }

  async remove(id: string): Promise<void> {
    await this.#end(id, this.#parts.launcher.remove(id));
  }

  pause(id: string): Promise<void> {
    return this.#parts.launcher.pause(id);
  }

  resume(id: string): Promise<void> {
    return this.#parts.launcher.resume(id);
  }

  forget(id: string): void {
    this.#parts.launcher.forget(id);
  }

  output(id: string, lines: number): Promise<string> {
    return this.#parts.launcher.output(id, lines);
  }

  async list(): Promise<Container[]> {
    const stuck = [...this.#held].flatMap(([id, { stuck }]) => stuck ? [id] : []);
    const listed = await this.#parts.launcher.list();
    const there = new Set(listed.map(({ id }) => id));
    // Nobody would try to remove once more what is not there.
    for (const id of stuck) if (!there.has(id)) this.#gone(id);
    return listed;
  }

  memory(): Promise<ReadonlyMap<string, number>> {
    return this.#parts.launcher.memory();
  }

  async #takeVolumes(id: string, { startTimeout, volumes }: Revision): Promise<void> {
    const { clock, hostPaths } = this.#parts;
    const deadline = clock.now() + startTimeout;
    for (let other = this.#blocker(id, volumes); other !== undefined; other = this.#blocker(id, volumes)) {
      await atMost(other.gone.promise, clock, deadline - clock.now());
      if (clock.now() >= deadline) {
        const name = other.revision?.name ?? "an earlier cless";
        throw new Error(`a container of ${name} does not let go of a volume that this one needs`);
      }
    }
    for (const { source } of volumes) {
      // It was checked at the deploy; but settings change, and so do folders.
      const problem = source.startsWith("/") ? await hostPaths.problem(source) : undefined;
      if (problem !== undefined) throw new Error(`the volume ${source} ${problem}`);
    }
  }

  /** A container that was asked for before this one and has a volume in common with it. */
  #blocker(id: string, volumes: Revision["volumes"]): Held | undefined {
    for (const [other, held] of this.#held) {
      if (other === id) return undefined;
      if (held.revision === undefined || sharedVolume(volumes, held.revision.volumes) !== undefined) return held;
    }
    return undefined;
  }

  async #end(id: string, ending: Promise<void>): Promise<void> {
    try {
      await ending;
    } catch (error) {
      const held = this.#held.get(id);
      if (held !== undefined) held.stuck = true;
      throw error;
    }
    this.#gone(id);
  }

  #gone(id: string): void {
    this.#held.get(id)?.gone.resolve();
    this.#held.delete(id);
  }
}
