import { isUndemanding, type RevisionTemplate } from "../model/template.ts";
import type { Traffic } from "../model/traffic.ts";
import type { Loading, WakeSettings } from "../model/waking.ts";

/** A service as it is kept. */
export interface ServiceRecord {
  readonly name: string;
  /** Whole hostnames that lead to it besides its own, in small letters; no other service has them. */
  readonly domains: readonly string[];
  /** How many revisions without traffic or tag are kept. */
  readonly revisionHistory: number;
  /** Who wakes it. */
  readonly wake: WakeSettings;
  readonly loading: Loading;
  readonly traffic: Traffic;
  /** The split before the last change of traffic, by names; empty where there was none. */
  readonly previousTraffic: Traffic;
  /** The revision that was deployed last. */
  readonly latestRevision: string;
  /** Goes up with every revision, and never down. */
  readonly lastNumber: number;
  /** Goes up with every change. */
  readonly generation: number;
  /** The file that declared it; `undefined` where a person made it. */
  readonly declaredBy: string | undefined;
  /** Wall-clock times, ms since 1970. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** What holds for a service whatever its revisions are. */
export type ServiceFields = Pick<ServiceRecord, "domains" | "revisionHistory" | "wake" | "loading">;

/** A revision as it is kept; it never changes. */
export interface RevisionRecord {
  /** Such as `golang-00002`; unique among all. */
  readonly name: string;
  readonly service: string;
  readonly template: RevisionTemplate;
  /** The image's content, `sha256:…`. */
  readonly imageId: string;
  /** By which the image can be pulled again, `name@sha256:…`; `undefined` for one that is only local. */
  readonly imageDigest: string | undefined;
  /** Whether cless has pulled the image for it. */
  readonly pulled: boolean;
  /** Which value of each secret of the template it has, by the secret's name. */
  readonly secretVersions: Readonly<Record<string, number>>;
  /** Wall-clock time, ms since 1970. */
  readonly createdAt: number;
}

/** What has to be known of every revision at any time. */
export interface RevisionMark extends Pick<RevisionRecord, "name" | "imageId" | "pulled"> {
  /** See {@linkcode isUndemanding}. */
  readonly undemanding: boolean;
}

/** That of a revision. */
export function markOf({ imageId, name, pulled, template }: RevisionRecord): RevisionMark {
  return { name, imageId, pulled, undemanding: isUndemanding(template) };
}

/** A line of the audit log. */
export interface HistoryEntry {
  /** Wall-clock time, ms since 1970. */
  readonly at: number;
  readonly service: string;
  /** Such as `deploy`, `traffic`, `rollback`, `delete`. */
  readonly action: string;
  /** The name of the token that did it. */
  readonly by: string;
  /**
   * What was before and after, as JSON values; `undefined` where there was nothing. Whoever makes the entry leaves out
   * the values of environment variables: history is kept longer than they are, and shown to more people.
   */
  readonly before: unknown;
  readonly after: unknown;
}

/** One change of one service; all of it is kept, or nothing. */
export interface ServiceChange {
  /** As it is after the change. */
  readonly service: ServiceRecord;
  /** What its generation was before the change; `undefined` for a new service. */
  readonly expectedGeneration: number | undefined;
  readonly addRevision?: RevisionRecord;
  /** Names of revisions that go. */
  readonly removeRevisions?: readonly string[];
  readonly history: HistoryEntry;
}

/** A value of a secret, without the value: what anybody may know of it. */
export interface SecretVersion {
  readonly name: string;
  /** Goes up with every new value. */
  readonly version: number;
  /** When it was set; wall-clock time, ms since 1970. */
  readonly createdAt: number;
}

/** A value of a secret, encrypted. */
export interface SecretRecord extends SecretVersion {
  readonly sealed: Uint8Array;
}

/** What a token allows. */
export type Scope = "read" | "deploy" | "admin";

/** A further token of the admin API. */
export interface TokenRecord {
  readonly name: string;
  readonly scope: Scope;
  /** SHA-256 of the token. */
  readonly hash: Uint8Array;
  /** Wall-clock times, ms since 1970; `undefined` for no end. */
  readonly expiresAt: number | undefined;
  readonly createdAt: number;
}

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
