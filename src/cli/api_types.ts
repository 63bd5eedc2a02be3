import type { TemplateJson } from "../control/schema/schema.ts";
import type { Traffic } from "../model/traffic.ts";
import type { Loading, WakeSettings } from "../model/waking.ts";

/** A service as the admin API shows it; times are ISO 8601. */
export interface ServiceJson {
  readonly name: string;
  readonly url: string;
  readonly state: string;
  /** Why it is failing, if it is. */
  readonly failure?: string;
  readonly domains: readonly string[];
  readonly latestRevision: string;
  readonly traffic: Traffic;
  /** Missing if nobody has declared it. */
  readonly etag?: string;
  readonly convention?: boolean;
  readonly revisionHistory?: number;
  readonly wake?: WakeSettings;
  readonly loading?: Loading;
  readonly declaredBy?: string;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** A revision as it is listed, without the values of its variables. */
export interface ListedRevisionJson {
  readonly name: string;
  readonly service: string;
  readonly image: string;
  readonly imageId: string;
  readonly imageDigest?: string;
  readonly createdAt: string;
  readonly percent: number;
  readonly tag?: string;
  readonly latest: boolean;
  readonly failure?: FailureJson;
}

/** The last failure of a revision. */
export interface FailureJson {
  readonly reason: string;
  readonly at: string;
  readonly count: number;
  /** Missing unless requests are refused. */
  readonly retryInS?: number;
  /** Missing in lists. */
  readonly output?: readonly string[];
}

/** A revision with its whole template. */
export interface RevisionJson extends ListedRevisionJson {
  readonly template: TemplateJson;
}

/** An instance. */
export interface InstanceJson {
  readonly id: string;
  readonly service: string;
  readonly revision: string;
  readonly state: string;
  readonly address: string;
  readonly inFlight: number;
  readonly memoryBytes?: number;
  readonly startedAt: string;
  readonly lastUsedAt?: string;
  readonly coldStartMs?: number;
  /** Why it has failed, if it has. */
  readonly failure?: string;
}

/** An entry of the audit log. */
export interface HistoryJson {
  readonly at: string;
  readonly action: string;
  readonly by: string;
  readonly before?: unknown;
  readonly after?: unknown;
}
