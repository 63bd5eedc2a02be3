import { z } from "zod";
import { gapEndOf } from "../../control/figures/idle_gaps.ts";
import type { HoldingLimit, RevisionLimits } from "../../control/revision_limits.ts";
import * as field from "../../control/schema/fields.ts";
import { type IdleSettings, shortestStopMs, type WhatIf, whatIf } from "../../control/figures/what_if.ts";
import { ClessError } from "../../base/errors.ts";
import { formatDuration, parseDuration } from "../../model/time.ts";
import { json } from "../body.ts";
import type { Collaborators } from "../collaborators.ts";
import { serviceParam, whole } from "../common_fields.ts";
import { tagged } from "../operation.ts";
import { serviceOf } from "./services.ts";

const operation = tagged("services");
const DAYS = 7;
const amount = z.number().min(0);
const bytes = z.int().min(0);

const outcomeView = z.strictObject({
  pauseAfter: z.string(),
  hibernateAfter: z.string(),
  stopAfter: z.string(),
  stopHibernatedAfter: z.string().meta({
    description: "The `stopAfter` of an instance that hibernates. It is the same, unless neither the service nor " +
      "`--stop-after` of cless serve sets one",
  }),
  coldStartsPerDay: amount,
  wakesPerDay: z.strictObject({ resume: amount, hibernated: amount }).meta({
    description: "Those from a pause, and those from hibernation",
  }),
  gbHoursPerDay: amount.meta({ description: "RAM, multiplied by the time; a GB has 10^9 bytes" }),
  idleGbHoursPerDay: amount.meta({
    description: "The part of it in times of a second or more without a request: the only part that settings change",
  }),
});

const whatIfView = z.strictObject({
  days: amount.meta({
    description: "For how many of the asked days requests were counted. Counts are per day of these, or of one whole " +
      "day if it was less; 0 if nothing is known yet",
  }),
  canHibernate: z.boolean().meta({
    description: "Whether this machine can move memory to disk now. If not, `hibernateAfter` has no effect",
  }),
  minInstances: z.int().min(0).meta({ description: "Where it is not 0, instances neither sleep nor stop" }),
  gaps: z.array(z.strictObject({
    upToSeconds: z.number().gt(0).optional().meta({ description: "Missing for those of more than 80 days" }),
    count: z.int().min(1),
  })).meta({
    description: "How many times without a request lasted at most `upToSeconds`, and longer than the entry before " +
      "says; those below a second, and entries without any, are left out",
  }),
  memory: z.strictObject({ awakeBytes: bytes, pausedBytes: bytes, hibernatedBytes: bytes }).meta({
    description:
      "The RAM of one instance, as it was last measured. Where a paused one was never measured, it is taken " +
      "to use as much as one that is awake, and a hibernated one 5% of that",
  }),
  now: outcomeView,
  then: outcomeView,
}).meta({
  id: "WhatIf",
  examples: [{
    days: 6.5,
    canHibernate: true,
    minInstances: 0,
    gaps: [{ upToSeconds: 64, count: 3 }, { upToSeconds: 861, count: 1 }],
    memory: { awakeBytes: 25165824, pausedBytes: 12582912, hibernatedBytes: 1258291 },
    now: {
      ...{ pauseAfter: "1m", hibernateAfter: "5m", stopAfter: "10m", stopHibernatedAfter: "24h" },
      ...{
        coldStartsPerDay: 0,
        wakesPerDay: { resume: 0.31, hibernated: 0.31 },
        gbHoursPerDay: 0.03,
        idleGbHoursPerDay: 0.028,
      },
    },
    then: {
      ...{ pauseAfter: "30s", hibernateAfter: "2m", stopAfter: "1h", stopHibernatedAfter: "1h" },
      ...{
        coldStartsPerDay: 0,
        wakesPerDay: { resume: 0.46, hibernated: 0.15 },
        gbHoursPerDay: 0.02,
        idleGbHoursPerDay: 0.018,
      },
    },
  }],
});

/** What a service would cost with other settings, in JSON. */
export type WhatIfJson = z.output<typeof whatIfView>;

