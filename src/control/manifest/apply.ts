import { canonicalTemplate } from "../../model/template.ts";
import { messageOf, OperatorError, plainMessageOf } from "../../base/errors.ts";
import type { DeployPreview } from "../records.ts";
import type { Manifest } from "./manifest.ts";
import { type ParsedService, showTemplate } from "../schema/schema.ts";

/** Where a manifest is applied. */
export interface ApplyTarget {
  /** The services that there are, each with its domains and the file that declares it, if one does. */
  list(): Promise<readonly (DomainOwner & { readonly declaredBy?: string | undefined })[]>;
  /** What a deploy would change; rejects where it cannot be. Changes nothing. */
  preview(name: string, declared: ParsedService, declaredBy: string | undefined): Promise<DeployPreview>;
  deploy(
    name: string,
    declared: ParsedService,
    declaredBy: string | undefined,
  ): Promise<{ readonly change: DeployPreview["change"] }>;
  remove(name: string): Promise<void>;
}

/** How a manifest is applied. */
export interface ApplyOptions {
  /** Whether services go that the file has declared once and does not any more. */
  readonly prune?: boolean;
  /** Whether to find out only what would change. */
  readonly dryRun?: boolean;
  /** Called with the services that will be deleted, before anything changes; nothing changes if it rejects. */
  readonly beforePrune?: (names: readonly string[]) => Promise<void>;
  /** Called for each service as soon as it is done. */
  readonly onResult?: (result: ApplyResult) => void;
  /** Where it is aborted, what has not begun is left as it is. */
  readonly signal?: AbortSignal;
}

/** What has become of a service, or would in a dry run. */
export interface ApplyResult {
  readonly name: string;
  readonly change: DeployPreview["change"] | "delete";
  /** What was to change; missing for one that is deleted. */
  readonly preview?: DeployPreview;
  /** Why it has not changed after all. */
  readonly error?: unknown;
}

/** A service of a file cannot be as it is declared. The message is `FILE:LINE:COLUMN: services.NAME: why`, on one line. */
export class ApplyError extends OperatorError {}

/**
 * Makes the services what a manifest declares. First all of it is looked at, so that a manifest of which a part cannot be
 * changes nothing; then each service is deployed, and one that fails does not keep the others from it.
 *
 * @param file The absolute path that marks what it declares; `undefined` where it is from no file. Nothing is pruned then.
 * @returns What has become of each service, in the manifest's order, then of those that it no longer declares, and then of
 * those that get a domain from another.
 * @throws {ApplyError} Where a service cannot be as it is declared; nothing has changed.
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
  const there = await target.list();
  const surplus = prune && file !== undefined
    ? there.filter(({ name, declaredBy }) => declaredBy === file && !manifest.has(name)).map(({ name }) => name)
    : [];
  const moves = domainMoves(manifest, there, new Set(surplus));
  const previews = new Map<string, DeployPreview>();
  for (const [name, declared] of manifest) {
    signal?.throwIfAborted();
    const place = manifest.placeOf?.(name) ?? file ?? "the services";
    const preview = await previewOf(name, withoutDomains(declared, moves.get(name)), { file, place, target });
    previews.set(name, moves.has(name) ? withDomains(preview, declared) : preview);
  }
  if (surplus.length > 0 && !dryRun) await options.beforePrune?.(surplus);
  const deploy = async (name: string, declared: ParsedService) => {
    signal?.throwIfAborted();
    const preview = previews.get(name)!;
    if (dryRun) return { name, change: preview.change, preview };
    const { change, ...rest } = await attempt(name, preview.change, () => target.deploy(name, declared, file), preview);
    return { ...rest, change: moves.has(name) ? preview.change : change };
  };
  // Who gets a domain from another is brought up before that one gives it up, and gets it afterwards.
  const receivers = new Map<string, ApplyResult>();
  for (const [name, domains] of moves) {
    receivers.set(name, await deploy(name, withoutDomains(manifest.get(name)!, domains)));
  }
  const stuck = new Set(
    [...receivers].flatMap(([name, { error }]) => error === undefined ? [] : [...moves.get(name)!]),
  );
  for (const [name, declared] of manifest) {
    if (moves.has(name)) continue;
    const owned = there.find((service) => service.name === name)?.domains ?? [];
    note(await deploy(name, withMoreDomains(declared, owned.filter((domain) => stuck.has(domain)))));
  }
  // What has failed may be meant to take the place of what would go.
  const failed = [...results, ...receivers.values()].some(({ error }) => error !== undefined);
  for (const name of failed ? [] : surplus) {
    signal?.throwIfAborted();
    const remove = async () => (await target.remove(name), { change: "delete" as const });
    note(dryRun ? { name, change: "delete" } : await attempt(name, "delete", remove));
  }
  for (const [name, early] of receivers) {
    note(early.error === undefined ? await deploy(name, manifest.get(name)!) : early);
  }
  return results;
}

/** Reads the text of a file. @throws {ApplyError} Where that is not possible. */
export async function readManifest(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw new ApplyError(`cannot read ${path}: ${plainMessageOf(error)}`);
  }
}

