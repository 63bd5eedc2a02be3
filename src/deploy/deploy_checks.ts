import type { TemplateInput } from "../model/template.ts";
import type { Traffic } from "../model/traffic.ts";
import type { DeployWish } from "./deploy_plan.ts";
import type { ServiceStates } from "../control/service_states.ts";
import { checkTagLength, InvalidError } from "../control/schema/invalid.ts";
import { DomainTakenError } from "../control/store.ts";

/** What this machine and its settings allow. */
export interface DeployRules {
  /** Why a variable cannot be given to a container, without its value; `undefined` where it can. */
  readonly checkEnv: (name: string, value: string) => string | undefined;
  /** Why a folder of the host cannot be a volume; `undefined` where it can. {@linkcode HostPaths} tells. */
  readonly checkHostPath: (path: string) => Promise<string | undefined>;
  /** Hostnames that lead to no service, whatever anybody declares; in small letters. */
  readonly reservedHostnames: readonly string[];
  /** Below these, each service has an address of its own, `NAME.DOMAIN`; in small letters. */
  readonly baseDomains: readonly string[];
}

/** Checks what is wrong with a deploy whatever its image is: all of it before anything is pulled or tried. */
export class DeployChecks {
  readonly #rules: DeployRules;
  readonly #services: Pick<ServiceStates, "has" | "ownerOf">;

  /** @param services The services as they are. */
  constructor(rules: DeployRules, services: Pick<ServiceStates, "has" | "ownerOf">) {
    this.#rules = rules;
    this.#services = services;
  }

  /** Checks what is asked for by itself. @throws {InvalidError} */
  async check(
    name: string,
    { template, service, tag, targets }: DeployWish & { readonly template: TemplateInput },
  ): Promise<void> {
    for (const [variable, value] of Object.entries(template.env ?? {})) {
      const problem = this.#rules.checkEnv(variable, value);
      if (problem !== undefined) throw new InvalidError(["env", variable], problem);
    }
    service.domains?.forEach((domain, at) => {
      if (!this.#rules.reservedHostnames.includes(domain)) return;
      throw new InvalidError(["domains", at], `${domain} leads to cless itself; take another one`);
    });
    if (tag !== undefined) checkTagLength(name, tag, ["tag"]);
    if (targets !== undefined) checkTags(name, targets);
    for (const [at, { source }] of (template.volumes ?? []).entries()) {
      const problem = source.startsWith("/") ? await this.#rules.checkHostPath(source) : undefined;
      if (problem !== undefined) throw new InvalidError(["volumes", at, "source"], problem);
    }
  }

  /**
   * Checks that nothing that is to lead to a service leads to another one now: none of its domains, and, for a service
   * that is new, none of its own addresses.
   *
   * @throws {DomainTakenError} For the first that does.
   */
  checkDomains(name: string, domains: readonly string[] = []): void {
    const isNew = !this.#services.has(name);
    const wanted = [...domains, ...isNew ? this.#rules.baseDomains.map((base) => `${name}.${base}`) : []];
    for (const hostname of domains) {
      const owner = this.#serviceAt(hostname);
      if (owner !== undefined && owner !== name) throw new DomainTakenError(hostname, owner);
    }
    for (const hostname of wanted) {
      const owner = this.#services.ownerOf(hostname);
      if (owner !== undefined && owner !== name) throw new DomainTakenError(hostname, owner);
    }
  }

  /** The service that is there and has a hostname as its own address, or as that of a tag. */
  #serviceAt(hostname: string): string | undefined {
    const base = this.#rules.baseDomains.find((base) => hostname.endsWith(`.${base}`));
    const label = base === undefined ? "" : hostname.slice(0, -base.length - 1);
    const name = label.replace(/^[^.]*--/, "");
    return this.#services.has(name) ? name : undefined;
  }
}

/** Checks that all tags of a service's traffic can have an address. @throws {InvalidError} */
export function checkTags(name: string, targets: Traffic): void {
  targets.forEach(({ tag }, at) => {
    if (tag !== undefined) checkTagLength(name, tag, ["traffic", at, "tag"]);
  });
}
