import { isAbsolute, resolve } from "node:path";
import { applyManifest, type ApplyResult, type ApplyTarget, readManifest } from "../control/manifest/apply.ts";
import type { Deployer } from "./deployer.ts";
import { type Manifest, parseManifest } from "../control/manifest/manifest.ts";
import { ManifestError } from "../control/schema/invalid.ts";
import { CONFIG_NAME } from "../control/access/tokens.ts";
import { retiredWarning } from "../control/schema/schema.ts";
import { messageOf, OperatorError } from "../base/errors.ts";
import { logger } from "../base/log.ts";

const log = logger("config-file");

/** The file of `--config`: has the services be what it declares. */
export class ConfigFile {
  readonly #path: string;
  readonly #deployer: Deployer;
  /** The last application; the next one waits for it. */
  #applying: Promise<void> = Promise.resolve();
  readonly #stopping = new AbortController();

  constructor(path: string, deployer: Deployer) {
    this.#path = isAbsolute(path) ? path : resolve(path);
    this.#deployer = deployer;
  }

  /** Reads the file. @throws {OperatorError} Where it cannot be read or is wrong; the message names line and column. */
  async read(): Promise<Manifest> {
    const text = await readManifest(this.#path);
    try {
      return parseManifest(text, this.#path);
    } catch (error) {
      throw error instanceof ManifestError ? new OperatorError(error.message) : error;
    }
  }

  /** Has the services be what the file declares, after what is being applied; what came of it is logged. */
  apply(manifest: Manifest): void {
    this.#applying = this.#applying.then(() => this.#apply(manifest)).catch((error) => {
      if (!this.#stopping.signal.aborted) log.error("file not applied", { reason: messageOf(error) });
    });
  }

  /** Reads the file again and applies it; one that is wrong is logged, and changes nothing. */
  async reload(): Promise<void> {
    try {
      this.apply(await this.read());
    } catch (error) {
      log.error("file not applied", { reason: messageOf(error) });
    }
  }

  /** Begins nothing new. */
  stop(): void {
    this.#stopping.abort();
  }

  async #apply(manifest: Manifest): Promise<void> {
    const warning = retiredWarning(manifest.values());
    if (warning !== undefined) log.warning("file names retired fields", { reason: warning });
    const { signal } = this.#stopping;
    const target = deployerTarget(this.#deployer, { by: CONFIG_NAME, wait: true, signal });
    const results = await applyManifest(manifest, this.#path, target, { signal, onResult: logResult });
    const failed = results.filter(({ error }) => error !== undefined).length;
    const outcome = { file: this.#path, services: results.length, failed };
    if (failed === 0) log.info("file applied", outcome);
    else log.error("file not applied in full", outcome);
    for (const { name, declaredBy } of this.#deployer.list()) {
      if (declaredBy !== this.#path || manifest.has(name)) continue;
      const remedy = `cless delete ${name}, or cless apply --prune -f ${this.#path}`;
      log.warning("service is not in the file any more, and stays", { service: name, remedy });
    }
  }
}

function logResult({ name, change, error }: ApplyResult): void {
  if (error !== undefined) log.error("service not applied", { service: name, reason: messageOf(error) });
  else if (change !== "none") log.info("service applied", { service: name, change });
}

/** What a deployer can, as far as a manifest needs it. */
export type ManifestDeployer = Pick<Deployer, "service" | "list" | "plan" | "deploy" | "delete">;

/** How a {@linkcode deployerTarget} deploys. */
export interface DeployerTargetOptions {
  /** Who it is that deploys, in history. */
  readonly by: string;
  /** Whether a new revision must become ready before it gets traffic. */
  readonly wait: boolean;
  /** Gives up what is under way. */
  readonly signal?: AbortSignal;
}

/** The deployer of this process as the place where a manifest is applied. */
export function deployerTarget(deployer: ManifestDeployer, { by, wait, signal }: DeployerTargetOptions): ApplyTarget {
  const marked = (declaredBy: string | undefined) => ({ by, ...(declaredBy === undefined ? {} : { declaredBy }) });
  return {
    list: () =>
      Promise.resolve(
        deployer.list().map(({ name, declaredBy, domains }) => ({ name, declaredBy, domains })),
      ),
    preview: (name, declared, declaredBy) => deployer.plan(name, declared, marked(declaredBy)),
    async deploy(name, declared, declaredBy) {
      const before = deployer.service(name)?.generation;
      const options = { ...marked(declaredBy), wait, ...(signal === undefined ? {} : { signal }) };
      const { service } = await deployer.deploy(name, declared, options);
      if (before === undefined) return { change: "create" };
      return { change: before === service.generation ? "none" : "update" };
    },
    async remove(name) {
      await deployer.delete(name, { by });
    },
  };
}
