import type { ServiceJson } from "../admin/operations/services.ts";
import type { WhatIfJson } from "../admin/operations/what_if.ts";
import { DAY_MS, parseDuration } from "../model/time.ts";
import { servicePath } from "./client.ts";
import { flag } from "./flags.ts";
import { durationText, pairs, sizeText, table } from "./text.ts";
import { type Call, checked, clientVerb, JSON_FLAG, printResult } from "./verb.ts";

const DAYS = 7;
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
    flag(`--days N = ${DAYS}`, "How many days to look back, with today"),
    JSON_FLAG,
  ],
  notes: [
    "It looks at the times in which services had no request, those that are named or all. For one service without flags, it lists what several times to stop after would have brought. NOW has the settings of the latest revision, THEN those of the flags. Nothing is changed: the line at the end does that, as a deploy.",
    "RAM is that of one instance: 1 GB for an hour is 1 GB-hour. What operators and deploys do is left out, and so are more instances than one, unless the service has a minimum.",
  ],
  example: ["cless what-if", "cless what-if shop --pause-after 30s --hibernate-after 2m --stop-after 1h"],
  check: (call) => {
    readAsked(call);
  },
  run: async (call) => {
    const { args: names, client } = call;
    const [name] = names;
    const { asked, days } = readAsked(call);
    const query = { ...Object.fromEntries(asked.map(({ field, value }) => [field, value])), days };
    const estimateOf = (name: string, more = {}) => {
      return client.get<WhatIfJson>(servicePath(name, "what-if"), { query: { ...query, ...more } });
    };
    if (name !== undefined && names.length === 1) {
      const estimate = await estimateOf(name);
      const withStops = !call.on("json") && asked.length === 0 && estimate.minInstances === 0;
      const stops = withStops ? await Promise.all(STOPS.map((stopAfter) => estimateOf(name, { stopAfter }))) : [];
      return printResult(call, estimate, estimateText(name, estimate, asked, stops));
    }
    const listed = name === undefined
      ? await client.list<ServiceJson>("/v1/services")
      : names.map((name) => ({ name }));
    const all: ServiceEstimate[] = [];
    for (const { name: service } of listed) all.push({ service, ...await estimateOf(service) });
    printResult(call, all, all.length === 0 ? "there are no services yet" : overviewText(all, asked));
  },
});

/** The settings to estimate, and how many days to look back. */
function readAsked(call: Call) {
  const asked = SETTINGS.flatMap(([flag, field]) => {
    const [value] = call.read(flag, checked(parseDuration));
    return value === undefined ? [] : [{ flag, field, value }];
  });
  return { asked, days: call.whole("days") ?? DAYS };
}

type ServiceEstimate = WhatIfJson & { readonly service: string };

/** All services, one in a line, with their sums in the last one. */
function overviewText(all: readonly ServiceEstimate[], asked: Asked): string {
  const withThen = asked.length > 0;
  const columns = ["COLD STARTS", "WAKES", "GB-HOURS"];
  const numbers = ({ coldStartsPerDay, gbHoursPerDay, wakesPerDay }: WhatIfJson["now"]) => [
    coldStartsPerDay,
    wakesPerDay.resume + wakesPerDay.hibernated,
    gbHoursPerDay,
  ];
  const valuesOf = ({ now, then }: WhatIfJson) => {
    const after = numbers(then);
    return numbers(now).flatMap((value, at) => withThen ? [value, after[at]!] : [value]);
  };
  const rows = all.map((estimate) => ({
    title: [estimate.service, dayText(estimate.days)],
    values: valuesOf(estimate),
  }));
  const sums = rows[0]!.values.map((_, at) => rows.reduce((sum, { values }) => sum + values[at]!, 0));
  const header = ["NAME", "LOOKED AT", ...columns.flatMap((column) => withThen ? [column, "THEN"] : [column])];
  return [
    table(
      header,
      [...rows, { title: ["all", ""], values: sums }].map(({ title, values }) => [...title, ...values.map(amountText)]),
    ),
    "All numbers are per day. WAKES are those from a pause or from hibernation.",
    ...(all.some(({ canHibernate }) => !canHibernate) ? [CANNOT_HIBERNATE] : []),
    `For one service: cless what-if NAME${flagsText(asked)}`,
  ].join("\n\n");
}

