import type {
  DeployRecord,
  HistoryEntry,
  RevisionRecord,
  SecretRecord,
  ServiceRecord,
  TokenRecord,
} from "../../../control/records.ts";
import { parseTemplateText, templateText } from "../../../model/template.ts";
import { LABEL } from "../../container_spec.ts";
import type { SwarmConfig } from "../swarm_api.ts";

// What each shared record looks like as a config of a Swarm. A config's data never changes, and its labels do.

/** What a config of the store has. */
export type Kind = "service" | "revision" | "secret" | "token" | "domain" | "store" | "closed";

/** The labels of the store's configs. */
export const STATE_LABEL = {
  owner: LABEL.owner,
  kind: "cless.kind",
  /** The kind with the owner, since configs can be listed by one label only. */
  list: "cless.list",
  /** The name of what it has, which the config's name may have only in part. */
  name: "cless.name",
  /** The record as JSON; empty for a service that was deleted. */
  record: "cless.record",
  /** The names of a service's revisions, oldest first. */
  revisions: "cless.revisions",
  /** The newest entries of a service's history, as JSON, newest first. */
  history: "cless.history",
  /** The newest deploys of a service, as JSON, newest first. */
  deploys: "cless.deploys",
  /** The highest number that was reserved for a revision of a service. */
  reserved: "cless.reserved",
  /** The service that has a domain. */
  service: "cless.service",
  /** When a domain was taken, ms since 1970. */
  at: "cless.at",
  version: "cless.version",
  created: "cless.created",
  /** Set if a secret was deleted: this version and earlier ones have no value. */
  deleted: "cless.deleted",
} as const;

/** The labels of a config. */
export type Labels = Readonly<Record<string, string>>;

/** The longest name of a config. */
const MAX_NAME = 64;
/** So many characters of a hash make a name that is too long unique. */
const HASH_LENGTH = 20;
/** Of a service's history, the newest entries are kept that fit in so many characters of JSON. */
const MAX_HISTORY = 32_000;
/** Of a service's deploys, the newest ones are kept that fit in so many characters of JSON. */
const MAX_DEPLOYS = 24_000;
/** Of the output of a deploy, so many of the last characters are kept. */
const MAX_OUTPUT = 2000;
/**
 * The labels of a config have at most so many bytes. What a Swarm's managers say to each other has at most 1.5 MiB; with
 * labels of 1,500 KiB a config was accepted, and with 2,000 KiB it was not.
 */
const MAX_LABEL_BYTES = 1_000_000;
/** The data of a config has fewer bytes than this. */
const MAX_DATA_BYTES = 1_000_000;

/** What the Swarm has of a service. */
export interface SharedService {
  /** `undefined` if it was deleted, or has never worked. */
  readonly service: ServiceRecord | undefined;
  /** Oldest first. */
  readonly revisions: readonly string[];
  /** Newest first. */
  readonly history: readonly HistoryEntry[];
  /** Newest first. */
  readonly deploys: readonly DeployRecord[];
  /** The highest number that was reserved for a revision; 0 if none was. */
  readonly reserved: number;
}

/** A service of which the Swarm has nothing yet. */
export const NOTHING: SharedService = { service: undefined, revisions: [], history: [], deploys: [], reserved: 0 };

/** A version of a secret in the Swarm; without `sealed`, the secret was deleted as that version. */
export type SharedSecret = Omit<SecretRecord, "sealed"> & { readonly sealed: Uint8Array | undefined };

/**
 * The name of a config. Names of configs have few characters, do not end in a dot or a dash, and are the same in upper
 * and lower case: a name that does not fit is made shorter, and made unique by a hash.
 */
export async function configName(owner: string, kind: Kind, name: string): Promise<string> {
  const full = `${prefixOf(owner)}${kind}-${name}`;
  if (full.length <= MAX_NAME && /^[a-z0-9._-]*[a-z0-9]$/.test(name)) return full;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(name));
  const hash = new Uint8Array(digest).toHex().slice(0, HASH_LENGTH);
  const readable = full.toLowerCase().replaceAll(/[^a-z0-9._-]/g, "_");
  return `${readable.slice(0, MAX_NAME - HASH_LENGTH - 1)}-${hash}`;
}

/** What the names of all of an owner's configs begin with. */
function prefixOf(owner: string): string {
  return `cless-${owner}-`;
}

/** The kind of an owner's config by its name; `undefined` if it is none of the store's. */
export function kindOfName(owner: string, configName: string): Kind | undefined {
  const prefix = prefixOf(owner);
  if (!configName.startsWith(prefix)) return undefined;
  const [kind] = configName.slice(prefix.length).split("-", 1);
  return (["service", "revision", "secret", "token", "domain", "store"] as const).find((known) => known === kind);
}

/** The label by which all configs of an owner and a kind are listed, as `key=value`. */
export function listLabel(owner: string, kind: Kind): string {
  return `${STATE_LABEL.list}=${owner} ${kind}`;
}

/** The labels that every config of the store has. */
export function labelsOf(owner: string, kind: Kind, name: string, others: Labels = {}): Labels {
  const { kind: kindLabel, list, name: nameLabel, owner: ownerLabel } = STATE_LABEL;
  return { [ownerLabel]: owner, [kindLabel]: kind, [list]: `${owner} ${kind}`, [nameLabel]: name, ...others };
}

/** The kind of a config; `undefined` if it is none of the store's. */
export function kindOfConfig({ labels }: Pick<SwarmConfig, "labels">): Kind | undefined {
  return labels[STATE_LABEL.kind] as Kind | undefined;
}

/** The name of what a config has. */
export function nameOf({ labels }: Pick<SwarmConfig, "labels">): string {
  return labels[STATE_LABEL.name] ?? "";
}

