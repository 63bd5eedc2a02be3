import { atMost } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import type { RevisionEnv } from "../control/runtime_revision.ts";
import type { Revision } from "../model/revision.ts";
import {
  type Container,
  type Launch,
  type Launcher,
  ServedByOther,
  type Sharing,
  type Usage,
} from "../pool/launcher.ts";
import { type HostPaths, sharedVolume } from "./volumes.ts";

/** The longest wait for containers to end, so that an engine that hangs does not block everything. */
const GONE_TIMEOUT_MS = 60_000;

interface Held {
  /** `undefined` for an unknown container of an earlier process, which may have any volume. */
  readonly revision: Revision | undefined;
  readonly gone: PromiseWithResolvers<void>;
  /** Whether perhaps no pool removes it: its removal has failed, or another cless has started it. The list tells its end. */
  isUnowned: boolean;
}

/**
 * Wraps the engine's launcher. It adds the secrets to a container's environment, lets no two containers with a common
 * volume run at the same time unless the engine sees to that, and knows which containers may exist.
 */
export class RevisionLauncher implements Launcher {
  readonly #engine: Launcher;
  readonly #env: Pick<RevisionEnv, "of">;
  readonly #hostPaths: Pick<HostPaths, "problem">;
  readonly #clock: Clock;
  /** By id, in the order of launch. An entry is deleted only once its container is certainly gone. */
  readonly #held = new Map<string, Held>();

  constructor(engine: Launcher, env: Pick<RevisionEnv, "of">, hostPaths: Pick<HostPaths, "problem">, clock: Clock) {
    this.#engine = engine;
    this.#env = env;
    this.#hostPaths = hostPaths;
    this.#clock = clock;
  }

  /**
   * Notes a container that may exist. If its revision is unknown, no container with volumes starts until it is removed.
   */
  found(id: string, revision: Revision | undefined): void {
    this.#held.set(id, { revision, gone: Promise.withResolvers(), isUnowned: false });
  }

  async untilGone(fits: (revision: Revision) => boolean): Promise<void> {
    const going = [...this.#held.values()]
      .flatMap(({ revision, gone }) => revision !== undefined && fits(revision) ? [gone.promise] : []);
    if (going.length > 0) await atMost(Promise.all(going), this.#clock, GONE_TIMEOUT_MS);
  }

  /** Starts a container once earlier ones with its volumes are gone. */
  async launch(launch: Launch): Promise<{ origin: string }> {
    const { id, revision } = launch;
    this.found(id, revision);
    if (revision.volumes.length > 0) await this.#takeVolumes(id, revision);
    try {
      return await this.#engine.launch({ ...launch, revision: { ...revision, env: await this.#env.of(revision) } });
    } catch (error) {
      if (error instanceof ServedByOther) {
        this.#gone(id); // it was never created
        const { id: other } = error.container;
        // If nobody adopts it, nobody removes it from here either: the list tells when it is gone.
        if (!this.#held.has(other)) this.#held.set(other, { revision, gone: Promise.withResolvers(), isUnowned: true });
      }
      throw error;
    }
  }

  async stop(id: string, graceS?: number): Promise<void> {
    await this.#end(id, this.#engine.stop(id, graceS));
  }

  async remove(id: string): Promise<void> {
    await this.#end(id, this.#engine.remove(id));
  }

  get sharing(): Sharing | undefined {
    return this.#engine.sharing;
  }

  pause(id: string, idleMs: number): Promise<void> {
    return this.#engine.pause(id, idleMs);
  }

  resume(id: string): Promise<void> {
    return this.#engine.resume(id);
  }

  get canHibernate(): boolean {
    return this.#engine.canHibernate;
  }

  get swapTotalBytes(): number {
    return this.#engine.swapTotalBytes;
  }

  hibernate(id: string): Promise<void> {
    return this.#engine.hibernate(id);
  }

  forget(id: string): void {
    this.#engine.forget(id);
  }

  output(id: string, lines: number): Promise<string> {
    return this.#engine.output(id, lines);
  }

  exposedPorts(revision: Pick<Revision, "imageId">): Promise<readonly number[]> {
    return this.#engine.exposedPorts(revision);
  }

  async list(): Promise<Container[]> {
    const unowned = [...this.#held].flatMap(([id, { isUnowned }]) => isUnowned ? [id] : []);
    const listed = await this.#engine.list();
    const ids = new Set(listed.map(({ id }) => id));
    // One that no pool removes is gone once it is not listed: nothing else would notice that.
    for (const id of unowned) if (!ids.has(id)) this.#gone(id);
    return listed;
  }

  usage(): Promise<ReadonlyMap<string, Usage>> {
    return this.#engine.usage();
  }

  processorTime(id: string): Promise<number | undefined> {
    return this.#engine.processorTime(id);
  }

  async #takeVolumes(id: string, { startTimeoutMs, volumes }: Revision): Promise<void> {
    const deadline = this.#clock.now() + startTimeoutMs;
    const isShared = this.#engine.sharing !== undefined; // then the engine itself knows who else has the volumes
    for (let other = this.#blocker(id, volumes); other !== undefined && !isShared; other = this.#blocker(id, volumes)) {
      await atMost(other.gone.promise, this.#clock, deadline - this.#clock.now());
      if (this.#clock.now() >= deadline) {
        const name = other.revision?.name ?? "an earlier cless";
        throw new Error(`a container of ${name} does not let go of a volume that this one needs`);
      }
    }
    for (const { source } of volumes) {
      // Checked again, since settings and folders may have changed since the deploy.
      const problem = source.startsWith("/") ? await this.#hostPaths.problem(source) : undefined;
      if (problem !== undefined) throw new Error(`the volume ${source} ${problem}`);
    }
  }

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
      if (held !== undefined) held.isUnowned = true;
      throw error;
    }
    this.#gone(id);
  }

  #gone(id: string): void {
    this.#held.get(id)?.gone.resolve();
    this.#held.delete(id);
  }
}
