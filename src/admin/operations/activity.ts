import { z } from "zod";
import type { ServiceActivity } from "../../control/activity.ts";
import { SERVICE_STATES } from "../../control/service_status.ts";
import { json } from "../body.ts";
import type { Collaborators } from "../collaborators.ts";
import { time, timeOf, whole } from "../common_fields.ts";
import { tagged } from "../operation.ts";

const operation = tagged("activity");
const DEFAULT_MINUTES = 10;
const count = z.int().min(0);
const perSecond = z.number().min(0);
const ms = z.number().min(0);

const wakes = z.strictObject({ cold: count, resume: count, hibernated: count });

const activityView = z.strictObject({
  service: z.string(),
  state: z.enum(SERVICE_STATES),
  failure: z.string().optional().meta({ description: "Why it is failing; only there if it is" }),
  failingSince: time.optional().meta({ description: "Since when nothing has worked; only there if it is failing" }),
  requestsPerSecond: perSecond.meta({ description: "Of the last 10 seconds" }),
  errorsPerSecond: perSecond.meta({ description: "Answers with a status of 500 or more, of the last 10 seconds" }),
  p50Ms: ms.optional().meta({
    description:
      "The median of the time to an answer's head in the last minute, within 10%; missing if there was no request",
  }),
  p99Ms: ms.optional().meta({ description: "99 of 100 took at most this long, within 10%" }),
  inFlight: count.meta({ description: "How many requests its instances serve now" }),
  waiting: count.meta({ description: "How many requests wait for an instance or a slot" }),
  instances: z.record(z.string(), z.int().min(1)).meta({
    description: "How many instances are in each state; states without instances are left out",
  }),
  memoryBytes: count.meta({ description: "What its instances use now, without caches" }),
  swapBytes: count.meta({ description: "How much of their memory is in the machine's swap" }),
  awakeBytes: count.meta({ description: "What one instance takes while it is awake; 0 if it is not known" }),
  wakes: wakes.meta({ description: "Of the last 60 minutes, by what the instances woke from" }),
  perMinute: z.array(count).meta({
    description: "The requests of each of the last minutes, oldest first; the last one is under way",
  }),
}).meta({
  id: "Activity",
  examples: [{
    service: "shop",
    state: "ready",
    requestsPerSecond: 12.5,
    errorsPerSecond: 0,
    p50Ms: 3.67,
    p99Ms: 29.3,
    inFlight: 1,
    waiting: 0,
    instances: { ready: 1 },
    memoryBytes: 25165824,
    swapBytes: 0,
    awakeBytes: 25165824,
    wakes: { cold: 0, resume: 2, hibernated: 1 },
    perMinute: [0, 0, 0, 0, 0, 0, 310, 742, 690, 125],
  }],
});

/** What a service is doing now, as JSON. */
export type ActivityJson = z.output<typeof activityView>;

/** How busy services are. */
export function activityOperations({ activity }: Collaborators) {
  return [
    operation({
      id: "listActivity",
      route: "GET /v1/activity",
      scope: "read",
      summary: "Tell what each service is doing now, and how busy it was in the last minutes",
      description:
        "Made to be asked every few seconds. The memory is measured at most once a second, however many clients ask.",
      query: {
        minutes: whole(1, 60, { description: "For how many minutes to tell the requests; 10 by default" }).optional(),
      },
      answers: {
        200: {
          description: "The services, by name; those that are not declared only once they have been used",
          schema: z.array(activityView),
        },
      },
      run: async ({ query: { minutes = DEFAULT_MINUTES } }) => json((await activity.now(minutes)).map(showActivity)),
    }),
  ];
}

function showActivity({ failingSince, ...rest }: ServiceActivity): z.input<typeof activityView> {
  return {
    ...rest,
    ...(failingSince === undefined ? {} : { failingSince: timeOf(failingSince) }),
    perMinute: [...rest.perMinute],
  };
}
