import type { ApplyTarget } from "../../control/manifest/apply.ts";
import type { Client } from "../client.ts";
import { Watch } from "../deploy/watch.ts";
import { passing, type Screen, whileShown } from "../output/screen.ts";

/** The same place, and what takes long there is shown while it lasts. */
export function shownTarget(target: ApplyTarget, client: Client, screen: Screen): ApplyTarget {
  return {
    ...target,
    deploy: async (name, declared, declaredBy) => {
      const own = passing(screen, name);
      await using _ = await Watch.start(client, name, own);
      return await whileShown("deploying…", () => target.deploy(name, declared, declaredBy), own);
    },
    remove: (name) =>
      whileShown("waiting until its containers are gone…", () => target.remove(name), passing(screen, name)),
  };
}
