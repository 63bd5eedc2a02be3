import { z } from "zod";
import { parseHostname } from "../../model/host.ts";
import type { WakeSettings } from "../../model/service.ts";
import { defined } from "../../model/defined.ts";
import { formatDuration, parseDuration } from "../../model/time.ts";
import { parseCapability } from "../../model/isolation.ts";
import { formatMemory, parseMemory } from "../../model/memory.ts";
import type { RevisionTemplate, TemplateInput } from "../../model/template.ts";
import { checkTraffic, type Traffic, TrafficError } from "../../model/traffic.ts";
import { readAccess, readLimits, showAccess, showLimits } from "./access.ts";
import * as accessField from "./access_fields.ts";
import * as field from "./fields.ts";
import { check, strict } from "./check.ts";
import { checkServiceName, checkTagLength, InvalidError } from "./invalid.ts";
import type { ServiceFields } from "../records.ts";

/** A whole number; its message always has both bounds. */
function whole(min: number, max: number) {
  const message = `must be a whole number from ${min} to ${max}`;
  return z.int(message).min(min, message).max(max, message);
}

/** How a container starts, and its limits. */
const templateFields = {
  image: field.image,
  pullPolicy: z.enum(["missing", "always", "never"]).optional(),
  port: whole(1, 65535).default(8080),
  env: field.env.default({}),
  secretEnv: field.secretEnv.optional(),
  command: field.command.optional(),
  volumes: z.array(field.volume).max(100).optional(),
  concurrency: whole(0, 100_000).default(0),
  minInstances: whole(0, 1000).default(0),
  maxInstances: whole(1, 1000).default(1),
  startTimeout: field.duration.optional(),
  requestTimeout: field.duration.optional(),
  clientTimeout: field.duration.optional(),
  pauseAfter: field.duration.optional(),
  hibernateAfter: field.duration.optional(),
  stopAfter: field.duration.optional(),
  hangAfter: field.duration.optional(),
  readiness: strict({ path: field.urlPath.default("/") }).default({ path: "/" }),
  liveness: strict({ path: field.urlPath.default("/"), every: field.interval.default("10s") }).optional(),
  memory: field.memory.optional(),
  cpus: z.number().gt(0).lte(1024).optional(),
  capabilities: field.capabilities.optional(),
  readOnly: z.boolean().optional(),
  user: field.user.optional(),
  runtime: field.runtime.optional(),
  placement: field.placement.optional(),
};

/** A service's settings besides its template; missing ones stay as they are. */
const serviceFields = {
  domains: z.array(field.domain).max(100).optional(),
  revisionHistory: whole(0, 1000).optional(),
  wake: field.wake.optional(),
  loading: z.enum(["hold", "page"]).optional(),
  access: accessField.access.optional(),
  limits: accessField.limits.optional(),
  maintenance: accessField.maintenance.optional(),
};

const targetSchema = strict({
  revision: field.revisionName,
  percent: whole(0, 100),
  tag: field.tag.optional(),
});

/** A traffic split in JSON. */
export const targetsSchema = z.array(targetSchema).max(1000);

/** Fields that apply to this request only. */
const requestFields = {
  traffic: z.union([whole(0, 100), targetsSchema]).optional().meta({
    description: "How much the revision of this request gets, in percent; or all parts of the service's traffic",
  }),
  tag: field.tag.optional(),
};

/** The template of a revision in JSON. */
export const templateSchema = strict(templateFields).check(agree);

/** The body of `PUT /v1/services/{name}`. */
export const serviceSchema = strict({ ...templateFields, ...serviceFields, ...requestFields }).check(agree);

/** A template in JSON: durations and sizes are text. */
export type TemplateJson = z.output<typeof templateSchema>;

/** What a request declares for a service. */
export interface ParsedService {
  readonly template: TemplateInput;
  /** Missing fields stay as they are. */
  readonly service: Partial<ServiceFields>;
  /** The new revision's share, in percent. */
  readonly traffic?: number;
  readonly tag?: string;
  /** The whole traffic split; never together with `traffic` and `tag`. */
  readonly targets?: Traffic;
  readonly retired?: readonly string[];
}

/** Fields of earlier versions, which are accepted and ignored. */
const RETIRED = ["warmPool"];

/** Checks rules across several fields. */
function agree(context: z.core.ParsePayload<z.output<typeof templateSchema>>): void {
  const { env, secretEnv = {}, command = [], volumes = [], capabilities, minInstances, maxInstances } = context.value;
  const refuse = (path: (string | number)[], message: string) =>
    context.issues.push({ code: "custom", message, path, input: undefined });
  if (minInstances > maxInstances) {
    refuse(["minInstances"], `must be at most maxInstances, which is ${maxInstances}`);
  }
  if (volumes.length > 0 && maxInstances > 1) {
    refuse(["maxInstances"], "must be 1 with volumes: two instances would write to the same files");
  }
  for (const name of Object.keys(secretEnv)) {
    if (Object.hasOwn(env, name)) refuse(["secretEnv", name], "is in env too; remove one of the two");
  }
  const { add = [], drop = [] } = capabilities ?? {};
  const dropped = new Set(drop.map(readCapability));
  add.forEach((name, at) => {
    if (dropped.has(readCapability(name))) {
      refuse(["capabilities", "add", at], "is in drop too; remove one of the two");
    }
  });
  const paths = new Set<string>();
  volumes.forEach(({ path }, at) => {
    if (paths.has(path)) refuse(["volumes", at, "path"], "is also the path of another volume");
    paths.add(path);
  });
  if (!field.fits(env, command)) refuse(["env"], field.FITS_MESSAGE);
}

