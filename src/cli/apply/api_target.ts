import { type ApplyTarget, bodyOf, type Preview } from "../../control/apply.ts";
import type { ServiceJson } from "../api_types.ts";
import { type Client, servicePath } from "../client.ts";
import type { Screen } from "../deploy/progress.ts";
import { Watch } from "../deploy/watch.ts";

/** How an {@linkcode apiTarget} deploys. */
export interface ApiTargetOptions {
  /** Whether a new revision must become ready before it gets traffic; the API's own way where nothing is said. */
  readonly wait: boolean | undefined;
  /** Where to show what takes its time. */
  readonly screen: Screen | undefined;
}

/** A running cless as the place where a manifest is applied. */
export function apiTarget(client: Client, { wait, screen }: ApiTargetOptions): ApplyTarget {
  return {
    list: () => client.list<ServiceJson>("/v1/services"),
    preview: (name, declared, declaredBy) =>
      client.json<Preview>("PUT", servicePath(name), { body: bodyOf(declared), query: { dryRun: true, declaredBy } }),
    deploy: async (name, declared, declaredBy) => {
      const path = servicePath(name);
      await using _watch = screen && await Watch.start(client, name, screen);
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
