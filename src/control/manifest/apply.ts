import { messageOf, OperatorError, plainMessageOf } from "../../base/errors.ts";
import { defined } from "../../model/defined.ts";
import { canonicalTemplate } from "../../model/template.ts";
import type { DeployPreview, ServiceRecord } from "../records.ts";
import { InvalidError, showPath } from "../schema/invalid.ts";
import { type ParsedService, showServiceFields, showTemplate } from "../schema/schema.ts";
import type { Manifest } from "./manifest.ts";

/** What applying a manifest needs to know of an existing service. */
export type ExistingService = Pick<ServiceRecord, "name"> & Partial<Pick<ServiceRecord, "domains" | "declaredBy">>;

/** What a manifest is applied to. */
export interface ApplyTarget {
  list(): Promise<readonly ExistingService[]>;
  /** What a deploy would change; changes nothing. Rejects if the deploy would be refused. */
  preview(name: string, declared: ParsedService, declaredBy: string | undefined): Promise<DeployPreview>;
  deploy(
    name: string,
    declared: ParsedService,
    declaredBy: string | undefined,
  ): Promise<{ readonly change: DeployPreview["change"] }>;
  remove(name: string): Promise<void>;
}

/** Options of {@linkcode applyManifest}. */
export interface ApplyOptions {
  /** Whether to delete services that the file declared before and no longer declares. */
  readonly prune?: boolean;
  /** Whether to report only what would change. */
  readonly dryRun?: boolean;
  /** Called with the services to delete, before anything changes. If it rejects, nothing changes. */
  readonly beforePrune?: (names: readonly string[]) => Promise<void>;
  /** Called for each service as soon as it is done. */
  readonly onResult?: (result: ApplyResult) => void;
  /** Once it is aborted, no further change begins. */
  readonly signal?: AbortSignal;
}

/** What changed in a service, or would change in a dry run. */
export interface ApplyResult {
  readonly name: string;
  readonly change: DeployPreview["change"] | "delete";
  /** The planned change; missing for a deleted service. */
  readonly preview?: DeployPreview;
  readonly error?: unknown;
}

/**
 * A manifest cannot be applied: its file cannot be read, or a service's declaration is refused. In the latter case, each
 * line is `PLACE: services.NAME: why`; the place is `FILE:LINE:COLUMN` if that is known.
 */
export class ApplyError extends OperatorError {}

/**
 * Makes the services match a manifest. It previews all of them first: if one is refused, nothing changes. Then it
 * deploys each service; a failure does not stop the others.
 *
 * A service that takes over a domain is deployed twice: first without the domain, and again with it once the other
 * service has given it up. So the domain always leads to a working service.
 *
 * @param file The absolute path that is recorded in the services; `undefined` if the manifest is not from a file. Then
 * nothing is pruned.
 * @returns The results in the manifest's order, then those of deleted services, then those of services that take over a
 * domain.
 * @throws {ApplyError} If a service is refused; nothing has changed.
 */
