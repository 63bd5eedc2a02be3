import type { Traffic } from "../../domain/traffic.ts";
import type { DeployPlan } from "./deploy_plan.ts";
import type { ServiceRecord } from "../records.ts";

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
  /** How many revisions without traffic or tag are kept; `undefined` where there is no service. */
  readonly revisionHistoryBefore: number | undefined;
  readonly revisionHistoryAfter: number | undefined;
  /** The file that declares it; `undefined` where none does. */
  readonly declaredByBefore: string | undefined;
  readonly declaredByAfter: string | undefined;
}

/** Shows what a plan changes. @param before The service as it is; `undefined` where there is none. */
export function previewOf(before: ServiceRecord | undefined, plan: DeployPlan, pull: boolean): DeployPreview {
  const { change, changed, revision } = plan;
  const { traffic: trafficBefore = [], domains: domainsBefore = [] } = before ?? {};
  const after = change?.service ?? before;
  return {
    change: change === undefined ? "none" : before === undefined ? "create" : "update",
    revision: change?.addRevision === undefined ? undefined : revision.name,
    changed,
    pull,
    trafficBefore,
    trafficAfter: after?.traffic ?? [],
    domainsBefore,
    domainsAfter: after?.domains ?? [],
    revisionHistoryBefore: before?.revisionHistory,
    revisionHistoryAfter: after?.revisionHistory,
    declaredByBefore: before?.declaredBy,
    declaredByAfter: after?.declaredBy,
  };
}
