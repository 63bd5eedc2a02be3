import type { ApplyTarget } from "../control/manifest/apply.ts";
import type { Deployer } from "./deployer.ts";

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
