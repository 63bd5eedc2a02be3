import type { SignInAddresses } from "../access/oidc/addresses.ts";
import type { ServiceRecord } from "../control/records.ts";
import { checkTagLength, type Fault, type FieldPath, InvalidError, refuseFaults } from "../control/schema/invalid.ts";
import { type Secrets, UnknownSecretError } from "../control/secrets/secrets.ts";
import type { DeclaredServices } from "../control/declared_services.ts";
import { DomainTakenError } from "../control/store.ts";
import type { TemplateInput } from "../model/template.ts";
import type { Traffic } from "../model/traffic.ts";
import type { DeployWish } from "./deploy_plan.ts";

/** The rules of this machine and its settings. */
export interface DeployRules {
  /** Why a container cannot get a variable; `undefined` if it can. The text does not contain the value. */
  readonly checkEnv: (name: string, value: string) => string | undefined;
  /** Says why a host folder may not be used: see {@linkcode HostPaths}. */
  readonly hostPaths: { problem(path: string): Promise<string | undefined> };
  /** Hostnames that never lead to a service; lower case. */
  readonly reservedHostnames: readonly string[];
  /** The domains in which each service has the address `NAME.DOMAIN`; lower case. */
  readonly baseDomains: readonly string[];
  readonly signInAddresses: Pick<SignInAddresses, "problemOf">;
}

/** Checks everything in a deploy that does not depend on the image. @throws {InvalidError} */
export async function checkDeploy(
  rules: DeployRules,
  name: string,
  { template, service, tag, targets }: DeployWish & { readonly template: TemplateInput },
): Promise<void> {
  const faults: Fault[] = [];
  const note = (path: FieldPath, reason: string | undefined) => {
    if (reason !== undefined) faults.push({ path, reason, ofName: false });
  };
  for (const [variable, value] of Object.entries(template.env ?? {})) {
    note(["env", variable], rules.checkEnv(variable, value));
  }
  service.domains?.forEach((domain, at) => {
    const isReserved = rules.reservedHostnames.includes(domain);
    note(["domains", at], isReserved ? `${domain} leads to cless itself; take another one` : undefined);
  });
  for (const [at, { source }] of (template.volumes ?? []).entries()) {
    note(["volumes", at, "source"], source.startsWith("/") ? await rules.hostPaths.problem(source) : undefined);
  }
  refuseFaults(faults);
  if (tag !== undefined) checkTagLength(name, tag, ["tag"]);
  if (targets !== undefined) checkTags(name, targets);
}

/** Checks that all tags of a service's traffic fit into an address. @throws {InvalidError} */
export function checkTags(name: string, targets: Traffic): void {
  targets.forEach(({ tag }, at) => {
    if (tag !== undefined) checkTagLength(name, tag, ["traffic", at, "tag"]);
  });
}

/**
 * Checks that no address of a service belongs to another one. Its addresses are its domains and, if it is new, its own
 * hostnames.
 *
 * @throws {DomainTakenError} For the first such address.
 */
export function checkDomains(
  { baseDomains }: DeployRules,
  declared: Pick<DeclaredServices, "has" | "ownerOf">,
  name: string,
  domains: readonly string[] = [],
): void {
  for (const hostname of domains) {
    const base = baseDomains.find((base) => hostname.endsWith(`.${base}`));
    const label = base === undefined ? "" : hostname.slice(0, -base.length - 1);
    const owner = label.replace(/^[^.]*--/, ""); // `TAG--NAME` belongs to NAME too
    if (owner !== name && declared.has(owner)) throw new DomainTakenError(hostname, owner);
  }
  const own = declared.has(name) ? [] : baseDomains.map((base) => `${name}.${base}`);
  for (const hostname of [...domains, ...own]) {
    const owner = declared.ownerOf(hostname);
    if (owner !== undefined && owner !== name) throw new DomainTakenError(hostname, owner);
  }
}

/**
 * Checks that people can sign in to a service, if it asks for that: its addresses have HTTPS, and the provider's secret
 * exists.
 *
 * @param before The service as it is; `undefined` for a new one.
 * @throws {InvalidError}
 */
export function checkSignIn(
  { signInAddresses }: DeployRules,
  secrets: Pick<Secrets, "currentVersions">,
  name: string,
  { access, domains }: DeployWish["service"],
  before: Pick<ServiceRecord, "access" | "domains"> | undefined,
): void {
  if (access === undefined && domains === undefined) return;
  const { oidc } = access ?? before?.access ?? {};
  if (oidc === undefined) return;
  const problem = signInAddresses.problemOf(name, domains ?? before?.domains ?? []);
  if (problem !== undefined) throw new InvalidError(["access", "oidc"], problem);
  const secret = oidc.clientSecret?.replace(/^secret:/, "");
  try {
    if (secret !== undefined) secrets.currentVersions([secret]);
  } catch (error) {
    if (!(error instanceof UnknownSecretError)) throw error;
    const reason = `there is no secret ${secret}; set it with \`cless secret set ${secret}\``;
    throw new InvalidError(["access", "oidc", "clientSecret"], reason);
  }
}
