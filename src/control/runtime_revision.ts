import type { Limits, Revision } from "../domain/revision.ts";
import type { RevisionRecord } from "./records.ts";

/** The secrets, as far as revisions need them. */
export interface RevisionSecrets {
  /** The versions that secrets have now. @throws For the first that there is not. */
  currentVersions(names: Iterable<string>): Record<string, number>;
  /** The values for variables, from their secrets' names and versions; rejects where one is gone or cannot be read. */
  resolve(
    secretEnv: Readonly<Record<string, string>>,
    versions: Readonly<Record<string, number>>,
  ): Promise<Record<string, string>>;
}

/**
 * What the containers of a kept revision are started from.
 *
 * @param limits For what the template leaves to the program's settings.
 * @throws What `secrets` throws.
 */
export async function runtimeRevision(
  { name, service, template, imageId, secretVersions }: RevisionRecord,
  limits: Limits,
  secrets: Pick<RevisionSecrets, "resolve">,
): Promise<Revision> {
  const { env, secretEnv } = template;
  const secret = Object.keys(secretEnv).length === 0 ? {} : await secrets.resolve(secretEnv, secretVersions);
  return Object.freeze({
    name,
    service,
    image: template.image,
    imageId,
    port: template.port,
    readinessPath: template.readiness.path,
    startTimeout: template.startTimeout ?? limits.startTimeout,
    requestTimeout: template.requestTimeout ?? limits.requestTimeout,
    stopAfter: template.stopAfter ?? limits.stopAfter,
    env: Object.freeze({ ...env, ...secret }),
    command: template.command,
    memory: template.memory,
    cpus: template.cpus,
    volumes: template.volumes,
  });
}
