import { z } from "zod";
import type { WakeRecord } from "../../control/figures/records.ts";
import { json } from "../body.ts";
import type { Collaborators } from "../collaborators.ts";
import { serviceParam, time, timeOf, whole } from "../common_fields.ts";
import { tagged } from "../operation.ts";
import { serviceOf } from "./services.ts";

const operation = tagged("services");
const DAY_MINUTES = 24 * 60;
const ms = z.number().min(0);

/** From what an instance woke. */
export const how = z.enum(["cold", "resume", "hibernated"]).meta({
  description:
    "`cold`: a container was started. `resume`: a paused one went on. `hibernated`: its memory was in the swap",
});

const wakesView = z.strictObject({
  revision: z.string(),
  how,
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

/** Who has made an instance wake. */
export const wakerView = z.strictObject({
  kind: z.enum(["request", "operator", "deploy", "minimum", "unknown"]).meta({
    description:
      "`request`: the one that waited the longest. `operator`: somebody with a token. `deploy`: it tried the new " +
      "revision. `minimum`: cless itself, for `minInstances` or in place of another instance. The other fields but " +
      "`name` are those of a request, as `--wake-log` of cless serve keeps them; long texts are cut off",
  }),
  name: z.string().optional().meta({ description: "The name of the operator's token" }),
  method: z.string().optional(),
  host: z.string().optional().meta({ description: "The requested host, without its port" }),
  path: z.string().optional().meta({ description: "Without the query, unless `--wake-log full` keeps it" }),
  network: z.string().optional().meta({
    description: "The client's network, /24 of IPv4 or /48 of IPv6; its address with `--wake-log full`",
  }),
  userAgent: z.string().optional(),
  robot: z.literal(true).optional().meta({ description: "Present if the user agent is that of a known robot" }),
}).meta({ id: "Waker" });

const wakeView = z.strictObject({
  at: time,
  service: z.string(),
  revision: z.string(),
  instance: z.string().meta({ description: "The id of the instance, which may be gone" }),
  how,
  ms: ms.meta({ description: "How long it took" }),
  by: wakerView,
}).meta({
  id: "Wake",
  examples: [{
    at: "2026-11-25T03:12:07.000Z",
    service: "shop",
    revision: "shop-00002",
    instance: "cless-shop-shop-00002-x1y2z3",
    how: "cold",
    ms: 312.5,
    by: {
      kind: "request",
      method: "GET",
      host: "shop.example.org",
      path: "/cart",
      network: "203.0.113.0/24",
      userAgent: "curl/8.14.1",
    },
  }],
});

/** A wake of an instance, in JSON. */
export type WakeJson = z.output<typeof wakeView>;

/** How often, how fast and for whom services woke. */
export function wakeOperations({ catalog, past }: Collaborators) {
  return [
    operation({
      id: "listWakeLog",
      route: "GET /v1/wakes",
      scope: "read",
      summary: "List the wakes of instances, newest first, each with who made the instance wake",
      description:
        "They are kept for a day, and at most 1000 of a service. Only what became ready is listed: a start that failed " +
        "is among the events. Of deleted services nothing is kept.",
      query: {
        service: z.string().max(100).optional().meta({ description: "Only those of this service" }),
        minutes: whole(1, DAY_MINUTES, { description: "How many minutes to look back; a day by default" })
          .optional(),
        limit: whole(1, 1000, { description: "How many at most; 100 by default" }).optional(),
      },
      answers: { 200: { description: "The wakes", schema: z.array(wakeView) } },
      errors: ["store_unavailable"],
      run: ({ query: { limit = 100, minutes = DAY_MINUTES, service } }) =>
        json(past.wakeLog({ service, minutes, limit }).map(showWake)),
    }),
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
        json(past.wakes(serviceOf(catalog, name).name, minutes)),
    }),
  ];
}

function showWake({ at, ...wake }: WakeRecord): WakeJson {
  return { at: timeOf(at), ...wake };
}
