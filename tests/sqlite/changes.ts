import type { HistoryEntry, RevisionRecord, ServiceChange, ServiceRecord } from "../../src/control/records.ts";
import type { Store } from "../../src/control/store.ts";
import type { Random } from "../support/random.ts";
import { changeAfter, creationOf, entryOf, revisionOf } from "./kit.ts";
import { loaded } from "../support/loaded.ts";

const SERVICES = ["api", "golang", "web", "worker"];
const MOST_REVISIONS = 4;

/** One change of a store, in a form that JSON can hold. */
export interface Step {
  /** The change of a service, unless one is deleted. */
  readonly change?: ServiceChange;
  readonly delete?: { readonly name: string; readonly expectedGeneration: number; readonly history: HistoryEntry };
}

/** Makes a change in a store. */
export async function take(step: Step, store: Store): Promise<void> {
  if (step.change !== undefined) await store.change(step.change);
  if (step.delete !== undefined) {
    await store.delete(step.delete.name, step.delete.expectedGeneration, step.delete.history);
  }
}

/** A model of a store: what it should hold. */
export class Model {
  readonly #services = new Map<string, ServiceRecord>();
  readonly #revisions = new Map<string, RevisionRecord[]>();
  readonly #history = new Map<string, HistoryEntry[]>();

  /** What a store holds. */
  static of(store: Store): Model {
    const model = new Model();
    const { services, revisions } = loaded(store);
    for (const service of services) model.#services.set(service.name, service);
    for (const revision of revisions) model.#append(revision);
    for (const name of SERVICES) model.#history.set(name, store.history(name, Number.MAX_SAFE_INTEGER));
    return model;
  }

  copy(): Model {
    const model = new Model();
    for (const [name, service] of this.#services) model.#services.set(name, service);
    for (const [name, revisions] of this.#revisions) model.#revisions.set(name, [...revisions]);
    for (const [name, entries] of this.#history) model.#history.set(name, [...entries]);
    return model;
  }

  /** Every service. */
  get services(): ServiceRecord[] {
    return [...this.#services.values()];
  }

  /** Makes a change in the model. */
  take({ change, delete: deletion }: Step): void {
    if (change !== undefined) {
      const { service, addRevision, removeRevisions = [], history } = change;
      this.#services.set(service.name, service);
      if (addRevision !== undefined) this.#append(addRevision);
      const left = this.#revisions.get(service.name)!.filter(({ name }) => !removeRevisions.includes(name));
      this.#revisions.set(service.name, left);
      this.#note(history);
    }
    if (deletion !== undefined) {
      this.#services.delete(deletion.name);
      this.#revisions.delete(deletion.name);
      this.#note(deletion.history);
    }
  }

  /**
   * A possible change: mostly a deploy, sometimes only traffic, seldom the removal of a service.
   *
   * @param at The time of the change; increases with every change, so that no two are alike.
   */
  next(random: Random, at: number): Step {
    const name = random.pick(SERVICES);
    const service = this.#services.get(name);
    const history = (action: string, generation: number) => ({
      ...entryOf(name, at, action),
      after: { generation, latest: action === "delete" ? undefined : at },
    });
    if (service === undefined) {
      const creation = creationOf(name, { updatedAt: at, domains: [`${at}.example.org`] });
      return {
        change: {
          ...creation,
          addRevision: { ...creation.addRevision!, createdAt: at },
          history: history("create", 1),
        },
      };
    }
    const generation = service.generation + 1;
    if (random.chance(0.1)) {
      return { delete: { name, expectedGeneration: service.generation, history: history("delete", generation) } };
    }
    const percent = random.between(0, 100);
    const traffic = [{ revision: "latest", percent }, { revision: service.latestRevision, percent: 100 - percent }];
    const split = { traffic, previousTraffic: service.traffic, updatedAt: at };
    const before = { service, history: history("before", 0), expectedGeneration: undefined };
    if (random.chance(0.3)) {
      return { change: { ...changeAfter(before, split), history: history("traffic", generation) } };
    }
    const revision = revisionOf(name, service.lastNumber + 1, { env: { FILLER: "x".repeat(random.below(1500)) } });
    const old = this.#revisions.get(name)!;
    const change = changeAfter(before, {
      ...split,
      domains: [`${at}.example.org`, ...service.domains].slice(0, 3),
      latestRevision: revision.name,
      lastNumber: service.lastNumber + 1,
    });
    return {
      change: {
        ...change,
        addRevision: { ...revision, createdAt: at },
        removeRevisions: old.slice(0, Math.max(0, old.length + 1 - MOST_REVISIONS)).map(({ name }) => name),
        history: history("deploy", generation),
      },
    };
  }

  /** The model as text; equal for two models exactly if they hold the same. */
  text(): string {
    return JSON.stringify(SERVICES.map((name) => [
      sorted(this.#services.get(name)),
      this.#revisions.get(name)?.map(sorted) ?? [],
      this.#history.get(name)?.map(sorted) ?? [],
    ]));
  }

  #append(revision: RevisionRecord): void {
    this.#revisions.set(revision.service, [...this.#revisions.get(revision.service) ?? [], revision]);
  }

  #note(entry: HistoryEntry): void {
    this.#history.set(entry.service, [entry, ...this.#history.get(entry.service) ?? []]);
  }
}

/** The object with its members sorted by name, without those that JSON cannot hold. */
function sorted(record: object | undefined): unknown {
  return record && Object.entries(record).filter(([, value]) => value !== undefined).sort(([a], [b]) => a < b ? -1 : 1);
}
