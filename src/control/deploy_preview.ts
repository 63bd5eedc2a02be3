import type { Traffic } from "../domain/traffic.ts";
import type { DeployPlan } from "./deploy_plan.ts";
import type { ServiceRecord } from "./records.ts";

/** What a deploy would come to. */
export interface DeployPreview {
  readonly change: "create" | "update" | "none";
  /** The name that a new revision would get; `undefined` where the latest would stay. */
  readonly revision: string | undefined;
  /** The fields of the template that a new revision would have otherwise than the latest; names only. */
  readonly changed: readonly string[];
  /** Whether the image would be pulled first; what else is said goes by the content that is on this machine. */
  readonly pull: boolean;
  readonly trafficBefore: Traffic;
  readonly trafficAfter: Traffic;
  readonly domainsBefore: readonly string[];
  readonly domainsAfter: readonly string[];
}

/** Shows what a plan changes. @param before The service as it is; `undefined` where there is none. */
export function previewOf(before: ServiceRecord | undefined, plan: DeployPlan, pull: boolean): DeployPreview {
  const { change, changed, revision } = plan;
  const { traffic: trafficBefore = [], domains: domainsBefore = [] } = before ?? {};
  const { traffic: trafficAfter = trafficBefore, domains: domainsAfter = domainsBefore } = change?.service ?? {};
  return {
    change: change === undefined ? "none" : before === undefined ? "create" : "update",
    revision: change?.addRevision === undefined ? undefined : revision.name,
    changed,
    pull,
    trafficBefore,
    trafficAfter,
    domainsBefore,
    domainsAfter,
  };
}
