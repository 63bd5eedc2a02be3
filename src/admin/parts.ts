import type { Attempts } from "../control/access/attempts.ts";
import type { BackupFile } from "../control/data_dir.ts";
import type { Catalog } from "../control/catalog.ts";
import type { Deployer } from "../deploy/deployer.ts";
import type { ClessEvent, SubscribeOptions } from "../control/events.ts";
import type { InstanceControl } from "../control/instance_control.ts";
import type { Secrets } from "../control/secrets/secrets.ts";
import type { ServiceLogLine } from "../logs/instance_output.ts";
import type { ServiceLogOptions } from "../logs/service_logs.ts";
import type { Store } from "../control/store.ts";
import type { Tokens } from "../control/access/tokens.ts";
import type { Clock } from "../base/clock.ts";
import type { Fleet } from "../fleet/fleet.ts";

/** What the admin API works with. */
export interface AdminParts {
  readonly catalog: Pick<Catalog, "after" | "get" | "revisions" | "status" | "userOf">;
  readonly deployer: Pick<Deployer, "deploy" | "plan" | "setTraffic" | "rollback" | "delete" | "deleteRevision">;
  readonly control: Pick<InstanceControl, "wake" | "sleep">;
  readonly secrets: Pick<Secrets, "set" | "list" | "delete">;
  readonly tokens: Pick<Tokens, "check" | "issue" | "list" | "revoke">;
  /** Gives the owner's token another text, from now on. */
  readonly rotateOwner: () => Promise<string>;
  readonly attempts: Pick<Attempts, "secondsLeft" | "wrong">;
  readonly history: Store["history"];
  /** Copies of the files that another machine needs to go on. */
  readonly backup: () => Promise<readonly BackupFile[]>;
  readonly fleet: Pick<Fleet, "instances">;
  /** How much memory each instance uses, bytes by id, as far as that is known. */
  readonly memory: () => Promise<ReadonlyMap<string, number>>;
  readonly events: { subscribe(options: SubscribeOptions): AsyncIterable<ClessEvent> };
  readonly logs: { read(service: string, options: ServiceLogOptions): AsyncIterable<ServiceLogLine> };
  /** The figures, as Prometheus reads them. */
  readonly metrics: { text(): Promise<string> };
  /** Whether requests can be served now. */
  readonly ready: () => Promise<boolean>;
  /** Where a browser finds a service. */
  readonly urlOf: (service: string) => string;
  /** Whether a hostname leads to something that cless serves. */
  readonly serves: (hostname: string) => Promise<boolean>;
  /** By which names the API may be called beside addresses, localhost and *.localhost; small letters, without ports. */
  readonly hostnames: readonly string[];
  /** The machine's where it is missing. */
  readonly clock?: Clock;
  /** Wall-clock ms since 1970; the machine's where it is missing. */
  readonly now?: () => number;
  /** Aborted when cless begins to stop: then streams end, and nothing is changed any more. */
  readonly stopping?: AbortSignal;
}
