import type { DeployPreview } from "../../control/records.ts";
import { type ApplyTarget, bodyOf } from "../../control/manifest/apply.ts";
import type { ServiceJson } from "../api_types.ts";
import { type Client, servicePath } from "../client.ts";

/** A running cless as the place where a manifest is applied. */
export function apiTarget(client: Client, wait: boolean | undefined): ApplyTarget {
  return {
    list: () => client.list<ServiceJson>("/v1/services"),
    preview: (name, declared, declaredBy) =>
      client.json<DeployPreview>("PUT", servicePath(name), {
        body: bodyOf(declared),
        query: { dryRun: true, declaredBy },
      }),
    deploy: async (name, declared, declaredBy) => {
      const path = servicePath(name);
      const before = await client.find<ServiceJson>(path);
      const after = await client.json<ServiceJson>("PUT", path, {
        body: bodyOf(declared),
        query: { wait, declaredBy },
      });
      if (before?.etag === undefined) return { change: "create" };
      return { change: before.etag === after.etag ? "none" : "update" };
    },
    remove: (name) => client.do("DELETE", servicePath(name)),
  };
}