export async function applyManifest(
  manifest: Manifest,
  file: string | undefined,
  target: ApplyTarget,
  options: ApplyOptions = {},
): Promise<ApplyResult[]> {
  const { prune = false, dryRun = false, signal } = options;
  const results: ApplyResult[] = [];
  const note = (result: ApplyResult) => {
    results.push(result);
    options.onResult?.(result);
  };
  const existing = await target.list();
  const surplus = prune && file !== undefined
    ? existing.filter(({ name, declaredBy }) => declaredBy === file && !manifest.has(name)).map(({ name }) => name)
    : [];
  const moves = domainMoves(manifest, existing, new Set(surplus));
  const withoutMoving = (name: string) =>
    withDomains(manifest.get(name)!, (domains) => domains.filter((domain) => !moves.get(name)?.has(domain)));

  const previews = new Map<string, DeployPreview>();
  for (const [name, declared] of manifest) {
    signal?.throwIfAborted();
    const place = manifest.placeOf?.(name) ?? file ?? "the services";
    const preview = await target.preview(name, withoutMoving(name), file).catch((error) => {
      const lines = reasonsOf(error).map((reason) => `${place}: services.${name}: ${reason}`);
      throw new ApplyError(lines, { cause: error });
    });
    previews.set(name, moves.has(name) ? previewWithDomains(preview, declared) : preview);
  }
  if (surplus.length > 0 && !dryRun) await options.beforePrune?.(surplus);

  const attempt = async (planned: ApplyResult, change: () => Promise<ApplyResult["change"]>): Promise<ApplyResult> => {
    signal?.throwIfAborted();
    if (dryRun) return planned;
    try {
      return { ...planned, change: await change() };
    } catch (error) {
      return { ...planned, error };
    }
  };
  const deploy = (name: string, declared: ParsedService) => {
    const preview = previews.get(name)!;
    return attempt({ name, change: preview.change, preview }, async () => {
      const { change } = await target.deploy(name, declared, file);
      return moves.has(name) ? preview.change : change; // the preview covers both deploys
    });
  };
  const receivers = new Map<string, ApplyResult>();
  for (const name of moves.keys()) receivers.set(name, await deploy(name, withoutMoving(name)));
  // If a domain's new owner has failed, the domain stays where it is.
  const stuck = [...receivers].flatMap(([name, { error }]) => error === undefined ? [] : [...moves.get(name)!]);
  for (const [name, declared] of manifest) {
    if (moves.has(name)) continue;
    const owned = existing.find((service) => service.name === name)?.domains ?? [];
    const staying = owned.filter((domain) => stuck.includes(domain));
    note(await deploy(name, withDomains(declared, (domains) => [...domains, ...staying])));
  }
  // If a service failed, nothing is deleted: it may be the replacement for a service that would be deleted.
  const failed = [...results, ...receivers.values()].some(({ error }) => error !== undefined);
  for (const name of failed ? [] : surplus) {
    note(await attempt({ name, change: "delete" }, async () => (await target.remove(name), "delete")));
  }
  for (const [name, early] of receivers) {
    note(early.error === undefined ? await deploy(name, manifest.get(name)!) : early);
  }
  return results;
}

/** Why a service is refused, line by line. */
function reasonsOf(error: unknown): readonly string[] {
  if (error instanceof InvalidError) return error.faults.map(({ path, reason }) => `${showPath(path)}: ${reason}`);
  return error instanceof OperatorError ? error.lines : [messageOf(error)];
}

/** Reads the text of a file. @throws {ApplyError} If that fails. */
export async function readManifest(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw new ApplyError([`cannot read ${path}: ${plainMessageOf(error)}`]);
  }
}

/** Writes a service's declaration as the body of `PUT /v1/services/{name}`. */
export function bodyOf({ template, service, traffic, targets, tag }: ParsedService): Record<string, unknown> {
  return {
    ...showTemplate(canonicalTemplate(template)),
    ...showServiceFields(service),
    ...defined({ traffic: targets ?? traffic, tag }),
  };
}

/**
 * For each service of a manifest, the domains that it takes over: another service has them now, and the manifest
 * removes them there.
 *
 * @param deleted The names of the services that are deleted.
 */
function domainMoves(
  manifest: Manifest,
  existing: readonly ExistingService[],
  deleted: ReadonlySet<string>,
): Map<string, ReadonlySet<string>> {
  const owners = new Map(existing.flatMap(({ name, domains = [] }) => domains.map((domain) => [domain, name])));
  const moves = new Map<string, ReadonlySet<string>>();
  for (const [name, { service: { domains = [] } }] of manifest) {
    const moving = domains.filter((domain) => {
      const owner = owners.get(domain);
      if (owner === undefined || owner === name) return false;
      const kept = manifest.get(owner)?.service.domains;
      return deleted.has(owner) || (kept !== undefined && !kept.includes(domain));
    });
    if (moving.length > 0) moves.set(name, new Set(moving));
  }
  return moves;
}

/** A declaration with changed domains. Returns it unchanged if it declares none. */
function withDomains(declared: ParsedService, change: (domains: readonly string[]) => string[]): ParsedService {
  const { service } = declared;
  if (service.domains === undefined) return declared;
  return { ...declared, service: { ...service, domains: change(service.domains) } };
}

/** Adds the moving domains to a preview that was made without them. */
function previewWithDomains(preview: DeployPreview, { service: { domains = [] } }: ParsedService): DeployPreview {
  const change = preview.change === "none" ? "update" : preview.change;
  return { ...preview, change, domains: { before: preview.domains.before, after: domains } };
}
