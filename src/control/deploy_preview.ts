import type { Traffic } from "../model/traffic.ts";

/** What a deploy would come to. */
export interface DeployPreview {
  readonly change: "create" | "update" | "none";
  /** The name that a new revision would get; `undefined` where the latest would stay. */
  readonly revision?: string | undefined;
  /** The fields of the template that a new revision would have otherwise than the latest; names only. */
  readonly changed: readonly string[];
  /** Whether the image would be pulled first; what else is said goes by the content that is on this machine. */
  readonly pull: boolean;
  readonly traffic: { readonly before: Traffic; readonly after: Traffic };
  readonly domains: { readonly before: readonly string[]; readonly after: readonly string[] };
  /** How many revisions without traffic or tag are kept; missing where there is no service. */
  readonly revisionHistory: { readonly before?: number | undefined; readonly after?: number | undefined };
  /** The file that declares it; missing where none does. */
  readonly declaredBy: { readonly before?: string | undefined; readonly after?: string | undefined };
}
