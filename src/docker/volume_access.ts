import { atMost } from "../base/async.ts";
import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import type { Revision } from "../model/revision.ts";
import type { Volume } from "../model/template.ts";
import { containerUser, mayWrite, needsFiles, overrides, type Ownership, type UserFiles } from "./container_user.ts";
import type { EngineApi } from "./engine_api.ts";
import { firstEntry } from "./tar.ts";

const log = logger("launcher");
/** Of files such as `/etc/passwd`, so much is read. */
const FILE_BYTES = 64 * 1024;
/** The head of a folder in an archive. */
const HEAD_BYTES = 512;
/** Who wants to know, or to remove the container, waits at most this long. */
const WAIT_MS = 2000;
/** The results of at most this many revisions are kept, the last ones. */
const MAX_KNOWN = 1000;
/** Those who look get a result with problems that is not older than this. */
const MAX_AGE_MS = 1000;

/** A check of a revision's volumes. */
interface Check {
  readonly revision: Revision;
  /** The container that is looked into. */
  readonly id: string;
  done: Promise<void>;
  /** When it began, clock ms. */
  beganMs: number;
  problems: readonly string[];
  /** Whether nothing is wrong, so that it need not be checked again. */
  isGood: boolean;
}

/**
 * Finds the volumes that the user of an app cannot write to. It looks into a container that has just started, since it
 * is the engine that gives a new volume its owner. The first good result of a revision is kept. After a bad one, it looks
 * again for those who want to know, as long as the container is there, since an operator may have mended it.
 */
export class VolumeAccess {
  readonly #api: Pick<EngineApi, "archive" | "image">;
  readonly #clock: Clock;
  /** By the revision's name; the last checked one is the last. */
  readonly #checks = new Map<string, Check>();
  /** The running checks, by container. */
  readonly #running = new Map<string, Promise<void>>();

  constructor(api: Pick<EngineApi, "archive" | "image">, clock: Clock) {
    this.#api = api;
    this.#clock = clock;
  }

  /** Looks into a container of a revision in the background, if it has volumes to write to. */
  check(id: string, revision: Revision): void {
    const { name } = revision;
    if (writableOf(revision).length === 0 || this.#checks.get(name)?.isGood) return;
    this.#checks.delete(name);
    const check = { id, revision, problems: [], isGood: false, beganMs: 0, done: Promise.resolve() };
    this.#checks.set(name, check);
    this.#begin(check);
    if (this.#checks.size > MAX_KNOWN) this.#checks.delete(this.#checks.keys().next().value!);
  }

  /** Waits for the check that looks into a container, if there is one. Call it before its removal. */
  async settled(id: string): Promise<void> {
    const running = this.#running.get(id);
    if (running !== undefined) await atMost(running, this.#clock, WAIT_MS);
  }

  /** What is wrong with the volumes of a revision, as its last instance has found them; waits for a running check. */
  async problemsOf(revision: string): Promise<readonly string[]> {
    const check = this.#checks.get(revision);
    if (check === undefined) return [];
    const isOld = this.#clock.now() - check.beganMs >= MAX_AGE_MS && !this.#running.has(check.id);
    if (isOld && check.problems.length > 0) this.#begin(check);
    await atMost(check.done, this.#clock, WAIT_MS);
    return check.problems;
  }

  #begin(check: Check): void {
    const { id, revision } = check;
    check.beganMs = this.#clock.now();
    check.done = this.#problems(id, revision).then((problems) => {
      check.problems = problems;
      check.isGood = problems.length === 0;
    }, (error) => {
      log.debug("cannot tell who may write to a volume", { instance: id, reason: messageOf(error) });
    });
    this.#running.set(id, check.done.finally(() => this.#running.delete(id)));
  }

  async #problems(id: string, revision: Revision): Promise<string[]> {
    const text = revision.user ?? (await this.#api.image(revision.imageId)).user;
    const none: UserFiles = { passwd: "", group: "" };
    const user = containerUser(text, needsFiles(text) ? await this.#files(id) : none);
    if (user === undefined || overrides(user, revision.capabilities)) return [];
    const problems: string[] = [];
    for (const volume of writableOf(revision)) {
      const folder = firstEntry(await this.#api.archive(id, `${volume.path}/.`, HEAD_BYTES));
      if (folder?.isFolder && !mayWrite(user, folder)) problems.push(problemText(text, user.uid, volume, folder));
    }
    return problems;
  }

  async #files(id: string): Promise<UserFiles> {
    const read = async (path: string) => {
      const archive = await this.#api.archive(id, path, FILE_BYTES).catch(() => new Uint8Array()); // it has no such file
      return new TextDecoder().decode(firstEntry(archive)?.content);
    };
    const [passwd, group] = await Promise.all([read("/etc/passwd"), read("/etc/group")]);
    return { passwd, group };
  }
}

function writableOf({ volumes }: Revision): readonly Volume[] {
  return volumes.filter(({ readOnly }) => !readOnly);
}

/** What is wrong, and what to do, on one line. */
function problemText(user: string, uid: number, { path, source }: Volume, { mode, ...folder }: Ownership): string {
  const name = user === "" ? "root" : user.replace(/:.*/, "");
  const change = source.startsWith("/")
    ? `sudo chown ${uid} ${source}`
    : `docker run --rm -v ${source}:/v busybox chown ${uid} /v`;
  return `its user ${name} cannot write to the volume ${source} at ${path}, which belongs to ` +
    `${folder.uid}:${folder.gid} (mode ${mode.toString(8)}); this lets it: ${change}`;
}
