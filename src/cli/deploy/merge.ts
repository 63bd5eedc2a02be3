import type { TemplateJson } from "../../control/schema/schema.ts";

/** What a deploy changes of the latest revision. */
export interface TemplateChange {
  /** Fields that are set back first. */
  readonly unset: readonly string[];
  /** Fields of the template with their new values. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string>>;
  readonly secretEnv: Readonly<Record<string, string>>;
  /** Variables that go, whichever of the two they are. */
  readonly unsetEnv: readonly string[];
  /** Each in place of the one with its path. */
  readonly volumes: NonNullable<TemplateJson["volumes"]>;
  /** Further ones. */
  readonly domains: readonly string[];
}

/** The body of a PUT: the template, and the fields of the service that change. */
export type ServiceBody = Readonly<Record<string, unknown>>;

/**
 * Merges a change into what is there.
 *
 * @param template That of the latest revision; `undefined` for a new service.
 * @param domains Those of the service.
 */
export function mergeChange(
  template: TemplateJson | undefined,
  domains: readonly string[],
  change: TemplateChange,
): ServiceBody {
  const unset = new Set(change.unset);
  const before: Partial<TemplateJson> = Object.fromEntries(
    Object.entries(template ?? {}).filter(([field]) => !unset.has(field)),
  );
  // A variable is a value or a secret, and the last word counts.
  const env = without(before.env ?? {}, [...change.unsetEnv, ...Object.keys(change.secretEnv)]);
  const secretEnv = without(before.secretEnv ?? {}, [...change.unsetEnv, ...Object.keys(change.env)]);
  const paths = new Set(change.volumes.map(({ path }) => path));
  const body = {
    ...before,
    ...change.fields,
    env: { ...env, ...change.env },
    secretEnv: { ...secretEnv, ...change.secretEnv },
    volumes: [...(before.volumes ?? []).filter(({ path }) => !paths.has(path)), ...change.volumes],
  };
  if (change.domains.length === 0 && !unset.has("domains")) return body;
  return { ...body, domains: [...new Set([...unset.has("domains") ? [] : domains, ...change.domains])] };
}

function without(variables: Readonly<Record<string, string>>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(variables).filter(([name]) => !names.includes(name)));
}
