import type { ServiceJson } from "../admin/operations/services.ts";
import type { TemplateJson } from "../control/schema/schema.ts";
import { type AccessChange, accessFields } from "./access_change.ts";
import { OperatorError, plainMessageOf } from "../base/errors.ts";
import { defined } from "../model/defined.ts";
import { EVERYBODY_WAKES } from "../model/service.ts";

/** What a deploy changes in the latest revision and the service. */
export interface TemplateChange {
  /** Fields to reset to their defaults, before everything else. */
  readonly unset: readonly string[];
  /** Fields of the template, and `loading` of the service, with their new values. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** The changed fields of `liveness`; empty for no change. */
  readonly liveness: Readonly<Record<string, unknown>>;
  /** Capabilities to add or drop. An added one is removed from those to drop, and a dropped one from those to add. */
  readonly capabilities: NonNullable<TemplateJson["capabilities"]>;
  /** The changed fields of `placement`, apart from its labels; empty for no change. */
  readonly placement: Readonly<Record<string, unknown>>;
  /** Labels of machines to add to `placement`. */
  readonly nodeLabels: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
  /** Variables to set to the values of secrets. */
  readonly secretEnv: Readonly<Record<string, string>>;
  /** Variables to remove, from `env` and `secretEnv`. */
  readonly unsetEnv: readonly string[];
  /** Volumes to add; each replaces the one with the same path. */
  readonly volumes: NonNullable<TemplateJson["volumes"]>;
  readonly domains: readonly string[];
  /** Exceptions to add: requests that do not wake the service, by User-Agent and by path. */
  readonly wakeExceptAgents: readonly string[];
  readonly wakeExceptPaths: readonly string[];
  readonly access: AccessChange;
}

/** The fields of a service to which a change adds. */
type ServiceBefore = Pick<ServiceJson, "domains" | "wake" | "access" | "limits">;

/**
 * Merges a change into a template and a service. Both are `undefined` for a new service.
 *
 * @returns The body of `PUT /v1/services/{name}`: the whole template, and the fields of the service that change.
 */
export function mergeChange(
  template: TemplateJson | undefined,
  service: ServiceBefore | undefined,
  change: TemplateChange,
): Readonly<Record<string, unknown>> {
  const before: Partial<TemplateJson> = without(template ?? {}, change.unset);
  const paths = new Set(change.volumes.map(({ path }) => path));
  return {
    ...before,
    ...(change.unset.includes("loading") ? { loading: "hold" } : {}),
    ...change.fields,
    ...(Object.keys(change.liveness).length === 0 ? {} : { liveness: { ...before.liveness, ...change.liveness } }),
    ...capabilitiesAfter(before.capabilities, change.capabilities),
    ...placementAfter(before.placement, change),
    // A variable has either a value or a secret: the new one replaces the old one.
    env: { ...without(before.env ?? {}, [...change.unsetEnv, ...Object.keys(change.secretEnv)]), ...change.env },
    secretEnv: {
      ...without(before.secretEnv ?? {}, [...change.unsetEnv, ...Object.keys(change.env)]),
      ...change.secretEnv,
    },
    volumes: [...(before.volumes ?? []).filter(({ path }) => !paths.has(path)), ...change.volumes],
    ...serviceFields(service, change),
  };
}

function placementAfter(
  before: TemplateJson["placement"] = {},
  { nodeLabels, placement }: Pick<TemplateChange, "nodeLabels" | "placement">,
): { placement?: unknown } {
  const hasLabels = Object.keys(nodeLabels).length > 0;
  if (Object.keys(placement).length === 0 && !hasLabels) return {};
  return {
    placement: { ...before, ...placement, ...(hasLabels ? { labels: { ...before.labels, ...nodeLabels } } : {}) },
  };
}

function capabilitiesAfter(
  before: TemplateJson["capabilities"] = { add: [], drop: [] },
  { add, drop }: NonNullable<TemplateJson["capabilities"]>,
): Pick<TemplateJson, "capabilities"> {
  if (add.length + drop.length === 0) return {};
  const merged = (own: string[], more: string[], other: string[]) => [
    ...new Set([...own.filter((name) => !other.includes(name)), ...more]),
  ];
  return { capabilities: { add: merged(before.add, add, drop), drop: merged(before.drop, drop, add) } };
}

function serviceFields(service: ServiceBefore | undefined, change: TemplateChange) {
  const { domains = [], wake: { except } = EVERYBODY_WAKES } = service ?? {};
  const added = (field: "domains" | "wakeExceptAgents" | "wakeExceptPaths", before: readonly string[]) => {
    const isUnset = change.unset.includes(field);
    return isUnset || change[field].length > 0
      ? [...new Set([...(isUnset ? [] : before), ...change[field]])]
      : undefined;
  };
  const wake = defined({
    userAgents: added("wakeExceptAgents", except.userAgents),
    paths: added("wakeExceptPaths", except.paths),
  });
  return defined({
    domains: added("domains", domains),
    wake: Object.keys(wake).length > 0 ? { except: { ...except, ...wake } } : undefined,
    ...accessFields(service, change.access, change.unset),
  });
}

function without<T extends object>(fields: T, names: readonly string[]): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name))) as Partial<T>;
}

/** Reads a file of variables. @throws {OperatorError} If it cannot be read, or a line is wrong. */
export async function readEnvFile(file: string): Promise<Record<string, string>> {
  let text: string;
  try {
    text = await Deno.readTextFile(file);
  } catch (error) {
    throw new OperatorError(`cannot read ${file}: ${plainMessageOf(error)}`);
  }
  return parseEnv(text, file);
}

/**
 * Reads lines of `KEY=VALUE`. Skips empty lines and those that begin with `#`. The value is the rest of the line,
 * without enclosing quotes.
 *
 * @param file The text's name in messages.
 * @throws {OperatorError} For wrong lines; each is told as `FILE:LINE: what is wrong`, without the value.
 */
export function parseEnv(text: string, file: string): Record<string, string> {
  const variables = new Map<string, string>();
  const wrong: string[] = [];
  text.replace(/^\ufeff/, "").split(/\r?(?:\n|$)/).forEach((line, at) => {
    if (/^\s*(#|$)/.test(line)) return;
    const [, name = "", value] = /^\s*(?:export\s+)?([^=]*)=(.*)$/s.exec(line) ?? [];
    if (value === undefined) wrong.push(`${file}:${at + 1}: expected KEY=VALUE`);
    else if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      const rule = "the name before = may only have letters, digits and _, and no digit first";
      wrong.push(`${file}:${at + 1}: ${rule}`);
    } else variables.set(name, /^\s*(["'])(.*)\1\s*$/s.exec(value)?.[2] ?? value);
  });
  if (wrong.length > 0) throw new OperatorError(wrong);
  return Object.fromEntries(variables);
}
