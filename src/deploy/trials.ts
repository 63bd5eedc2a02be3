import { logger } from "../base/log.ts";
import { RevisionFailed } from "../control/deploy_error.ts";
import type { EventLog } from "../control/events.ts";
import type { RevisionRecord } from "../control/records.ts";
import type { Revision } from "../model/revision.ts";
import type { InstancePool } from "../pool/pool.ts";

const log = logger("deployer");

/** What {@linkcode Trials} works with. */
export interface TrialsOptions {
  readonly volumeUsers: {
    /** The services of other data-dirs whose containers have a volume, each as `SERVICE of OWNER`. Never rejects. */
    othersWithVolume(volume: string): Promise<string[]>;
  };
  readonly volumeAccess: {
    /** What is wrong with the volumes of a revision, as its last instance has found them. Never rejects. */
    problemsOf(revision: string): Promise<readonly string[]>;
  };
  readonly machines: {
    /** Why a revision runs on some machines only; `undefined` if there is nothing to say. Never rejects. */
    boundsOf(revision: Revision): Promise<string | undefined>;
  };
  readonly events: Pick<EventLog, "emit">;
  /** Wall-clock time, ms since 1970. */
  readonly now: () => number;
}

/** Tries new revisions, and warns of what their authors may not expect. */
export class Trials {
  readonly #options: TrialsOptions;

  constructor(options: TrialsOptions) {
    this.#options = options;
  }

  /**
   * Starts an instance of a new revision before any request goes there.
   *
   * @throws {RevisionFailed} If it does not become ready. @throws The signal's reason, if it is aborted first.
   */
  async run(pool: InstancePool, signal: AbortSignal): Promise<void> {
    const { events, machines, now, volumeAccess } = this.#options;
    const { name, service } = pool.revision;
    const began = now();
    events.emit("revision.starting", service, { revision: name });
    try {
      await pool.tryStart(signal, () => ({ kind: "deploy" }));
      signal.throwIfAborted();
    } catch (error) {
      const hints = signal.aborted ? [] : await volumeAccess.problemsOf(name);
      const failed = new RevisionFailed(name, signal.aborted ? signal.reason : error, hints);
      events.emit("revision.failed", service, { revision: name, reason: failed.reason, output: failed.output });
      signal.throwIfAborted();
      throw failed;
    }
    const ms = now() - began;
    const bounds = await machines.boundsOf(pool.revision);
    for (const warning of [...await volumeAccess.problemsOf(name), ...bounds === undefined ? [] : [bounds]]) {
      events.emit("revision.warning", service, { revision: name, warning });
    }
    events.emit("revision.ready", service, { revision: name, ms });
  }

  /**
   * Warns, in the background, of named volumes that other data-dirs use too. They may be used at the same time, since
   * volumes are handed over only within one data-dir.
   */
  async warnOfOthers({ name, service, template }: RevisionRecord): Promise<void> {
    for (const { source } of template.volumes) {
      if (source.startsWith("/")) continue;
      const others = await this.#options.volumeUsers.othersWithVolume(source);
      if (others.length === 0) continue;
      log.warning("another cless uses the same volume", { service, volume: source, others: others.join(", ") });
      const warning = `another cless uses the volume ${source} too, at the same time: ${others.join(", ")}`;
      this.#options.events.emit("revision.warning", service, { revision: name, warning });
    }
  }

  /**
   * Says, once for the images of one repository, that the image's own health check does not run. @param before The
   * earlier revisions of the service.
   */
  noteHealthCheck({ name, service, template }: RevisionRecord, before: readonly RevisionRecord[]): void {
    const repository = (image: string) => image.replace(/[@:][^/]*$/, "");
    if (before.some(({ template: { image } }) => repository(image) === repository(template.image))) return;
    const warning =
      "the image's HEALTHCHECK does not run, since a paused app could not answer it; cless probes the app " +
      "itself (--readiness-path, --liveness-path)";
    this.#options.events.emit("revision.warning", service, { revision: name, warning });
  }
}
