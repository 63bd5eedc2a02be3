import type { HistoryJson } from "../admin/operations/history.ts";
import type { ServiceJson } from "../admin/operations/services.ts";
import { OperatorError, UsageError } from "../base/errors.ts";
import { LATEST } from "../model/traffic.ts";
import { ApiError, changeService, type Client, type Query, servicePath } from "./client.ts";
import { flag, readGiven } from "./flags.ts";
import { changeText } from "./history.ts";
import { changedTraffic, parsePart, parseTag, type TrafficChange } from "./traffic_change.ts";
import { ago, plainText, sharesText, splitText, table } from "./text.ts";
import { type Call, clientVerb, JSON_FLAG, printResult, QUIET_FLAG } from "./verb.ts";

/** The most entries of a history that the API lists at once. */
const MAX_HISTORY = 1000;
const DRY_RUN_FLAG = flag("--dry-run", "Say what would change, and change nothing");

/** `cless traffic`: shows or changes how a service's requests are split, and its revisions' tags. */
export const traffic = clientVerb({
  name: "traffic",
  summary: "Show or split the traffic of a service among its revisions",
  args: ["NAME", "[REVISION=PERCENT[,tag=TAG]…]"],
  flags: [
    flag(
      "--tag REVISION=TAG…",
      "Give a revision an address of its own, TAG--NAME; the revision that has the tag now loses it",
    ),
    flag("--untag TAG…", "Remove a tag"),
    DRY_RUN_FLAG,
    JSON_FLAG,
    QUIET_FLAG,
  ],
  notes: [
    "With NAME alone, the present split is shown.",
    "The listed revisions are the whole split, and their percents sum to 100; any other revision gets nothing. latest stands for whichever revision was deployed last, and a tag for the revision that has it.",
    "Revisions keep their tags, even if they are not listed, unless a tag is moved or removed; tag= with nothing after it removes one too. With only --tag or --untag, the percents stay.",
  ],
  example: [
    "cless traffic web",
    "cless traffic web web-00002=70 web-00001=30",
    "cless traffic web latest=100",
    "cless traffic web next=100",
    "cless traffic web --tag web-00003=next",
  ],
  check: (call) => {
    call.read("tag", parseTag);
  },
  run: async (call) => {
    const [name = "", ...texts] = call.args;
    const wanted: TrafficChange = {
      parts: texts.map((text) => readGiven(text, parsePart)),
      tags: call.read("tag", parseTag),
      untag: call.texts("untag"),
    };
    const { client } = call;
    if (wanted.parts.length + wanted.tags.length + wanted.untag.length === 0) {
      const service = await client.get<ServiceJson>(servicePath(name));
      return printResult(call, service, trafficTable(service));
    }
    const { after, before } = await changeService(client, name, async (service) => {
      if (service === undefined) throw new ApiError(404, [`there is no service ${name}`]);
      const missing = wanted.untag.find((untag) => !service.traffic.some(({ tag }) => tag === untag));
      if (missing !== undefined) throw new OperatorError(`no revision of ${name} has the tag ${missing}`);
      const change = await withoutTagNames(client, service, wanted);
      const names = change.parts.map(({ revision }) => revision);
      const twice = names.find((revision, at) => names.indexOf(revision) < at);
      if (twice !== undefined) throw new UsageError(`${twice} is listed twice; give it one percent`);
      const body = changedTraffic(service.traffic, service.latestRevision, change);
      const request = { body, query: dryRunQuery(call), ifMatch: service.etag };
      const after = await client.json<ServiceJson>("PUT", servicePath(name, "traffic"), request);
      return { before: service, after };
    });
    if (call.on("dry-run")) printChange(call, before, after);
    else printResult(call, after, `${after.name}: ${splitText(after.traffic)}`);
  },
});

/** `cless rollback`: undoes the last change of a service's traffic. */
export const rollback = clientVerb({
  name: "rollback",
  summary: "Undo the last change of a service's traffic",
  args: ["NAME"],
  flags: [DRY_RUN_FLAG, JSON_FLAG, QUIET_FLAG],
  notes: [
    "With --dry-run, it also says who made the change that it would undo, and when.",
    "A second rollback undoes the first. Afterwards the split names its revisions, without latest: a later deploy takes all requests, unless it says otherwise.",
  ],
  example: ["cless rollback web --dry-run", "cless rollback web"],
  run: async (call) => {
    const path = servicePath(call.args[0]!);
    const before = await call.client.get<ServiceJson>(path);
    const after = await call.client.json<ServiceJson>("POST", `${path}/rollback`, { query: dryRunQuery(call) });
    printChange(call, before, after);
    if (!call.on("dry-run") || call.on("json") || call.on("quiet")) return;
    const undone = await lastSplitChange(call.client, path);
    if (undone === undefined) return;
    const { action, at, by } = undone;
    console.log(`It undoes what ${plainText(by)} did ${ago(at)} (${action}): ${changeText(undone)}`);
  },
});

/** The last change of a service's shares; `undefined` if its history no longer has it. */
async function lastSplitChange(client: Client, path: string): Promise<HistoryJson | undefined> {
  const history = await client.get<HistoryJson[]>(`${path}/history`, { query: { limit: MAX_HISTORY } });
  return history.find(({ after, before }) => sharesOf(before) !== sharesOf(after));
}

/** The shares of a service before or after a change, in a text that is the same for the same shares. */
function sharesOf(state: HistoryJson["before"]): string {
  const { latestRevision, traffic } = (state ?? {}) as Partial<ServiceJson>;
  if (traffic === undefined || latestRevision === undefined) return "";
  return sharesText(traffic, latestRevision).split(", ").sort().join(", ");
}

/** The split of a service, with the tags' addresses. */
export function trafficTable({ traffic, tagUrls = {}, latestRevision }: ServiceJson): string {
  const rows = traffic.map(({ revision, percent, tag }) => [
    revision === LATEST ? `latest (${latestRevision})` : revision,
    `${percent}%`,
    tag ?? "-",
    tag === undefined ? "-" : tagUrls[tag] ?? "-",
  ]);
  return table(["REVISION", "PERCENT", "TAG", "URL"], rows);
}

function dryRunQuery(call: Call): Query {
  return { dryRun: call.on("dry-run") || undefined };
}

function printChange(call: Call, before: ServiceJson, after: ServiceJson): void {
  printResult(call, after, `${after.name}: ${splitText(before.traffic)} → ${splitText(after.traffic)}`);
}

/** Replaces tags in the change by their revisions. If a revision has that name, the name means the revision. */
async function withoutTagNames(client: Client, service: ServiceJson, change: TrafficChange): Promise<TrafficChange> {
  const owners = new Map<string, string>();
  for (const { revision, tag } of service.traffic) {
    const isUsed = [...change.parts, ...change.tags].some((part) => part.revision === tag);
    if (tag === undefined || !isUsed) continue;
    if (await client.find(servicePath(service.name, "revisions", tag)) === undefined) owners.set(tag, revision);
  }
  const named = <T extends { revision: string }>(part: T) => {
    return { ...part, revision: owners.get(part.revision) ?? part.revision };
  };
  return { ...change, parts: change.parts.map(named), tags: change.tags.map(named) };
}