/** Reads the body of `PUT /v1/services/{name}`. @throws {InvalidError} */
export function parseService(name: string, body: unknown): ParsedService {
  checkServiceName(name);
  const { current, retired } = withoutRetired(body);
  const { domains, revisionHistory, wake, loading, access, limits, maintenance, traffic, tag, ...template } = check(
    serviceSchema,
    current,
  );
  if (tag !== undefined) checkTagLength(name, tag, ["tag"]);
  const targets = typeof traffic === "object" ? readTargets(name, traffic, tag) : undefined;
  return defined({
    template: readTemplate(template),
    service: defined({
      domains: domains && [...new Set(domains.map((one) => parseHostname(one)!.name))],
      revisionHistory,
      wake: wake && readWake(wake),
      loading,
      access: access && readAccess(access),
      limits: limits && readLimits(limits),
      maintenance,
    }),
    tag,
    traffic: typeof traffic === "number" ? traffic : undefined,
    targets,
    retired: retired.length === 0 ? undefined : retired,
  });
}

function withoutRetired(body: unknown): { current: unknown; retired: string[] } {
  if (typeof body !== "object" || body === null) return { current: body, retired: [] };
  const retired = RETIRED.filter((field) => Object.hasOwn(body, field));
  if (retired.length === 0) return { current: body, retired };
  return { current: Object.fromEntries(Object.entries(body).filter(([key]) => !retired.includes(key))), retired };
}

/** The warning about retired fields, on one line; `undefined` if there are none. */
export function retiredWarning(services: Iterable<Pick<ParsedService, "retired">>): string | undefined {
  const fields = new Set([...services].flatMap(({ retired = [] }) => retired));
  return fields.size === 0 ? undefined : `${[...fields].join(", ")} has no effect any more and is ignored`;
}

function readWake({ except: { userAgents, agents, paths } }: z.output<typeof field.wake>): WakeSettings {
  return { except: { userAgents: [...new Set(userAgents ?? agents)], paths: [...new Set(paths)] } };
}

/**
 * Reads a traffic split. Does not check whether its revisions exist. @param besides A tag outside of the list, which is
 * refused.
 */
function readTargets(name: string, targets: z.output<typeof targetsSchema>, besides: string | undefined): Traffic {
  if (besides !== undefined) {
    throw new InvalidError(["tag"], "must be inside the list of traffic if that is a list", true);
  }
  const traffic = targets.map(({ revision, percent, tag }, index) => {
    if (tag !== undefined) checkTagLength(name, tag, ["traffic", index, "tag"]);
    return defined({ revision, percent, tag });
  });
  try {
    checkTraffic(traffic, new Set(traffic.map(({ revision }) => revision)));
  } catch (error) {
    if (error instanceof TrafficError) throw new InvalidError(["traffic"], error.message, true);
    throw error;
  }
  return traffic;
}

const readCapability = (name: string) => name === "ALL" ? name : parseCapability(name);

function readTemplate(json: TemplateJson): TemplateInput {
  const { startTimeout, requestTimeout, clientTimeout, pauseAfter, hibernateAfter, stopAfter, hangAfter, ...rest } =
    json;
  const { capabilities, liveness, memory, placement, ...others } = rest;
  const read = (duration: string | undefined) => duration === undefined ? undefined : parseDuration(duration);
  return defined({
    ...others,
    startTimeout: read(startTimeout),
    requestTimeout: read(requestTimeout),
    clientTimeout: read(clientTimeout),
    pauseAfter: read(pauseAfter),
    hibernateAfter: read(hibernateAfter),
    stopAfter: read(stopAfter),
    hangAfter: read(hangAfter),
    liveness: liveness && { ...liveness, every: parseDuration(liveness.every) },
    memory: memory === undefined ? undefined : parseMemory(memory),
    capabilities: capabilities &&
      { add: capabilities.add.map(readCapability), drop: capabilities.drop.map(readCapability) },
    placement: placement && defined(placement),
  });
}

/** Converts the fields of a service to JSON, as far as they are given; {@linkcode parseService} reads them back. */
export function showServiceFields({ access, limits, ...others }: Partial<ServiceFields>): Record<string, unknown> {
  return defined({
    ...others,
    access: access && (showAccess(access) ?? {}),
    limits: limits && (showLimits(limits) ?? {}),
  });
}

/** Converts a template to JSON, with its defaults; {@linkcode parseService} reads it back. */
export function showTemplate(template: RevisionTemplate): TemplateJson {
  const { startTimeout, requestTimeout, clientTimeout, pauseAfter, hibernateAfter, stopAfter, hangAfter, ...rest } =
    template;
  const { capabilities, cpus, liveness, memory, placement, readiness, readOnly, user, runtime, ...others } = rest;
  const show = (durationMs: number | undefined) => durationMs === undefined ? undefined : formatDuration(durationMs);
  return defined({
    ...others,
    env: { ...others.env },
    secretEnv: { ...others.secretEnv },
    command: [...others.command],
    volumes: others.volumes.map((volume) => ({ ...volume })),
    startTimeout: show(startTimeout),
    requestTimeout: show(requestTimeout),
    clientTimeout: show(clientTimeout),
    pauseAfter: show(pauseAfter),
    hibernateAfter: show(hibernateAfter),
    stopAfter: show(stopAfter),
    hangAfter: show(hangAfter),
    readiness: { ...readiness },
    liveness: liveness && { ...liveness, every: formatDuration(liveness.every) },
    memory: memory === undefined ? undefined : formatMemory(memory),
    cpus,
    capabilities: capabilities && { add: [...capabilities.add], drop: [...capabilities.drop] },
    readOnly,
    user,
    runtime,
    placement: placement && defined({ ...placement, labels: placement.labels && { ...placement.labels } }),
  });
}
