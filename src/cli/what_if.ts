import type { ServiceJson } from "../admin/operations/services.ts";
import type { WhatIfJson } from "../admin/operations/what_if.ts";
import { DAY_MS, parseDuration } from "../model/time.ts";
import { UsageError } from "../base/errors.ts";
import { servicePath } from "./client.ts";
import { flag } from "./flags.ts";
import { durationText, pairs, sizeText, table } from "./text.ts";
import { type Call, checked, clientVerb, JSON_FLAG, printResult } from "./verb.ts";
import { goalText } from "./what_if_goal.ts";
import {
  amountText,
  type Asked,
  caveatOf,
  flagsText,
  gapCount,
  gapsText,
  gbHoursText,
  type Outcome,
  type ServiceEstimate,
  settingText,
  stopText,
} from "./what_if_text.ts";

const DAYS = 7;
const GOAL = "--max-cold-starts 5";
const CANNOT_HIBERNATE = "This machine cannot hibernate now, so hibernateAfter has no effect; cless doctor says why.";
/** The times to stop after that are compared where none is asked for. */
const STOPS = ["5m", "10m", "15m", "20m", "30m", "45m", "1h", "90m", "2h", "3h", "6h", "12h", "24h"];

/** The flags of settings, as `deploy` has them, with the names of their fields. */
const SETTINGS = [
  ["pause-after", "pauseAfter"],
  ["hibernate-after", "hibernateAfter"],
  ["stop-after", "stopAfter"],
] as const;

/** `cless what-if`: estimates what a service, or each of them, would cost with other settings. */
export const whatIf = clientVerb({
  name: "what-if",
  summary: "Estimate the cold starts and memory that other settings would have brought",
  args: ["[NAME…]"],
  flags: [
    flag("--pause-after TIME", "How long an instance may be idle before it is paused; 0 is never"),
    flag("--hibernate-after TIME", "How long before its memory is moved to the machine's swap; 0 is never"),
    flag("--stop-after TIME", "How long before it is stopped; 0 is never"),
    flag(
      "--max-cold-starts N",
      "Instead of --stop-after: find the shortest time with which each service has at most so many cold starts a day",
    ),
    flag(`--days N = ${DAYS}`, "How many days to look back, with today"),
    JSON_FLAG,
  ],
  notes: [
    "It looks at the times in which services had no request, those that are named or all. For one service without flags, it lists what several times to stop after would have brought. NOW has the settings of the latest revision, THEN those of the flags. Nothing is changed: the line at the end does that, as a deploy.",
    "RAM is that of one instance: 1 GB for an hour is 1 GB-hour. The part while idle, without a request under way, is what the settings change. What operators and deploys do is left out, and so are more instances than one, unless the service has a minimum.",
  ],
  example: [
    "cless what-if",
    "cless what-if --max-cold-starts 5",
    "cless what-if shop --pause-after 30s --hibernate-after 2m --stop-after 1h",
  ],
  check: (call) => {
    readAsked(call);
  },
  run: async (call) => {
    const { args: names, client } = call;
    const [name] = names;
    const { asked, days, maxColdStarts } = readAsked(call);
    const settings = Object.fromEntries(asked.map(({ field, value }) => [field, value]));
    const query = { ...settings, maxColdStarts, days };
    const estimateOf = (name: string, more = {}) => {
      return client.get<WhatIfJson>(servicePath(name, "what-if"), { query: { ...query, ...more } });
    };
    if (name !== undefined && names.length === 1 && maxColdStarts === undefined) {
      const isFailing = (await client.find<ServiceJson>(servicePath(name)))?.state === "failing";
      const estimate = await estimateOf(name);
      const withStops = !call.on("json") && asked.length === 0 && estimate.minInstances === 0;
      const stops = withStops ? await Promise.all(STOPS.map((stopAfter) => estimateOf(name, { stopAfter }))) : [];
      const caveat = isFailing ? `${name}: ${caveatOf(estimate, true)}\n\n` : "";
      return printResult(call, estimate, caveat + estimateText(name, estimate, asked, stops));
    }
    const services = await client.list<ServiceJson>("/v1/services");
    const failing = new Set(services.filter(({ state }) => state === "failing").map(({ name }) => name));
    const all: ServiceEstimate[] = [];
    for (const service of name === undefined ? services.map(({ name }) => name) : names) {
      all.push({ service, ...await estimateOf(service) });
    }
    if (all.length === 0) return printResult(call, all, "there are no services yet");
    const text = maxColdStarts === undefined
      ? overviewText(all, asked, failing)
      : goalText(all, maxColdStarts, asked, failing);
    printResult(call, all, text);
  },
});

