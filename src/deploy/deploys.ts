import { canonicalTemplate, isUndemanding, type TemplateInput } from "../model/template.ts";
import { ContentFinder, type ImageResolver } from "./content_finder.ts";
import { DeployChecks, type DeployRules } from "./deploy_checks.ts";
import { Conflict } from "../control/deploy_error.ts";
import { type Content, type DeployPlan, type DeployWish, planDeploy, previewOf } from "./deploy_plan.ts";
import type { DeployPreview, RevisionRecord, ServiceRecord } from "../control/records.ts";
import type { Emit } from "../control/events.ts";
import { checkGeneration, type Ledger } from "./ledger.ts";
import type { Publisher } from "./publisher.ts";
import type { PulledImages } from "./pulled_images.ts";
import type { RevisionSecrets } from "../control/runtime_revision.ts";
import { lastNumbers } from "../control/service_states.ts";
import type { Store } from "../control/store.ts";
import type { Trial } from "./trial.ts";
import type { HandoverOptions } from "./volumes.ts";

/** How far back in history numbers are looked for that a service of the same name has used up. */
const HISTORY_ENTRIES = 100;
/** Of how many services it is known which numbers were tried in vain: their containers have long gone by then. */
const MOST_TRIED = 1000;

/** What {@linkcode Deploys} work with. */
export interface DeployParts {
  readonly store: Pick<Store, "history">;
  readonly publisher: Publisher;
  readonly ledger: Ledger;
  /** Starts revisions before they are kept. */
  readonly trial: Trial;
  readonly images: ImageResolver;
  readonly pulled: PulledImages;
  readonly secrets: Pick<RevisionSecrets, "currentVersions">;
  readonly rules: DeployRules;
  readonly emit: Emit;
  /** Wall-clock time, ms since 1970. */
  readonly now: () => number;
}

/** What is deployed; {@linkcode ParsedService} is such. */
export interface DeployInput extends DeployWish {
  readonly template: TemplateInput;
}

/** Who changes something, and which generation it must be at, if any. */
export interface ChangeOptions {
  /** The name of the token. */
  readonly by: string;
  /** The generation that the service must have. */
  readonly ifMatch?: number;
}

/** Options of {@linkcode Deployer.plan}. */
export interface PlanOptions extends ChangeOptions {
  /** The file that declares the service. */
  readonly declaredBy?: string;
}

/** Options of {@linkcode Deployer.deploy}. */
export interface DeployOptions extends PlanOptions {
  /** Whether a new revision must be ready first; where not, its first request finds out. */
  readonly wait: boolean;
  /** Gives up what is not done yet; the call rejects with the signal's reason, and nothing has changed. */
  readonly signal?: AbortSignal;
}

/** What a deploy came to. */
export interface Deployed {
  readonly service: ServiceRecord;
  /** The latest. */
  readonly revision: RevisionRecord;
  /** Whether the revision is a new one. */
  readonly created: boolean;
  /** Whether the service is a new one too. */
  readonly isNew: boolean;
}

/** A deploy on its way. */
interface Deploy {
  readonly name: string;
  readonly input: DeployInput;
  readonly options: PlanOptions & Partial<Pick<DeployOptions, "wait">>;
  /** The service when it began. */
  readonly begun: ServiceRecord | undefined;
  readonly content: Content;
  /** The number that a new revision gets. */
  readonly number: number;
}

/** Brings new revisions of services to their requests, each once it is known to work. */
export class Deploys {
  readonly #parts: DeployParts;
  readonly #ledger: Ledger;
  readonly #contents: ContentFinder;
  readonly #checks: DeployChecks;
  /** The highest number that was tried for a service and came to nothing, by name; the one tried last comes last. */
  readonly #tried = new Map<string, number>();

  constructor(parts: DeployParts) {
    this.#parts = parts;
    this.#ledger = parts.ledger;
    this.#contents = new ContentFinder(parts);
    this.#checks = new DeployChecks(parts.rules, parts.ledger.states);
  }

  /** What a deploy would come to; changes and pulls nothing. @throws As {@linkcode run} does. */
  async plan(name: string, input: DeployInput, options: PlanOptions): Promise<DeployPreview> {
    const begun = await this.#begin(name, input, options);
    const { content, pull } = await this.#contents.foresee(canonicalTemplate(input.template));
    const plan = this.#plan({ name, input, options, begun, content, number: this.#nextNumber(name) });
    return previewOf(begun, plan, pull);
  }

