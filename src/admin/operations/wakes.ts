import { z } from "zod";
import { json } from "../body.ts";
import type { Collaborators } from "../collaborators.ts";
import { serviceParam, whole } from "../common_fields.ts";
import { tagged } from "../operation.ts";
import { serviceOf } from "./services.ts";

const operation = tagged("services");
const DAY_MINUTES = 24 * 60;
const ms = z.number().min(0);

const wakesView = z.strictObject({
  revision: z.string(),
  how: z.enum(["cold", "resume", "hibernated"]).meta({
    description:
      "`cold`: a container was started. `resume`: a paused one went on. `hibernated`: its memory was in the swap",
  }),
  count: z.int().min(1),
  p50Ms: ms.meta({
    description:
      "The median of how long they took, within 10%: until the app's first answer, or until the app ran if " +
      "it answered no request; of a cold start, until its readiness path answered",
  }),
  p99Ms: ms.meta({ description: "99 of 100 took at most this long, within 10%" }),
  histogram: z.array(z.strictObject({ upToMs: ms, count: z.int().min(1) })).meta({
    description:
      "How many wakes took at most `upToMs`, and longer than the entry before says; entries without wakes are left out",
  }),
}).meta({
  id: "Wakes",
  examples: [{
    revision: "shop-00002",
    how: "resume",
    count: 3,
    p50Ms: 3.67,
    p99Ms: 5.19,
    histogram: [{ upToMs: 4, count: 2 }, { upToMs: 5.66, count: 1 }],
  }],
});

/** How often and how fast the instances of a revision woke, in JSON. */
export type WakesJson = z.output<typeof wakesView>;

/** How often and how fast services woke. */
export function wakeOperations({ catalog, figures }: Collaborators) {
  return [
    operation({
      id: "listWakes",
      route: "GET /v1/services/{name}/wakes",
      scope: "read",
      summary: "Tell how often the instances of each revision woke, from what, and how long that took",
      params: { name: serviceParam },
      query: {
        minutes: whole(1, DAY_MINUTES, { description: "How many minutes to look back; a day by default" })
          .optional(),
      },
      answers: {
        200: {
          description: "The wakes by revision and kind; no entry where there were none",
          schema: z.array(wakesView),
        },
      },
      errors: ["not_found", "store_unavailable"],
      run: ({ params: { name }, query: { minutes = DAY_MINUTES } }) =>
        json(figures.wakes(serviceOf(catalog, name).name, minutes)),
    }),
  ];
}