/** What services would cost with other settings. */
export function whatIfOperations({ catalog, engine, estimates, meter, revisionLimits }: Collaborators) {
  return [
    operation({
      id: "estimate",
      route: "GET /v1/services/{name}/what-if",
      scope: "read",
      summary: "Estimate the cold starts, the wakes and the memory that other settings would have brought",
      description:
        "Taken from the times in which the service had no request. `now` has the settings of the latest revision, and " +
        "`then` those that are asked for, the others as now. It counts one instance, or `minInstances`, and neither " +
        "what operators and deploys do nor what short memory ends early.",
      params: { name: serviceParam },
      query: {
        pauseAfter: field.duration.optional(),
        hibernateAfter: field.duration.optional(),
        stopAfter: field.duration.optional(),
        maxColdStarts: whole(0, 1000, {
          description: "Instead of `stopAfter`: `then` has the shortest of some times to stop after with which there " +
            "would be at most so many cold starts a day. It is as now where fewer than 5 times without a request are " +
            "recorded, or `minInstances` is not 0",
        }).optional(),
        days: whole(1, 30, { description: `How many days to look back, with today; ${DAYS} by default` }).optional(),
      },
      answers: { 200: { description: "The estimate", schema: whatIfView } },
      errors: ["not_found", "store_unavailable"],
      run: async ({ params: { name }, query: { days: asked = DAYS, maxColdStarts, ...query } }) => {
        if (maxColdStarts !== undefined && query.stopAfter !== undefined) {
          throw new ClessError("invalid", "maxColdStarts chooses stopAfter: ask for one of them");
        }
        const { latestRevision } = serviceOf(catalog, name);
        const latest = catalog.revisions(name)?.find((revision) => revision.name === latestRevision);
        if (latest === undefined) throw new ClessError("not_found", `there is no service ${name}`);
        await meter.costs([name]); // measures what is awake
        const { bytes, days, idleness } = estimates.basisOf(name, asked);
        const { canHibernate } = engine;
        const options = { bytes, canHibernate, perDays: Math.max(1, days) };
        const outcomeOf = (settings: IdleSettings) => showOutcome(settings, whatIf(idleness, settings, options));
        const now = settingsOf(revisionLimits.of(latest));
        const then = changed(now, query);
        const stopMs = maxColdStarts === undefined ? undefined : shortestStopMs(idleness, then, options, maxColdStarts);
        const view: WhatIfJson = {
          days: rounded(days),
          canHibernate,
          minInstances: now.minInstances,
          gaps: idleness.gaps.map(({ bucket, count }) => {
            const upToSeconds = gapEndOf(bucket);
            return upToSeconds === Infinity ? { count } : { upToSeconds: rounded(upToSeconds), count };
          }),
          memory: bytes,
          now: outcomeOf(now),
          then: outcomeOf(
            stopMs === undefined ? then : { ...then, stopAfterMs: stopMs, stopHibernatedAfterMs: stopMs },
          ),
        };
        return json(view);
      },
    }),
  ];
}

/** When instances of a revision with these limits sleep. */
function settingsOf(limits: ReturnType<RevisionLimits["of"]>): IdleSettings {
  const msOf = (limit: HoldingLimit) => parseDuration(String(limit.value));
  return {
    minInstances: Number(limits.minInstances.value),
    pauseAfterMs: msOf(limits.pauseAfter),
    hibernateAfterMs: msOf(limits.hibernateAfter),
    stopAfterMs: msOf(limits.stopAfter),
    stopHibernatedAfterMs: msOf(limits.stopHibernatedAfter),
  };
}

type Change = { readonly [Name in "pauseAfter" | "hibernateAfter" | "stopAfter"]?: string | undefined };

function changed(settings: IdleSettings, { hibernateAfter, pauseAfter, stopAfter }: Change): IdleSettings {
  return {
    ...settings,
    ...(pauseAfter === undefined ? {} : { pauseAfterMs: parseDuration(pauseAfter) }),
    ...(hibernateAfter === undefined ? {} : { hibernateAfterMs: parseDuration(hibernateAfter) }),
    ...(stopAfter === undefined ? {} : {
      stopAfterMs: parseDuration(stopAfter),
      stopHibernatedAfterMs: parseDuration(stopAfter),
    }),
  };
}

function showOutcome(
  settings: IdleSettings,
  { coldStartsPerDay, gbHoursPerDay, idleGbHoursPerDay, wakesPerDay }: WhatIf,
) {
  return {
    pauseAfter: formatDuration(settings.pauseAfterMs),
    hibernateAfter: formatDuration(settings.hibernateAfterMs),
    stopAfter: formatDuration(settings.stopAfterMs),
    stopHibernatedAfter: formatDuration(settings.stopHibernatedAfterMs),
    coldStartsPerDay: rounded(coldStartsPerDay),
    wakesPerDay: { resume: rounded(wakesPerDay.resume), hibernated: rounded(wakesPerDay.hibernated) },
    gbHoursPerDay: rounded(gbHoursPerDay),
    idleGbHoursPerDay: rounded(idleGbHoursPerDay),
  };
}

/** Three digits are more than an estimate knows. */
function rounded(value: number): number {
  return Number(value.toPrecision(3));
}
