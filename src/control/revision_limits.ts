import { type ContainerDefaults, OLDER_DEFAULTS, withDefaults } from "../model/isolation.ts";
import { formatMemory } from "../model/memory.ts";
import { HANG_AFTER_MS, type Limits } from "../model/revision.ts";
import { canonicalTemplate } from "../model/template.ts";
import { formatDuration } from "../model/time.ts";
import type { RevisionRecord } from "./records.ts";

/** The limits of a revision, in the order in which they are shown. */
export const LIMIT_NAMES = [
  "concurrency",
  "minInstances",
  "maxInstances",
  "startTimeout",
  "requestTimeout",
  "clientTimeout",
  "pauseAfter",
  "hibernateAfter",
  "stopAfter",
  "stopHibernatedAfter",
  "hangAfter",
  "memory",
  "cpus",
  "droppedCapabilities",
] as const;

type LimitName = typeof LIMIT_NAMES[number];

/** A limit that holds. */
export interface HoldingLimit {
  /** As in a template: a duration of `0` is never, and so is a number of 0, or memory of `0`, no limit. */
  readonly value: string | number | readonly string[];
  /** `service` if the template names it, `default`, or the flag or variable of the program, such as `--pause-after`. */
  readonly from: string;
}

/** What a revision of a template without any limit has. */
const DEFAULTS = canonicalTemplate({ image: "any" });

/** The flags whose values are the defaults of templates. */
const FLAGS: Readonly<Record<string, string>> = {
  startTimeout: "start-timeout",
  requestTimeout: "request-timeout",
  clientTimeout: "client-timeout",
  pauseAfter: "pause-after",
  hibernateAfter: "hibernate-after",
  stopAfter: "stop-after",
};

/** Knows the limits that hold for a revision, and where each comes from. */
export class RevisionLimits {
  readonly #limits: Limits;
  readonly #defaults: ContainerDefaults;
  readonly #given: ReadonlyMap<string, string>;

  /** @param given The flags that were given to the program, each with where it was given: `--FLAG` or a variable. */
  constructor(limits: Limits, defaults: ContainerDefaults, given: ReadonlyMap<string, string>) {
    this.#limits = limits;
    this.#defaults = defaults;
    this.#given = given;
  }

  /** The limits of a revision: what its template names, else what the program's settings say. */
  of({ older, template }: Pick<RevisionRecord, "older" | "template">): Readonly<Record<LimitName, HoldingLimit>> {
    const limits = this.#limits;
    const defaults = older ? OLDER_DEFAULTS : this.#defaults;
    const { capabilities, cpus, memory } = template;
    const whole = (name: "concurrency" | "minInstances" | "maxInstances"): HoldingLimit => ({
      value: template[name],
      from: template[name] === DEFAULTS[name] ? "default" : "service",
    });
    const time = (
      name: "startTimeout" | "requestTimeout" | "clientTimeout" | "pauseAfter" | "hibernateAfter" | "stopAfter",
      otherwiseMs: number,
    ) => limit(template[name], otherwiseMs, formatDuration, this.#given.get(FLAGS[name]!));
    const memoryFlag = this.#given.get("default-memory") ?? this.#given.get("memory-budget");
    const fromSettings = (name: string | undefined) => older ? undefined : name;
    return {
      concurrency: whole("concurrency"),
      minInstances: whole("minInstances"),
      maxInstances: whole("maxInstances"),
      startTimeout: time("startTimeout", limits.startTimeoutMs),
      requestTimeout: time("requestTimeout", limits.requestTimeoutMs),
      clientTimeout: time("clientTimeout", limits.clientTimeoutMs),
      pauseAfter: time("pauseAfter", limits.pauseAfterMs),
      hibernateAfter: time("hibernateAfter", limits.hibernateAfterMs),
      stopAfter: time("stopAfter", limits.stopAfterMs),
      stopHibernatedAfter: time("stopAfter", limits.stopHibernatedAfterMs),
      hangAfter: limit(template.hangAfter, HANG_AFTER_MS, formatDuration),
      memory: limit(memory, defaults.memoryBytes, memoryText, fromSettings(memoryFlag)),
      cpus: limit(cpus, defaults.cpus, (cpus) => cpus ?? 0, fromSettings(this.#given.get("default-cpus"))),
      droppedCapabilities: {
        value: withDefaults(defaults, capabilities).drop,
        from: capabilities === undefined ? "default" : "service",
      },
    };
  }
}

/**
 * @param own What the template says.
 * @param otherwise What holds if it says nothing.
 * @param flag The flag or variable that says `otherwise`, if it was given.
 */
function limit<T extends number | undefined>(
  own: number | undefined,
  otherwise: T,
  show: (value: NoInfer<T> | number) => string | number,
  flag = "default",
): HoldingLimit {
  return own === undefined ? { value: show(otherwise), from: flag } : { value: show(own), from: "service" };
}

function memoryText(bytes: number | undefined): string {
  return bytes === undefined ? "0" : formatMemory(bytes);
}
