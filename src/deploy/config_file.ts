import { resolve } from "node:path";
import { messageOf, shuttingDown } from "../base/errors.ts";
import { logger } from "../base/log.ts";
import { CONFIG_NAME } from "../control/access/tokens.ts";
import { applyManifest, type ApplyResult, type ApplyTarget, readManifest } from "../control/manifest/apply.ts";
import { type Manifest, parseManifest } from "../control/manifest/manifest.ts";
import { retiredWarning } from "../control/schema/schema.ts";
import type { DeclaredServices } from "../control/declared_services.ts";
import { defined } from "../model/defined.ts";
import type { Deployer } from "./deployer.ts";

const log = logger("config-file");

/** The file of `--config`; applies what it declares. */
export class ConfigFile {
  readonly #path: string;
  readonly #deployer: Deployer;
  readonly #declared: DeclaredServices;
  readonly #stopping = new AbortController();
  /** The last run of `#apply`; the next one waits for it. */
  #applying: Promise<void> = Promise.resolve();

  constructor(path: string, deployer: Deployer, declared: DeclaredServices) {
    this.#path = resolve(path);
    this.#deployer = deployer;
    this.#declared = declared;
  }

  /** Reads the file. @throws {OperatorError} If it cannot be read or is wrong; the message names line and column. */
  async read(): Promise<Manifest> {
    return parseManifest(await readManifest(this.#path), this.#path);
  }

  /** Applies the manifest in the background, after the earlier ones, and logs the outcome. */
  apply(manifest: Manifest): void {
    this.#applying = this.#applying.then(() => this.#apply(manifest)).catch((error) => {
      if (!this.#stopping.signal.aborted) log.error("file not applied", { reason: messageOf(error) });
    });
  }

  /** Reads the file again and applies it. If it is wrong, that is logged and nothing changes. */
  async reload(): Promise<void> {
    try {
      this.apply(await this.read());
    } catch (error) {
      log.error("file not applied", { reason: messageOf(error) });
    }
  }

  /** Stops it from beginning further changes. */
  stop(): void {
    this.#stopping.abort(shuttingDown());
  }

  async #apply(manifest: Manifest): Promise<void> {
    const warning = retiredWarning(manifest.values());
    if (warning !== undefined) log.warning("file names retired fields", { reason: warning });
    const { signal } = this.#stopping;
    const target = deployerTarget(this.#deployer, this.#declared, signal);
    const results = await applyManifest(manifest, this.#path, target, { signal, onResult: logResult });
    const failed = results.filter(({ error }) => error !== undefined).length;
    const outcome = { file: this.#path, services: results.length, failed };
    if (failed === 0) log.info("file applied", outcome);
    else log.error("file not applied in full", outcome);
    for (const { name, declaredBy } of this.#declared.after("")) {
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

/** Makes this process's deployer the target of a manifest. @param signal Cancels running deploys. */
export function deployerTarget(
  deployer: Pick<Deployer, "plan" | "deploy" | "delete">,
  declared: Pick<DeclaredServices, "after" | "service">,
  signal: AbortSignal,
): ApplyTarget {
  const by = CONFIG_NAME;
  return {
    list: () =>
      Promise.resolve(
        Array.from(declared.after(""), ({ name, declaredBy, domains }) => ({ name, declaredBy, domains })),
      ),
    preview: (name, input, declaredBy) => deployer.plan(name, input, defined({ by, declaredBy })),
    async deploy(name, input, declaredBy) {
      const before = declared.service(name)?.generation;
      const { service } = await deployer.deploy(name, input, defined({ by, declaredBy, wait: true, signal }));
      if (before === undefined) return { change: "create" };
      return { change: before === service.generation ? "none" : "update" };
    },
    async remove(name) {
      await deployer.delete(name, { by });
    },
  };
}
