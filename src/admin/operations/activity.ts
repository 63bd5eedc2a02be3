import { z } from "zod";
import type { ServiceActivity } from "../../control/figures/activity.ts";
import { quantileOf } from "../../control/figures/histogram.ts";
import type { Timeline } from "../../control/figures/past.ts";
import type { Period } from "../../control/figures/records.ts";
import { SERVICE_STATES } from "../../control/service_status.ts";
import { HOUR_MS, MINUTE_MS } from "../../model/time.ts";
import { json } from "../body.ts";
import type { Collaborators } from "../collaborators.ts";
import { serviceParam, time, timeOf, whole } from "../common_fields.ts";
import { tagged } from "../operation.ts";
import { serviceOf } from "./services.ts";
import { how, wakerView } from "./wakes.ts";

const operation = tagged("activity");
const DEFAULT_MINUTES = 10;
const DAY_MINUTES = 24 * 60;
const WEEK_MINUTES = 7 * DAY_MINUTES;
const MAX_MINUTES = 90 * DAY_MINUTES;
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

const seconds = z.number().min(0);

const pointView = z.strictObject({
  at: time.meta({ description: "When the minute or hour begins" }),
  requests: count,
  errors: count.meta({ description: "How many answers had a status of 500 or more" }),
  p50Ms: ms.optional().meta({
    description: "The median of the time to an answer's head, within 10%; missing if there was no request",
  }),
  p99Ms: ms.optional().meta({ description: "99 of 100 took at most this long, within 10%" }),
  seconds: z.strictObject({ ready: seconds, starting: seconds, paused: seconds, hibernated: seconds }).meta({
    description: "For how long the service was in these states; all others are left out",
  }),
  wakes,
});

const pointsView = z.strictObject({
  step: z.enum(["minute", "hour"]),
  from: time,
  to: time,
  points: z.array(pointView).meta({
    description: "Oldest first; those are left out in which the service had neither requests nor instances",
  }),
}).meta({
  id: "ServiceActivity",
  examples: [{
    step: "minute",
    from: "2026-11-25T09:01:00.000Z",
    to: "2026-11-25T10:00:12.345Z",
    points: [{
      at: "2026-11-25T09:58:00.000Z",
      requests: 31,
      errors: 0,
      p50Ms: 3.67,
      p99Ms: 29.3,
      seconds: { ready: 41.5, starting: 0, paused: 18.5, hibernated: 0 },
      wakes: { cold: 0, resume: 1, hibernated: 0 },
    }],
  }],
});

const timelineView = z.strictObject({
  service: z.string(),
  from: time,
  spells: z.array(z.strictObject({
    state: z.enum([...SERVICE_STATES, "unknown"]).meta({
      description: "`unknown` while cless did not run, or is not known to have run: see the documentation",
    }),
    from: time,
    failure: z.string().optional().meta({ description: "Why it failed" }),
  })).meta({
    description:
      "Each lasts until the next one, and the last one until now. The first begins at from, or when the service was made. At most 500: the longest",
  }),
  deploys: z.array(z.strictObject({
    at: time.meta({ description: "When it began" }),
    outcome: z.enum(["deployed", "failed", "called off"]),
    revision: z.string().optional(),
    by: z.string().meta({ description: "The name of the token that was used" }),
  })).meta({ description: "Those that have ended, oldest first" }),
  wakes: z.array(z.strictObject({ at: time, revision: z.string(), how, ms, by: wakerView })).meta({
    description: "The newest 200, oldest first",
  }),
}).meta({
  id: "Timeline",
  examples: [{
    service: "shop",
    from: "2026-11-24T10:00:00.000Z",
    spells: [
      { state: "paused", from: "2026-11-24T10:00:00.000Z" },
      { state: "ready", from: "2026-11-25T03:12:07.000Z" },
    ],
    deploys: [{ at: "2026-11-24T17:20:00.000Z", outcome: "failed", revision: "shop-00003", by: "ci" }],
    wakes: [{
      at: "2026-11-25T03:12:07.000Z",
      revision: "shop-00002",
      how: "resume",
      ms: 3.2,
      by: { kind: "request", method: "GET", path: "/cart", network: "203.0.113.0/24" },
    }],
  }],
});

/** What a service did in the last day, in JSON. */
export type TimelineJson = z.output<typeof timelineView>;

/** How busy services are, and were. */
export function activityOperations({ activity, catalog, now = Date.now, past }: Collaborators) {
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
    operation({
      id: "showActivity",
      route: "GET /v1/services/{name}/activity",
      scope: "read",
      summary: "Tell how busy a service was, by minute or by hour",
      description: "Minutes are retained for a day, hours for 90 days.",
      params: { name: serviceParam },
      query: {
        step: z.enum(["minute", "hour"]).optional().meta({
          description: "How long each point is; `minute` by default",
        }),
        minutes: whole(1, MAX_MINUTES, {
          description: "How many minutes to look back: a day by default, or 7 days with `step=hour`",
        }).optional(),
      },
      answers: { 200: { description: "What it did", schema: pointsView } },
      errors: ["not_found", "store_unavailable"],
      run: ({ params: { name }, query: { step = "minute", minutes } }) => {
        const service = serviceOf(catalog, name).name;
        const stepMs = step === "minute" ? MINUTE_MS : HOUR_MS;
        const count = step === "minute"
          ? Math.min(minutes ?? DAY_MINUTES, DAY_MINUTES)
          : Math.ceil((minutes ?? WEEK_MINUTES) / 60);
        const to = now();
        const from = (Math.floor(to / stepMs) - count + 1) * stepMs;
        const periods = step === "minute" ? past.minutes(service, count) : past.hours(service, count);
        return json({
          step,
          from: timeOf(from),
          to: timeOf(to),
          points: periods.map((period) => showPoint(period, stepMs)),
        });
      },
    }),
    operation({
      id: "listTimelines",
      route: "GET /v1/timelines",
      scope: "read",
      summary: "Tell what each service did in the last day, with its deploys and wakes",
      description: "Also tells of services that were deployed and never worked, and of undeclared ones that were used.",
      query: {
        hours: whole(1, 24, { description: "How many hours to look back; 24 by default" }).optional(),
        service: z.string().max(100).optional().meta({ description: "Only this service" }),
      },
      answers: { 200: { description: "The services, by name", schema: z.array(timelineView) } },
      errors: ["store_unavailable"],
      run: ({ query: { hours = 24, service } }) => json(past.timelines(hours, service).map(showTimeline)),
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

function showPoint({ at, errors, latencies, requests, times, wakes }: Period, stepMs: number) {
  const seconds = (ms: number) => Math.round(ms) / 1000;
  return {
    at: timeOf(at * stepMs),
    requests,
    errors,
    ...(latencies.length === 0 ? {} : { p50Ms: quantileOf(latencies, 0.5), p99Ms: quantileOf(latencies, 0.99) }),
    seconds: {
      ready: seconds(times.ready),
      starting: seconds(times.starting),
      paused: seconds(times.paused),
      hibernated: seconds(times.hibernated),
    },
    wakes,
  };
}

function showTimeline({ deploys, from, service, spells, wakes }: Timeline): z.input<typeof timelineView> {
  return {
    service,
    from: timeOf(from),
    spells: spells.map((spell) => ({ ...spell, from: timeOf(spell.from) })),
    deploys: deploys.map(({ by, outcome, revision, startedAt }) => ({ at: timeOf(startedAt), outcome, revision, by })),
    wakes: wakes.map(({ at, by, how, ms, revision }) => ({ at: timeOf(at), revision, how, ms, by })),
  };
}
