import type { Attempts } from "../control/attempts.ts";
import type { ChangeOptions, Deployer, DeployInput } from "../control/deployer.ts";
import type { Secrets } from "../control/secrets.ts";
import type { Store } from "../control/store.ts";
import type { Tokens } from "../control/tokens.ts";
import type { RevisionTemplate } from "../domain/template.ts";
import type { Traffic } from "../domain/traffic.ts";
import type { Loading, WakeSettings } from "../domain/waking.ts";
import type { Clock } from "../serving/clock.ts";
import type { Fleet } from "../serving/fleet.ts";

/** A service as it is shown. Times are wall-clock ms since 1970. */
export interface ServiceView {
  readonly name: string;
  readonly domains: readonly string[];
  readonly latestRevision: string;
  readonly traffic: Traffic;
  /** `undefined` for a service that nobody has declared. */
  readonly generation: number | undefined;
  /** Whether nobody has declared it: its image was found by its name. */
  readonly convention: boolean;
  readonly revisionHistory: number | undefined;
  readonly wake: WakeSettings | undefined;
  readonly loading: Loading | undefined;
  /** The file that declared it; `undefined` where a person made it. */
  readonly declaredBy: string | undefined;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** A revision as it is shown. */
export interface RevisionView {
  readonly name: string;
  readonly service: string;
  readonly template: RevisionTemplate;
  readonly imageId: string;
  readonly imageDigest: string | undefined;
  /** Wall-clock ms since 1970. */
  readonly createdAt: number;
  /** Its share of the service's traffic. */
  readonly percent: number;
  readonly tag: string | undefined;
  /** Whether it is the one that `latest` stands for. */
  readonly latest: boolean;
}

/** What there is to be shown, by name. */
export interface ServiceCatalog {
  list(): readonly ServiceView[];
  get(name: string): ServiceView | undefined;
  /** Newest first; `undefined` where there is no such service. */
  revisions(name: string): readonly RevisionView[] | undefined;
}

/** What a deploy would come to. */
export interface DeployPreview {
  readonly change: "create" | "update" | "none";
  /** The name that a new revision would get. */
  readonly revision: string | undefined;
  /** The fields of the template that would change; names only. */
  readonly changed: readonly string[];
  /** Whether the image would be pulled first. */
  readonly pull: boolean;
  readonly trafficBefore: Traffic;
  readonly trafficAfter: Traffic;
  readonly domainsBefore: readonly string[];
  readonly domainsAfter: readonly string[];
}

/** What changes services. */
export interface ServiceChanges
  extends Pick<Deployer, "deploy" | "setTraffic" | "rollback" | "delete" | "deleteRevision"> {
  /** Says what a deploy would come to, and changes and pulls nothing. */
  plan(
    name: string,
    input: DeployInput,
    options: ChangeOptions & { readonly declaredBy?: string },
  ): Promise<DeployPreview>;
}

/** Has instances of a service start and stop. */
export interface ServiceControl {
  /** Resolves when the revision with the greatest share has a ready instance. */
  wake(service: string, signal: AbortSignal): Promise<void>;
  /** Resolves when no instance is left. */
  sleep(service: string): Promise<void>;
}

/** Something that has happened. */
export interface ServiceEvent {
  /** Goes up; what only tells how things stand has none. */
  readonly id: number | undefined;
  /** Wall-clock ms since 1970. */
  readonly at: number;
  readonly type: string;
  readonly service: string | undefined;
  readonly data: Readonly<Record<string, unknown>>;
}

/** What has happened of late, and what happens. */
export interface EventSource {
  /**
   * Ends when the signal is aborted, and throws where the subscriber is too slow.
   *
   * @param options.after Only events after the one with that id.
   */
  subscribe(options: { readonly after?: number; readonly signal: AbortSignal }): AsyncIterable<ServiceEvent>;
}

/** A line that an instance has written. */
export interface ServiceLogLine {
  readonly instance: string;
  readonly revision: string;
  readonly stream: "stdout" | "stderr";
  readonly time: string | undefined;
  readonly text: string;
}

/** What instances write. */
export interface LogSource {
  read(service: string, options: {
    readonly follow: boolean;
    readonly tail: number | undefined;
    readonly since: string | undefined;
    readonly signal: AbortSignal;
    readonly revision?: string;
  }): AsyncIterable<ServiceLogLine>;
}

/** What the admin API works with. */
export interface AdminParts {
  readonly catalog: ServiceCatalog;
  readonly deployer: ServiceChanges;
  readonly control: ServiceControl;
  readonly secrets: Pick<Secrets, "set" | "list" | "delete">;
  readonly tokens: Pick<Tokens, "check" | "issue" | "list" | "revoke">;
  /** Gives the owner's token another text, from now on. */
  readonly rotateOwner: () => Promise<string>;
  readonly attempts: Pick<Attempts, "secondsLeft" | "wrong">;
  readonly history: Store["history"];
  /** Copies of the files that another machine needs to go on. */
  readonly backup: () => Promise<readonly { readonly name: string; readonly bytes: Uint8Array }[]>;
  readonly fleet: Pick<Fleet, "instances">;
  readonly events: EventSource;
  readonly logs: LogSource;
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
  /** Ends what is told without an end, so that the server can stop. */
  readonly stopping?: AbortSignal;
  /** The machine's where it is missing. */
  readonly clock?: Clock;
  /** Wall-clock ms since 1970; the machine's where it is missing. */
  readonly now?: () => number;
}