/** What a service declares, as the body of `PUT /v1/services/{name}`. */
export function bodyOf({ template, service, traffic, targets, tag }: ParsedService): Record<string, unknown> {
  const split = targets ?? traffic;
  return {
    ...showTemplate(canonicalTemplate(template)),
    ...service,
    ...(split === undefined ? {} : { traffic: split }),
    ...(tag === undefined ? {} : { tag }),
  };
}

async function previewOf(
  name: string,
  declared: ParsedService,
  { file, place, target }: { file: string | undefined; place: string; target: ApplyTarget },
): Promise<DeployPreview> {
  try {
    return await target.preview(name, declared, file);
  } catch (error) {
    throw new ApplyError(`${place}: services.${name}: ${messageOf(error)}`, { cause: error });
  }
}

/** What a deploy would change, where the domains are what is declared. */
function withDomains(preview: DeployPreview, { service: { domains = [] } }: ParsedService): DeployPreview {
  const change = preview.change === "none" ? "update" : preview.change;
  return { ...preview, change, domains: { before: preview.domains.before, after: domains } };
}

async function attempt(
  name: string,
  planned: ApplyResult["change"],
  change: () => Promise<{ readonly change: ApplyResult["change"] }>,
  preview?: DeployPreview,
): Promise<ApplyResult> {
  const more = preview === undefined ? {} : { preview };
  try {
    return { name, change: (await change()).change, ...more };
  } catch (error) {
    return { name, change: planned, ...more, error };
  }
}

/** A service as far as its domains matter. */
export interface DomainOwner {
  readonly name: string;
  readonly domains?: readonly string[];
}

/**
 * The domains that services of a manifest get from others, by who gets them: those that another one has now, and gives up
 * by the same manifest.
 *
 * @param services As they are now.
 * @param going The names of those that are deleted.
 */
function domainMoves(
  manifest: Manifest,
  services: readonly DomainOwner[],
  going: ReadonlySet<string>,
): Map<string, ReadonlySet<string>> {
  const owners = new Map(services.flatMap(({ name, domains = [] }) => domains.map((domain) => [domain, name])));
  const moves = new Map<string, ReadonlySet<string>>();
  for (const [name, { service: { domains = [] } }] of manifest) {
    const moving = domains.filter((domain) => {
      const owner = owners.get(domain);
      if (owner === undefined || owner === name) return false;
      const kept = manifest.get(owner)?.service.domains;
      return going.has(owner) || (kept !== undefined && !kept.includes(domain));
    });
    if (moving.length > 0) moves.set(name, new Set(moving));
  }
  return moves;
}

/** A service without some of its domains. */
function withoutDomains(declared: ParsedService, without: ReadonlySet<string> = new Set()): ParsedService {
  const { service } = declared;
  if (service.domains === undefined || without.size === 0) return declared;
  return { ...declared, service: { ...service, domains: service.domains.filter((domain) => !without.has(domain)) } };
}

/** A service with more domains than it declares. */
function withMoreDomains(declared: ParsedService, more: readonly string[]): ParsedService {
  const { service } = declared;
  if (service.domains === undefined || more.length === 0) return declared;
  return { ...declared, service: { ...service, domains: [...service.domains, ...more] } };
}
