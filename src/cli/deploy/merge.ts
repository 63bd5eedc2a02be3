import type { TemplateJson } from "../../control/schema/schema.ts";
import { EVERYBODY_WAKES, type Loading } from "../../model/waking.ts";
import type { ServiceJson } from "../api_types.ts";

/** What a deploy changes of the latest revision. */
export interface TemplateChange {
  /** Fields that are set back first. */
  readonly unset: readonly string[];
  /** Fields of the template with their new values. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** What changes of how it is asked whether it is well; empty where nothing does. */
  readonly liveness: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string>>;
  readonly secretEnv: Readonly<Record<string, string>>;
  /** Variables that go, whichever of the two they are. */
  readonly unsetEnv: readonly string[];
  /** Each in place of the one with its path. */
  readonly volumes: NonNullable<TemplateJson["volumes"]>;
  /** Further ones. */
  readonly domains: readonly string[];
  readonly loading: Loading | undefined;
  /** Further ones. */
  readonly wakeExceptAgents: readonly string[];
  readonly wakeExceptPaths: readonly string[];
}

/** What a service has already of what a change adds to. */
export type ServiceBefore = Pick<ServiceJson, "domains" | "wake">;

/** The body of a PUT: the template, and the fields of the service that change. */
export type ServiceBody = Readonly<Record<string, unknown>>;

/**
 * Merges a change into what is there.
 *
 * @param template That of the latest revision; `undefined` for a new service.
 * @param service The service itself; `undefined` for a new one.
 */
export function mergeChange(
  template: TemplateJson | undefined,
  service: ServiceBefore | undefined,
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
    ...(Object.keys(change.liveness).length === 0 ? {} : { liveness: { ...before.liveness, ...change.liveness } }),
    env: { ...env, ...change.env },
    secretEnv: { ...secretEnv, ...change.secretEnv },
    volumes: [...(before.volumes ?? []).filter(({ path }) => !paths.has(path)), ...change.volumes],
  };
  return { ...body, ...serviceFields(service, change, unset) };
}

/** The fields of the service that change. */
function serviceFields(
  service: ServiceBefore | undefined,
  change: TemplateChange,
  unset: ReadonlySet<string>,
): ServiceBody {
  const { domains = [], wake: { except: { userAgents, paths } } = EVERYBODY_WAKES } = service ?? {};
  const loading = change.loading ?? (unset.has("loading") ? "hold" : undefined);
  const wakeFields = ["wakeExceptAgents", "wakeExceptPaths"] as const;
  const changesWake = wakeFields.some((field) => unset.has(field) || change[field].length > 0);
  const all = (field: string, before: readonly string[], further: readonly string[]) => [
    ...new Set([...unset.has(field) ? [] : before, ...further]),
  ];
  return {
    ...(unset.has("domains") || change.domains.length > 0 ? { domains: all("domains", domains, change.domains) } : {}),
    ...(loading === undefined ? {} : { loading }),
    ...(changesWake
      ? {
        wake: {
          except: {
            userAgents: all("wakeExceptAgents", userAgents, change.wakeExceptAgents),
            paths: all("wakeExceptPaths", paths, change.wakeExceptPaths),
          },
        },
      }
      : {}),
  };
}

function without(variables: Readonly<Record<string, string>>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(variables).filter(([name]) => !names.includes(name)));
}