/** The settings to estimate, and how many days to look back. */
function readAsked(call: Call) {
  const asked = SETTINGS.flatMap(([flag, field]) => {
    const [value] = call.read(flag, checked(parseDuration));
    return value === undefined ? [] : [{ flag, field, value }];
  });
  const maxColdStarts = call.whole("max-cold-starts");
  if (maxColdStarts !== undefined && asked.some(({ flag }) => flag === "stop-after")) {
    call.attempt(() => {
      throw new UsageError("--max-cold-starts finds the time to stop after; give it or --stop-after");
    });
  }
  return { asked, days: call.whole("days") ?? DAYS, maxColdStarts };
}

/** All services but those that are failing, one in a line, with their sums in the last one. */
function overviewText(
  estimates: readonly ServiceEstimate[],
  asked: Asked,
  failing: ReadonlySet<string>,
): string {
  const all = estimates.filter(({ service }) => !failing.has(service));
  const withThen = asked.length > 0;
  const columns = ["COLD STARTS", "WAKES", "GB-HOURS", "WHILE IDLE"];
  const numbers = ({ coldStartsPerDay, gbHoursPerDay, idleGbHoursPerDay, wakesPerDay }: Outcome) => [
    coldStartsPerDay,
    wakesPerDay.resume + wakesPerDay.hibernated,
    gbHoursPerDay,
    idleGbHoursPerDay,
  ];
  const valuesOf = ({ now, then }: WhatIfJson) => (withThen ? [numbers(now), numbers(then)] : [numbers(now)]);
  const rows = all.map((estimate) => ({
    title: [estimate.service, dayText(estimate.days)],
    values: valuesOf(estimate),
  }));
  const cells = (values: readonly number[][]) =>
    columns.flatMap((_, at) => values.map((some) => (at < 2 ? amountText : gbHoursText)(some[at]!)));
  const header = ["NAME", "LOOKED AT", ...columns.flatMap((column) => withThen ? [column, "THEN"] : [column])];
  const caveats = estimates.flatMap((estimate) => {
    const caveat = caveatOf(estimate, failing.has(estimate.service));
    return caveat === undefined ? [] : [`${estimate.service}: ${caveat}`];
  });
  return [
    ...(rows.length === 0
      ? []
      : [table(header, [...rows, sumsOf(rows)].map(({ title, values }) => [...title, ...cells(values)]))]),
    ...(caveats.length > 0 ? [caveats.join("\n")] : []),
    "All numbers are per day. WAKES are those from a pause or from hibernation. WHILE IDLE is the part of the GB-hours without a request under way: only that changes with the settings.",
    ...(all.some(({ canHibernate }) => !canHibernate) ? [CANNOT_HIBERNATE] : []),
    `For one service: cless what-if NAME${flagsText(asked)}`,
    ...(withThen ? [] : [`For a goal: cless what-if ${GOAL}`]),
  ].join("\n\n");
}

interface Row {
  readonly title: string[];
  /** Numbers as they are now, and as they would be then. */
  readonly values: number[][];
}

function sumsOf(rows: readonly Row[]): Row {
  const add = (a: number[], b: number[]) => a.map((value, at) => value + b[at]!);
  const values = rows.map(({ values }) => values).reduce((a, b) => a.map((numbers, at) => add(numbers, b[at]!)));
  return { title: ["all", ""], values };
}

function dayText(days: number): string {
  return days === 0 ? "-" : days >= 1 ? `${amountText(days)} days` : durationText(days * DAY_MS);
}