function flagsText(asked: Asked): string {
  return asked.map(({ flag, value }) => ` --${flag} ${value}`).join("");
}

function dayText(days: number): string {
  return days === 0 ? "-" : days >= 1 ? `${amountText(days)} days` : durationText(days * DAY_MS);
}

type Asked = readonly { readonly flag: string; readonly value: string }[];

const EXAMPLES: Asked = [
  { flag: "pause-after", value: "30s" },
  { flag: "hibernate-after", value: "2m" },
  { flag: "stop-after", value: "1h" },
];

/** @param stops Estimates for times to stop after. */
function estimateText(name: string, estimate: WhatIfJson, asked: Asked, stops: readonly WhatIfJson[]): string {
  const { canHibernate, days, gaps, memory, minInstances } = estimate;
  if (days === 0) return `no request of ${name} has been counted yet`;
  const count = gaps.reduce((sum, gap) => sum + gap.count, 0);
  const looked = `${dayText(days)}, with ${count === 1 ? "1 time" : `${count} times`} without a request`;
  const { awakeBytes, hibernatedBytes, pausedBytes } = memory;
  const sizes = [
    `${sizeText(awakeBytes)} awake`,
    `${sizeText(pausedBytes)} paused`,
    ...(canHibernate ? [`${sizeText(hibernatedBytes)} hibernated`] : []),
  ];
  const hasEffect = ({ flag }: Asked[number]) => canHibernate || flag !== "hibernate-after";
  const effective = asked.filter(hasEffect);
  return [
    pairs([["Looked at", looked], ["One instance", sizes.join(", ")]]),
    outcomeTable(estimate, asked.length > 0),
    ...(canHibernate ? [] : [CANNOT_HIBERNATE]),
    ...(minInstances > 0 ? [`Its minInstances is ${minInstances}, so its instances do not sleep.`] : []),
    ...(stops.length > 0 ? [stopTable(estimate.now, stops)] : []),
    ...(asked.length === 0
      ? [`To try other settings: cless what-if ${name}${flagsText(EXAMPLES.filter(hasEffect))}`]
      : []),
    ...(effective.length > 0 ? [`To apply it: cless deploy ${name}${flagsText(effective)}`] : []),
  ].join("\n\n");
}

function outcomeTable({ now, then }: WhatIfJson, withThen: boolean): string {
  const row = (title: string, value: (outcome: WhatIfJson["now"]) => string) => [
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
    row("GB-hours of RAM a day", ({ gbHoursPerDay }) => amountText(gbHoursPerDay)),
  ]);
}

/** What the present time to stop after and others bring, the shortest first. */
function stopTable(now: WhatIfJson["now"], stops: readonly WhatIfJson[]): string {
  const others = stops.map(({ then }) => then).filter((then) => stopText(then) !== stopText(now));
  const rows = [now, ...others].sort((a, b) => parseDuration(a.stopAfter) - parseDuration(b.stopAfter));
  return table(
    ["STOP-AFTER", "COLD STARTS A DAY", "GB-HOURS A DAY"],
    rows.map((outcome) => [
      stopText(outcome) + (outcome === now ? " (now)" : ""),
      ...[outcome.coldStartsPerDay, outcome.gbHoursPerDay].map(amountText),
    ]),
  );
}

function stopText({ stopAfter, stopHibernatedAfter }: WhatIfJson["now"]): string {
  return stopAfter === stopHibernatedAfter
    ? settingText(stopAfter)
    : `${settingText(stopAfter)}, hibernated ${settingText(stopHibernatedAfter)}`;
}

function settingText(duration: string): string {
  return duration === "0" ? "never" : duration;
}

/** Two digits are as many as an estimate has. */
function amountText(amount: number): string {
  return String(amount >= 10 ? Math.round(amount) : Number(amount.toPrecision(2)));
}