/** The labels of a service's config. Of its history and its deploys they have what fits, but always the newest. */
export function serviceLabels(owner: string, name: string, shared: SharedService): Labels {
  const { deploys, history, reserved, revisions, service } = shared;
  return labelsOf(owner, "service", name, {
    [STATE_LABEL.record]: service === undefined ? "" : JSON.stringify(service),
    [STATE_LABEL.revisions]: JSON.stringify(revisions),
    [STATE_LABEL.history]: listText(history, MAX_HISTORY),
    [STATE_LABEL.deploys]: listText(deploys.map(shortened), MAX_DEPLOYS),
    [STATE_LABEL.reserved]: String(reserved),
  });
}

/** What a service's config has. */
export function sharedServiceOf({ labels }: Pick<SwarmConfig, "labels">): SharedService {
  const list = (label: string) => JSON.parse(labels[label] || "[]");
  const record = labels[STATE_LABEL.record];
  return {
    service: record ? serviceOf(JSON.parse(record)) : undefined,
    revisions: list(STATE_LABEL.revisions),
    history: list(STATE_LABEL.history).map(entryOf),
    deploys: list(STATE_LABEL.deploys).map(deployOf),
    reserved: Number(labels[STATE_LABEL.reserved] ?? 0),
  };
}

/** Whether nothing is left of a service that anybody would miss. */
export function isEmpty({ deploys, history, service }: SharedService): boolean {
  return service === undefined && history.length === 0 && deploys.length === 0;
}

/** The data of a revision's config. */
export function revisionData(revision: RevisionRecord): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ ...revision, template: templateText(revision.template) }));
}

/** The revision that a config has. */
export function revisionOf({ data }: Pick<SwarmConfig, "data">): RevisionRecord {
  const { imageDigest, template, ...raw } = JSON.parse(new TextDecoder().decode(data));
  return { ...raw, imageDigest, template: parseTemplateText(template) };
}

/** The labels of a version of a secret. */
export function secretLabels(owner: string, { createdAt, name, sealed, version }: SharedSecret): Labels {
  return labelsOf(owner, "secret", name, {
    [STATE_LABEL.version]: String(version),
    [STATE_LABEL.created]: String(createdAt),
    ...(sealed === undefined ? { [STATE_LABEL.deleted]: "yes" } : {}),
    // A config needs data, and a sealed value is never empty.
  });
}

/** The version of a secret that a config has. */
export function sharedSecretOf({ data, labels }: Pick<SwarmConfig, "data" | "labels">): SharedSecret {
  return {
    name: nameOf({ labels }),
    version: Number(labels[STATE_LABEL.version]),
    createdAt: Number(labels[STATE_LABEL.created]),
    sealed: labels[STATE_LABEL.deleted] === undefined ? data : undefined,
  };
}

/** Whether two states of a service are the same: every change makes another generation, at another time. */
export function isSame(a: ServiceRecord | undefined, b: ServiceRecord | undefined): boolean {
  return a?.generation === b?.generation && a?.createdAt === b?.createdAt && a?.updatedAt === b?.updatedAt;
}

/** Whether a secret was deleted after it got a version, so that this one has no value any more. */
export function isSuperseded(
  { name, version }: Pick<SharedSecret, "name" | "version">,
  all: readonly SharedSecret[],
): boolean {
  return all.some((other) => other.name === name && other.sealed === undefined && other.version > version);
}

/** The labels of a token. */
export function tokenLabels(owner: string, { hash, ...token }: TokenRecord): Labels {
  return labelsOf(owner, "token", token.name, {
    [STATE_LABEL.record]: JSON.stringify({ ...token, hash: hash.toBase64() }),
  });
}

/** The token that a config has. */
export function tokenOf({ labels }: Pick<SwarmConfig, "labels">): TokenRecord {
  const { createdAt, expiresAt, hash, name, scope } = JSON.parse(labels[STATE_LABEL.record]!);
  return { name, scope, hash: Uint8Array.fromBase64(hash), expiresAt, createdAt };
}

/** What of a config does not fit into a Swarm, in words; `undefined` if all does. */
export function tooLarge(labels: Labels, data: Uint8Array): string | undefined {
  if (data.length >= MAX_DATA_BYTES) return `has ${data.length} bytes, and fewer than ${MAX_DATA_BYTES} are possible`;
  const bytes = Object.entries(labels).reduce((sum, [key, value]) => sum + byteLength(key) + byteLength(value), 0);
  return bytes > MAX_LABEL_BYTES ? `has ${bytes} bytes, and at most ${MAX_LABEL_BYTES} are possible` : undefined;
}

/** Those that fit, as JSON; the first one in any case. */
function listText(newestFirst: readonly unknown[], maxLength: number): string {
  const texts: string[] = [];
  let length = 2;
  for (const one of newestFirst) {
    const text = JSON.stringify(one);
    length += text.length + 1;
    if (length > maxLength && texts.length > 0) break;
    texts.push(text);
  }
  return `[${texts.join()}]`;
}

/** A deploy with the end of its output. */
function shortened(deploy: DeployRecord): DeployRecord {
  const output: string[] = [];
  let left = MAX_OUTPUT;
  for (const line of deploy.output.toReversed()) {
    left -= line.length + 1;
    if (left < 0) break;
    output.unshift(line);
  }
  return { ...deploy, output };
}

// JSON leaves out what is `undefined`; these have every field, as the records of another store.

function serviceOf(raw: ServiceRecord): ServiceRecord {
  return { ...raw, declaredBy: raw.declaredBy };
}

function entryOf(raw: HistoryEntry): HistoryEntry {
  return { ...raw, before: raw.before, after: raw.after };
}

function deployOf(raw: DeployRecord): DeployRecord {
  return { ...raw, revision: raw.revision, reason: raw.reason };
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
