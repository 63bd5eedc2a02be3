import { defined } from "./defined.ts";
import type { Capabilities } from "./isolation.ts";
import { canonicalRules, type NodeRules } from "./node_rules.ts";

/** A folder in a container, which outlives the container. */
export interface Volume {
  /** A named volume, or a folder of the host if it begins with a slash. */
  readonly source: string;
  /** Its absolute path in the container. */
  readonly path: string;
  readonly readOnly: boolean;
}

/** When an image is pulled. */
export type PullPolicy = "missing" | "always" | "never";

/**
 * What a revision is made from, as an operator declares it. Times are in ms (`Infinity`: never), sizes in bytes.
 * Missing limits follow the program's settings.
 */
export interface RevisionTemplate {
  readonly image: string;
  readonly pullPolicy: PullPolicy;
  readonly port: number;
  /** The app's environment; never written to a log or a label. */
  readonly env: Readonly<Record<string, string>>;
  /** Variables whose values are secrets, with the secrets' names. */
  readonly secretEnv: Readonly<Record<string, string>>;
  readonly command: readonly string[];
  readonly volumes: readonly Volume[];
  /** How many requests an instance serves at once; 0 for no limit. */
  readonly concurrency: number;
  /** How many instances run even without requests. */
  readonly minInstances: number;
  /** How many instances may run at once. */
  readonly maxInstances: number;
  readonly startTimeout?: number;
  readonly requestTimeout?: number;
  readonly clientTimeout?: number;
  readonly pauseAfter?: number;
  readonly hibernateAfter?: number;
  readonly stopAfter?: number;
  /** How long an instance may answer none of its requests before cless checks whether it hangs. */
  readonly hangAfter?: number;
  readonly readiness: { readonly path: string };
  /** The path of the liveness probe, and the time between probes, ms. An instance that does not answer is replaced. */
  readonly liveness?: { readonly path: string; readonly every: number };
  readonly memory?: number;
  readonly cpus?: number;
  readonly capabilities?: Capabilities;
  /** Whether the container can write only into its volumes and /tmp; missing if it can write everywhere. */
  readonly readOnly?: true;
  /** The user that the app runs as, `USER` or `USER:GROUP`, names or numbers; missing for the image's user. */
  readonly user?: string;
  /** The engine's runtime for the container, such as `runsc`; missing for the engine's default. */
  readonly runtime?: string;
  /** On which machines of a Swarm instances run; missing for any. */
  readonly placement?: NodeRules;
}

/** A template without its defaults, for {@linkcode canonicalTemplate}. */
export type TemplateInput =
  & Partial<Omit<RevisionTemplate, "readOnly"> & { readonly readOnly: boolean }>
  & Pick<RevisionTemplate, "image">;

/** The fields that may be `Infinity`. */
const TIMES = [
  "startTimeout",
  "requestTimeout",
  "clientTimeout",
  "pauseAfter",
  "hibernateAfter",
  "stopAfter",
  "hangAfter",
] as const;

/** Fills in the defaults, and sorts lists whose order means nothing, so that equal templates have equal texts. */
export function canonicalTemplate(input: TemplateInput): RevisionTemplate {
  return Object.freeze(defined({
    image: input.image,
    pullPolicy: input.pullPolicy ?? "missing",
    port: input.port ?? 8080,
    env: sorted(input.env ?? {}),
    secretEnv: sorted(input.secretEnv ?? {}),
    command: Object.freeze([...input.command ?? []]),
    volumes: Object.freeze(
      (input.volumes ?? []).map(({ source, path, readOnly }) => Object.freeze({ source, path, readOnly }))
        .sort((a, b) => compare(a.path, b.path) || compare(a.source, b.source) || +a.readOnly - +b.readOnly),
    ),
    concurrency: input.concurrency ?? 0,
    minInstances: input.minInstances ?? 0,
    maxInstances: input.maxInstances ?? 1,
    startTimeout: input.startTimeout,
    requestTimeout: input.requestTimeout,
    clientTimeout: input.clientTimeout,
    pauseAfter: input.pauseAfter,
    stopAfter: input.stopAfter,
    readiness: Object.freeze({ path: input.readiness?.path ?? "/" }),
    liveness: input.liveness && Object.freeze({ path: input.liveness.path, every: input.liveness.every }),
    memory: input.memory,
    cpus: input.cpus,
    capabilities: input.capabilities && sortedCapabilities(input.capabilities),
    readOnly: input.readOnly || undefined, // left out when false, as in stored templates that are older than the field
    user: input.user,
    runtime: input.runtime,
    placement: input.placement && canonicalRules(input.placement),
    hangAfter: input.hangAfter,
    hibernateAfter: input.hibernateAfter,
  }));
}

/**
 * A text that is equal for two templates if and only if they mean the same. Takes only templates from {@linkcode
 * canonicalTemplate}, which fixes the order of keys.
 */
export function templateText(template: RevisionTemplate): string {
  // JSON has no Infinity
  return JSON.stringify(template, (_, value) => value === Infinity ? "never" : value);
}

/** Reads a text of {@linkcode templateText}. */
export function parseTemplateText(text: string): RevisionTemplate {
  const raw = JSON.parse(text);
  for (const key of TIMES) {
    if (raw[key] === "never") raw[key] = Infinity;
  }
  return canonicalTemplate(raw);
}

/**
 * Whether a revision needs no preparation before its first request. That is so if it keeps no instance up, has no
 * volumes (only one revision may use them at a time), and has no secrets (they are read in advance, while the store
 * works).
 */
export function needsNoPreparation({ minInstances, secretEnv, volumes }: RevisionTemplate): boolean {
  return minInstances === 0 && volumes.length === 0 && Object.keys(secretEnv).length === 0;
}

/** `undefined` if there are no changes. */
function sortedCapabilities({ add, drop }: Capabilities): Capabilities | undefined {
  const list = (names: readonly string[]) => Object.freeze([...new Set(names)].sort(compare));
  return add.length + drop.length === 0 ? undefined : Object.freeze({ add: list(add), drop: list(drop) });
}

function sorted(record: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.freeze(Object.fromEntries(Object.entries(record).sort(([a], [b]) => compare(a, b))));
}

/** Compares by code unit, so that the order is the same on every machine. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
