import type { SignInAddresses } from "../access/oidc/addresses.ts";
import type { Clock } from "../base/clock.ts";
import type { Config } from "../base/config.ts";
import type { Sessions } from "../control/access/sessions.ts";
import type { Tokens } from "../control/access/tokens.ts";
import type { Catalog } from "../control/catalog.ts";
import type { CertificateNames } from "../control/certificates/names.ts";
import type { Cluster } from "../control/cluster.ts";
import type { DataDir } from "../control/data_dir.ts";
import type { ClessEvent, SubscribeOptions } from "../control/events.ts";
import type { ExecSessions } from "../control/exec/sessions.ts";
import type { Activity } from "../control/figures/activity.ts";
import type { Estimates } from "../control/figures/estimates.ts";
import type { Past } from "../control/figures/past.ts";
import type { UsageMeter } from "../control/figures/usage_meter.ts";
import type { InstanceControl } from "../control/instance_control.ts";
import type { RevisionLimits } from "../control/revision_limits.ts";
import type { RunningDeploys } from "../control/running_deploys.ts";
import type { Secrets } from "../control/secrets/secrets.ts";
import type { Statistics } from "../control/statistics.ts";
import type { Store } from "../control/store.ts";
import type { ServiceWaits } from "../control/service_waits.ts";
import type { Deployer } from "../deploy/deployer.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { ServiceLogLine } from "../logs/instance_output.ts";
import type { ServiceLogOptions } from "../logs/service_logs.ts";
import type { Volume } from "../model/template.ts";
import type { Activator } from "../routing/activator.ts";
import type { Hosts } from "../routing/hosts.ts";
import type { Metrics } from "./metrics.ts";

/** The parts of cless that the admin API uses. Each operation picks those that it needs. */
export interface Collaborators {
  readonly config: Pick<Config, "admin" | "domain" | "publicUrl">;
  readonly clock: Clock;
  /** Wall-clock time, ms since 1970; the machine's by default. */
  readonly now?: () => number;
  /** Aborted when cless begins to stop: streams end, and changes are refused. */
  readonly stopping: AbortSignal;
  readonly catalog: Pick<Catalog, "after" | "get" | "revisions" | "served" | "status" | "statuses" | "userOf">;
  readonly deployer: Pick<
    Deployer,
    "deploy" | "plan" | "setTraffic" | "rollback" | "delete" | "deleteTried" | "deleteRevision"
  >;
  readonly running: Pick<RunningDeploys, "of" | "services">;
  readonly waits: Pick<ServiceWaits, "of">;
  readonly control: Pick<InstanceControl, "wake" | "sleep">;
  readonly exec: Pick<ExecSessions, "find" | "run">;
  readonly store: Pick<Store, "backup" | "deploys" | "history">;
  readonly dataDir: Pick<DataDir, "backup" | "rotateToken">;
  readonly secrets: Pick<Secrets, "set" | "list" | "delete">;
  readonly tokens: Pick<Tokens, "check" | "issue" | "list" | "revoke" | "setOwner">;
  readonly sessions: Pick<Sessions, "begin" | "end" | "find">;
  readonly fleet: Pick<Fleet, "instances">;
  readonly events: { subscribe(options: SubscribeOptions): AsyncIterable<ClessEvent> };
  readonly logs: { read(service: string, options: ServiceLogOptions): AsyncIterable<ServiceLogLine> };
  readonly activity: Pick<Activity, "now">;
  readonly past: Pick<Past, "hours" | "minutes" | "timelines" | "wakeLog" | "wakes">;
  readonly meter: Pick<UsageMeter, "allUsages" | "costs" | "usages">;
  readonly metrics: Metrics;
  readonly estimates: Pick<Estimates, "basisOf">;
  readonly engine: {
    /** Whether the memory of instances can be moved to disk now. */
    readonly canHibernate: boolean;
    answers(): Promise<boolean>;
  };
  readonly imageNames: {
    /** The id of the image that a name means on this machine; `undefined` if it means none, or nobody knows. */
    idOf(name: string): Promise<string | undefined>;
  };
  readonly volumeAccess: {
    /** What is wrong with the volumes of a revision, as its last instance has found them. Never rejects. */
    problemsOf(revision: string): Promise<readonly string[]>;
  };
  /** Missing if cless uses the engine of one machine. */
  readonly volumeNodes?: {
    /** On which machine each volume is, and why that is of no use now; leaves out those not yet used. Never rejects. */
    seen(service: string, volumes: readonly Volume[]): Promise<
      readonly { readonly source: string; readonly node: string; readonly problem?: string }[]
    >;
  } | undefined;
  readonly revisionLimits: Pick<RevisionLimits, "of">;
  /** The flag or variable by which no known robot wakes a service, if there is one. */
  readonly noRobots?: string | undefined;
  readonly certificateNames: Pick<CertificateNames, "grant" | "counts" | "refused">;
  readonly hosts: Pick<Hosts, "kindOf" | "urlOf">;
  readonly signInAddresses: Pick<SignInAddresses, "callbacksOf">;
  readonly statistics: Pick<Statistics, "pools" | "read">;
  readonly activator: Pick<Activator, "draining">;
  /** Missing if cless uses the engine of one machine. */
  readonly cluster?: Cluster | undefined;
}