/** @param stops Estimates for times to stop after. */
function estimateText(name: string, estimate: WhatIfJson, asked: Asked, stops: readonly WhatIfJson[]): string {
  const { canHibernate, days, gaps, memory, minInstances, now } = estimate;
  if (days === 0) return `no request of ${name} has been counted yet`;
  const looked = `${dayText(days)}, with ${gapsText(gapCount(gaps))} without a request`;
  const { awakeBytes, hibernatedBytes, pausedBytes } = memory;
  const sizes = [
    `${sizeText(awakeBytes)} awake`,
    `${sizeText(pausedBytes)} paused`,
    ...(canHibernate ? [`${sizeText(hibernatedBytes)} hibernated`] : []),
  ];
  const hasEffect = ({ flag }: Asked[number]) => canHibernate || flag !== "hibernate-after";
  const effective = asked.filter(hasEffect);
  const best = bestStop(now, stops);
  return [
    pairs([["Looked at", looked], ["One instance", sizes.join(", ")]]),
    outcomeTable(estimate, asked.length > 0),
    ...(canHibernate ? [] : [CANNOT_HIBERNATE]),
    ...(minInstances > 0 ? [`Its minInstances is ${minInstances}, so its instances do not sleep.`] : []),
    ...(stops.length > 0 ? [stopTable(now, stops)] : []),
    ...(best === undefined ? [] : [
      `With no more cold starts than now, it takes ${
        gbHoursText(best.idleGbHoursPerDay)
      } GB-hours a day while idle: cless deploy ${name} --stop-after ${best.stopAfter}`,
    ]),
    ...(stops.length > 0 ? [`For a goal: cless what-if ${name} ${GOAL}`] : []),
    ...(effective.length > 0 ? [`To apply it: cless deploy ${name}${flagsText(effective)}`] : []),
  ].join("\n\n");
}

/**
 * The shortest time to stop after that brings no more cold starts than the present one, and less memory while idle;
 * `undefined` if there is none.
 */
function bestStop(now: Outcome, stops: readonly WhatIfJson[]): Outcome | undefined {
  return stops.map(({ then }) => then).find(({ coldStartsPerDay, idleGbHoursPerDay }) =>
    coldStartsPerDay <= now.coldStartsPerDay && Number(gbHoursText(idleGbHoursPerDay)) < now.idleGbHoursPerDay
  );
}

function outcomeTable({ now, then }: WhatIfJson, withThen: boolean): string {
  const row = (title: string, value: (outcome: Outcome) => string) => [
    ...[title, value(now)],
    ...(withThen ? [value(then)] : []),
  ];
  return table(["", "NOW", ...(withThen ? ["THEN"] : [])], [
    row("pauseAfter", ({ pauseAfter }) => settingText(pauseAfter)),
    row("hibernateAfter", ({ hibernateAfter }) => settingText(hibernateAfter)),
    row("stopAfter", stopText),
    row("cold starts a day", ({ coldStartsPerDay }) => amountText(coldStartsPerDay)),
    row("resumes a day", ({ wakesPerDay }) => amountText(wakesPerDay.resume)),
    row("wakes from hibernation a day", ({ wakesPerDay }) => amountText(wakesPerDay.hibernated)),
    row("GB-hours of RAM a day", ({ gbHoursPerDay }) => gbHoursText(gbHoursPerDay)),
    row("of these while idle", ({ idleGbHoursPerDay }) => gbHoursText(idleGbHoursPerDay)),
  ]);
}

/** What the present time to stop after and others bring, the shortest first. */
function stopTable(now: Outcome, stops: readonly WhatIfJson[]): string {
  const others = stops.map(({ then }) => then).filter((then) => stopText(then) !== stopText(now));
  const rows = [now, ...others].sort((a, b) => parseDuration(a.stopAfter) - parseDuration(b.stopAfter));
  return table(
    ["STOP-AFTER", "COLD STARTS A DAY", "GB-HOURS A DAY", "WHILE IDLE"],
    rows.map((outcome) => [
      stopText(outcome) + (outcome === now ? " (now)" : ""),
      amountText(outcome.coldStartsPerDay),
      ...[outcome.gbHoursPerDay, outcome.idleGbHoursPerDay].map(gbHoursText),
    ]),
  );
}
