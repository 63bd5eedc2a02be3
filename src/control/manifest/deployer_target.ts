import type { ApplyTarget } from "./apply.ts";
import type { DeployPreview } from "../deploy/deploy_preview.ts";
import type { ParsedService } from "../schema/schema.ts";
import type { ServiceState } from "../deploy/service_state.ts";

/** What a deployer can, as far as a manifest needs it. */
export interface ManifestDeployer {
  get(name: string): Pick<ServiceState, "service"> | undefined;
  list(): readonly Pick<ServiceState, "service">[];
  plan(
    name: string,
    input: ParsedService,
    options: { readonly by: string; readonly declaredBy?: string },
  ): Promise<DeployPreview>;
  deploy(name: string, input: ParsedService, options: {
    readonly by: string;
    readonly wait: boolean;
    readonly declaredBy?: string;
    readonly signal?: AbortSignal;
  }): Promise<Pick<ServiceState, "service">>;
  delete(name: string, options: { readonly by: string }): Promise<unknown>;
}

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
        deployer.list().map(({ service: { name, declaredBy, domains } }) => ({ name, declaredBy, domains })),
      ),
    async preview(name, declared, declaredBy) {
      const plan = await deployer.plan(name, declared, marked(declaredBy));
      const { change, changed, pull, revision } = plan;
      return {
        ...{ change, revision, changed, pull },
        traffic: { before: plan.trafficBefore, after: plan.trafficAfter },
        domains: { before: plan.domainsBefore, after: plan.domainsAfter },
        revisionHistory: { before: plan.revisionHistoryBefore, after: plan.revisionHistoryAfter },
        declaredBy: { before: plan.declaredByBefore, after: plan.declaredByAfter },
      };
    },
    async deploy(name, declared, declaredBy) {
      const before = deployer.get(name)?.service.generation;
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
