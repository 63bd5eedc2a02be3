import type { AccessSettings, RequestLimits } from "../model/access.ts";
import type { Loading, WakeSettings } from "../model/service.ts";
import { needsNoPreparation, type RevisionTemplate } from "../model/template.ts";
import type { Traffic } from "../model/traffic.ts";
import type { HostKind } from "../routing/hosts.ts";

/** A service as it is stored. */
export interface ServiceRecord {
  readonly name: string;
  /** Whole hostnames that lead to it besides its own, in lower case. No other service has them. */
  readonly domains: readonly string[];
  /** How many revisions without traffic or tag are kept. */
  readonly revisionHistory: number;
  /** Which requests wake it. */
  readonly wake: WakeSettings;
  readonly loading: Loading;
  readonly access: AccessSettings;
  readonly limits: RequestLimits;
  /** What requests are told while the service is under maintenance; empty if it is not. */
  readonly maintenance: string;
  readonly traffic: Traffic;
  /** The split before the last change of traffic, by revision name; empty if there was none. */
  readonly previousTraffic: Traffic;
  readonly latestRevision: string;
  /** Increases with every revision. */
  readonly lastNumber: number;
  /** Increases with every change. */
  readonly generation: number;
  /** The file that declared it, if one did. */
  readonly declaredBy: string | undefined;
  /** Wall-clock times, ms since 1970. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** The settings of a service that do not depend on its revisions. */
export type ServiceFields = Pick<
  ServiceRecord,
  "domains" | "revisionHistory" | "wake" | "loading" | "access" | "limits" | "maintenance"
>;

/** A revision as it is stored. It never changes. */
export interface RevisionRecord {
  /** Such as `golang-00002`; unique among all services. */
  readonly name: string;
  readonly service: string;
  readonly template: RevisionTemplate;
  /** The image's content, `sha256:…`. */
  readonly imageId: string;
  /** The name by which the image can be pulled again, `name@sha256:…`; `undefined` if it is only local. */
  readonly imageDigest: string | undefined;
  /** Whether cless pulled the image for this revision. */
  readonly pulled: boolean;
  /** The version of each secret of the template, by the secret's name. */
  readonly secretVersions: Readonly<Record<string, number>>;
  /** Whether it is older than the {@linkcode ContainerDefaults}, so that its containers do not get these. */
  readonly older: boolean;
  /** Wall-clock time, ms since 1970. */
  readonly createdAt: number;
}

/** The part of each revision that is read when the program starts. */
export interface RevisionMark extends Pick<RevisionRecord, "name" | "imageId" | "pulled"> {
  readonly needsNoPreparation: boolean;
}

/** The mark of a revision. */
export function markOf({ imageId, name, pulled, template }: RevisionRecord): RevisionMark {
  return { name, imageId, pulled, needsNoPreparation: needsNoPreparation(template) };
}

/** A line of the audit log. */
export interface HistoryEntry {
  /** Wall-clock time, ms since 1970. */
  readonly at: number;
  readonly service: string;
  /** Such as `deploy`, `traffic`, `rollback`, `delete`. */
  readonly action: string;
  readonly by: string;
  /**
   * The state before and after, as JSON values; `undefined` for none. They contain no values of variables, since many
   * people see the history.
   */
  readonly before: unknown;
  readonly after: unknown;
}

/** A deploy that has ended, also one that has changed nothing because it failed. */
export interface DeployRecord {
  readonly service: string;
  /** The revision that it made or tried; `undefined` if it ended before there was one. */
  readonly revision: string | undefined;
  readonly image: string;
  /** The name of the token that asked for it. */
  readonly by: string;
  /** Wall-clock time, ms since 1970. */
  readonly startedAt: number;
  readonly durationMs: number;
  /** It is called off if cless stops or the service is deleted. */
  readonly outcome: "deployed" | "failed" | "called off";
  /** Why it did not work, on one line; `undefined` if it did. */
  readonly reason: string | undefined;
  /** The last lines that the app wrote, if it failed. */
  readonly output: readonly string[];
}

/** How a deploy ended, in short. */
export type DeployEnd = Pick<DeployRecord, "service" | "startedAt" | "outcome" | "revision" | "by">;

/** One change of one service, stored as a whole or not at all. */
export interface ServiceChange {
  readonly service: ServiceRecord;
  /** Its generation before the change; `undefined` for a new service. */
  readonly expectedGeneration: number | undefined;
  readonly addRevision?: RevisionRecord;
  readonly removeRevisions?: readonly string[];
  readonly history: HistoryEntry;
}

/** A version of a secret, without its value. */
export interface SecretVersion {
  readonly name: string;
  /** Increases with every new value. */
  readonly version: number;
  /** When it was set; wall-clock time, ms since 1970. */
  readonly createdAt: number;
}

/** A version of a secret with its encrypted value. */
export interface SecretRecord extends SecretVersion {
  readonly sealed: Uint8Array;
}

/** What a token allows. */
export type Scope = "read" | "deploy" | "admin";

/** A token of the admin API other than the owner's. */
export interface TokenRecord {
  readonly name: string;
  readonly scope: Scope;
  /** SHA-256 of the token's text. */
  readonly hash: Uint8Array;
  /** Wall-clock time, ms since 1970; `undefined` if it never expires. */
  readonly expiresAt: number | undefined;
  /** Wall-clock time, ms since 1970. */
  readonly createdAt: number;
}

/** A session: a browser in which somebody has signed in with a token. */
export interface SessionRecord {
  /** The hash of its secret, in hexadecimal: whoever reads it cannot use the session. */
  readonly id: string;
  /** The hash of its token. */
  readonly token: Uint8Array;
  /** Of the page that it is for, such as `https://admin.example.org`. */
  readonly origin: string;
  /** Wall-clock time, ms since 1970. */
  readonly createdAt: number;
  /** When it was used last, wall-clock time, ms since 1970. */
  readonly usedAt: number;
}

/** A hostname that a TLS proxy may have certificates made for: see `CertificateNames`. */
export interface CertificateName {
  /** Lower case. */
  readonly name: string;
  /** The domain that it counts for. */
  readonly domain: string;
  readonly kind: HostKind;
  /** When it was new; wall-clock time, ms since 1970. */
  readonly grantedAt: number;
  /** When it was last asked for, or up to a day before; wall-clock time, ms since 1970. */
  readonly askedAt: number;
}

/** What a deploy would change. */
export interface DeployPreview {
  readonly change: "create" | "update" | "none";
  /** The name of the new revision; `undefined` if there would be none. */
  readonly revision?: string | undefined;
  /** The names of the template's fields in which the new revision differs from the latest. */
  readonly changed: readonly string[];
  /** The names of the service's settings that would change, such as `limits`. */
  readonly settings: readonly string[];
  /** Whether the image would be pulled. The rest of the preview assumes the image on this machine. */
  readonly pull: boolean;
  readonly traffic: { readonly before: Traffic; readonly after: Traffic };
  readonly domains: { readonly before: readonly string[]; readonly after: readonly string[] };
  /** How many revisions without traffic or tag are kept; missing if there is no service. */
  readonly revisionHistory: { readonly before?: number | undefined; readonly after?: number | undefined };
  /** The file that declares it, if one does. */
  readonly declaredBy: { readonly before?: string | undefined; readonly after?: string | undefined };
}