  /** Carries out a deploy; only one of a service at a time. @param signal Calls it off, with its reason. */
  async run(name: string, input: DeployInput, options: DeployOptions, signal: AbortSignal): Promise<Deployed> {
    const begun = await this.#begin(name, input, options);
    const { content, release } = await this.#contents.find(name, canonicalTemplate(input.template), signal);
    try {
      return await this.#bring({ name, input, options, begun, content, number: this.#nextNumber(name) }, signal);
    } finally {
      release();
    }
  }

  async #bring(deploy: Deploy, signal: AbortSignal): Promise<Deployed> {
    const { revision, change } = this.#plan(deploy);
    const start = deploy.options.wait ? "instead" : "never";
    if (change?.addRevision === undefined) return await this.#keep(deploy, signal, { made: [], start });
    const { publisher, trial } = this.#parts;
    this.#note(deploy);
    // Nothing of it matters before its first request: of many services, most have none for long.
    if (!deploy.options.wait && isUndemanding(revision.template)) {
      return await this.#keep(deploy, signal, { made: [], start });
    }
    const pool = await publisher.newPool(revision);
    const made = [pool];
    try {
      if (!deploy.options.wait) return await this.#keep(deploy, signal, { made, start });
      // With volumes it can only be tried once nobody else has them any more, and then requests wait.
      if (revision.template.volumes.length > 0) return await this.#keep(deploy, signal, { made, start: "always" });
      await trial.run(pool, signal);
      return await this.#keep(deploy, signal, { made, start });
    } catch (error) {
      publisher.discard(pool);
      throw error;
    }
  }

  /** Keeps what a deploy comes to, as things are now. */
  #keep(deploy: Deploy, signal: AbortSignal, options: Omit<HandoverOptions, "signal">): Promise<Deployed> {
    const { name } = deploy;
    return this.#ledger.alone(name, async () => {
      signal.throwIfAborted();
      const { revision, change } = this.#plan(deploy);
      const service = change === undefined
        ? this.#ledger.states.service(name)!
        : await this.#ledger.keep(change, { ...options, signal });
      if (change?.addRevision !== undefined) this.#tried.delete(name); // the service knows it now
      const isNew = change !== undefined && change.expectedGeneration === undefined;
      return { service, revision, created: change?.addRevision !== undefined, isNew };
    });
  }

  /** Checks all that can be known before anything is looked for. */
  async #begin(name: string, input: DeployInput, { ifMatch }: PlanOptions): Promise<ServiceRecord | undefined> {
    const begun = this.#ledger.states.service(name);
    checkGeneration(name, begun, ifMatch);
    await this.#checks.check(name, input);
    this.#checks.checkDomains(name, input.service.domains);
    return begun;
  }

  /** Works out what a deploy changes as things are now; a new revision has one name, however often it is worked out. */
  #plan({ name, input, options, begun, content, number }: Deploy): DeployPlan {
    const state = this.#ledger.states.get(name);
    if (begun !== undefined && state === undefined) throw wasDeleted(name);
    checkGeneration(name, state?.service, options.ifMatch);
    this.#checks.checkDomains(name, input.service.domains);
    const { by, declaredBy } = options;
    const context = { name, state, last: this.#lastOf(name), number, at: this.#parts.now(), by };
    const plan = planDeploy({ ...context, ...(declaredBy === undefined ? {} : { declaredBy }) }, content, input);
    if (plan.change !== undefined) this.#ledger.check(plan.change);
    return plan;
  }

  #lastOf(name: string): { readonly generation: number; readonly lastNumber: number } {
    return this.#ledger.states.service(name) ?? lastNumbers(this.#parts.store.history(name, HISTORY_ENTRIES));
  }

  #note({ name, number }: Deploy): void {
    this.#tried.delete(name);
    this.#tried.set(name, number);
    for (const [oldest] of this.#tried) {
      if (this.#tried.size <= MOST_TRIED) break;
      this.#tried.delete(oldest);
    }
  }

  /** One that no revision of the service has ever had, not even one that was only tried. */
  #nextNumber(name: string): number {
    return Math.max(this.#lastOf(name).lastNumber, this.#tried.get(name) ?? 0) + 1;
  }
}

/** What a deploy is told whose service has gone. */
export function wasDeleted(name: string): Conflict {
  return new Conflict(`the service ${name} was deleted while it was being deployed`);
}

/** What a deploy is told that is called off for a delete. */
export function isBeingDeleted(name: string): Conflict {
  return new Conflict(`the deploy was called off, since somebody deletes the service ${name}`);
}
