import type { TemplateInput } from "../domain/template.ts";
import type { Traffic } from "../domain/traffic.ts";
import type { DeployWish } from "./deploy_plan.ts";
import { checkTagLength, InvalidError } from "./schema.ts";
import type { ServiceState } from "./service_state.ts";
import { DomainTakenError } from "./store.ts";

/** What this machine and its settings allow. */
export interface DeployRules {
  /** Why a variable cannot be given to a container, without its value; `undefined` where it can. */
  readonly checkEnv: (name: string, value: string) => string | undefined;
  /** Why a folder of the host cannot be a volume; `undefined` where it can. {@linkcode HostPaths} tells. */
  readonly checkHostPath: (path: string) => Promise<string | undefined>;
  /** Hostnames that lead to no service, whatever anybody declares; in small letters. */
  readonly reservedHostnames: readonly string[];
}

/** Checks what is wrong with a deploy whatever its image is: all of it before anything is pulled or tried. */
export class DeployChecks {
  readonly #rules: DeployRules;
  readonly #services: () => Iterable<ServiceState>;

  /** @param services Every service as it is. */
  constructor(rules: DeployRules, services: () => Iterable<ServiceState>) {
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

  /** Checks that no domain belongs to another service now. @throws {DomainTakenError} For the first that does. */
  checkDomains(name: string, domains: readonly string[] = []): void {
    for (const { service } of this.#services()) {
      if (service.name === name) continue;
      const taken = domains.find((domain) => service.domains.includes(domain));
      if (taken !== undefined) throw new DomainTakenError(taken, service.name);
    }
  }
}

/** Checks that all tags of a service's traffic can have an address. @throws {InvalidError} */
export function checkTags(name: string, targets: Traffic): void {
  targets.forEach(({ tag }, at) => {
    if (tag !== undefined) checkTagLength(name, tag, ["traffic", at, "tag"]);
  });
}
