import type { WakeJson } from "../admin/operations/wakes.ts";
import { ROBOTS } from "../routing/known_robots.ts";
import { servicePath } from "./client.ts";
import { flag } from "./flags.ts";
import { ago, atHeading, durationText, plainText, table, timeText } from "./text.ts";
import { clientVerb, JSON_FLAG, printJson } from "./verb.ts";

/** All that the API has of one service. */
const MAX = 1000;
const LIMIT = 50;
/** The summary names this many. */
const MOST = 4;

/** `cless wakes`: lists who woke services. */
export const wakes = clientVerb({
  name: "wakes",
  summary: "List who woke a service or all services in the last day, the newest first",
  args: ["[NAME]"],
  flags: [flag(`-n, --limit N = ${LIMIT}`, "How many at most"), JSON_FLAG],
  notes: [
    "WAKE is from what: cold (a container was started), resume (a paused one went on) or hibernated (its memory was in the swap). TOOK is how long the visitor waited for it: until the container was ready, or until the first answer of one that went on.",
    "WHO is the request that waited the longest, with the network of its client and what its user agent says it is; or an operator by the name of the token, a deploy, or cless itself: for a minimum of instances, or in place of another instance. --wake-log of cless serve says what is kept of a request.",
    "Robots that should wake nothing: see cless robots, and --wake-except-agent of cless deploy.",
  ],
  example: ["cless wakes", "cless wakes shop", "cless wakes shop --json | jq -r '.[].by.userAgent'"],
  check: (call) => {
    call.whole("limit");
  },
  run: async (call) => {
    const { args: [name], client } = call;
    const limit = Math.max(1, call.whole("limit") ?? LIMIT);
    const query = { ...(name === undefined ? {} : { service: name }), limit: Math.min(MAX, limit) };
    if (call.on("json")) return printJson(await client.get<WakeJson[]>("/v1/wakes", { query }));
    const all = await client.get<WakeJson[]>("/v1/wakes", { query: { ...query, limit: MAX } });
    if (all.length === 0) {
      if (name !== undefined) await client.get(servicePath(name)); // says if there is no such service
      return console.error(`nothing woke ${name ?? "a service"} in the last day`);
    }
    console.log(`${summaryText(all, name)}\n\n${wakeTable(all.slice(0, limit), name === undefined)}`);
  },
});

/** `shop woke 12 times in the last day: 9 by Googlebot (robot), 3 by curl from 203.0.113.0/24`. */
function summaryText(wakes: readonly WakeJson[], name: string | undefined): string {
  const counts = [...Map.groupBy(wakes, (wake) => whoText(wake))].map(([who, { length }]) => ({ who, length }))
    .sort((a, b) => b.length - a.length);
  const [most, others] = [counts.slice(0, MOST), counts.slice(MOST)];
  const rest = others.reduce((sum, { length }) => sum + length, 0);
  const named = most.map(({ who, length }) => counts.length === 1 ? `by ${who}` : `${length} by ${who}`);
  const times = wakes.length === 1 ? "once" : `${wakes.length}${wakes.length === MAX ? " or more" : ""} times`;
  const list = [...named, ...(rest > 0 ? [`${rest} by others`] : [])].join(", ");
  return `${name ?? "services"} woke ${times} in the last day${counts.length === 1 ? "," : ":"} ${list}`;
}

function wakeTable(wakes: readonly WakeJson[], withService: boolean): string {
  const columns = ["WHEN", atHeading(), ...(withService ? ["SERVICE"] : []), "WAKE", "TOOK", "WHO"];
  const rows = wakes.map((wake) => [
    ...[ago(wake.at), timeText(wake.at), ...(withService ? [wake.service] : [])],
    ...[wake.how, durationText(wake.ms), [whoText(wake), ...requestText(wake)].join(": ")],
  ]);
  return table(columns, rows);
}

/** Who made an instance wake, without what was requested. */
function whoText({ by }: WakeJson): string {
  switch (by.kind) {
    case "request": {
      const agent = by.userAgent === undefined ? undefined : agentText(by.userAgent, by.robot === true);
      const from = by.network === undefined ? undefined : `from ${plainText(by.network)}`;
      return [agent ?? "a request", ...(from === undefined ? [] : [from])].join(" ");
    }
    case "operator":
      return `the operator ${plainText(by.name ?? "-")}`;
    case "deploy":
      return "a deploy";
    case "minimum":
      return "cless itself";
    case "unknown":
      return "somebody unknown";
  }
}

/** What was requested, if that is kept. */
function requestText({ by: { host, method, path } }: WakeJson): string[] {
  return method === undefined ? [] : [plainText(`${method} ${host ?? ""}${path ?? ""}`)];
}

/** Browsers name others as well; the first that fits is the one. */
const BROWSERS = [["Edge", /\bEdgA?\//], ["Opera", /\bOPR\//], ["Firefox", /\b(?:Firefox|FxiOS)\//], [
  "Chrome",
  /\b(?:Chrome|CriOS)\//,
], ["Safari", /\bSafari\//]] as const;

/** What a user agent says that it is, in one or two words. */
function agentText(userAgent: string, isRobot: boolean): string {
  const lower = userAgent.toLowerCase();
  const robot = isRobot ? ROBOTS.find(({ token }) => lower.includes(token.toLowerCase()))?.token : undefined;
  if (isRobot) return `${robot ?? "a robot"} (robot)`;
  const [browser] = BROWSERS.find(([, pattern]) => pattern.test(userAgent)) ?? [];
  return browser ?? (plainText(userAgent).split(/[\s(]/)[0] || "a request");
}
