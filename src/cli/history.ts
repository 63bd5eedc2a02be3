import { HISTORY_DAYS } from "../control/history.ts";
import type { HistoryJson } from "../admin/operations/history.ts";
import type { Traffic } from "../model/traffic.ts";
import type { WakeSettings } from "../model/service.ts";
import { servicePath } from "./client.ts";
import { flag } from "./flags.ts";
import { difference, fieldsText, historyDifference, joined } from "./preview.ts";
import { ago, plainText, splitText, table } from "./text.ts";
import { clientVerb, JSON_FLAG, printJson } from "./verb.ts";

const LIMIT = 50;

/** `cless history`: lists who changed a service, when, and how. */
export const history = clientVerb({
  name: "history",
  group: "Look",
  summary: "List the changes of a service, the newest first",
  args: ["NAME"],
  flags: [flag(`-n, --limit N = ${LIMIT}`, "How many at most"), JSON_FLAG],
  notes: [`BY is the name of the token. History is kept for ${HISTORY_DAYS} days, also that of a deleted service.`],
  example: ["cless history web"],
  run: async (call) => {
    const query = { limit: call.whole("limit") ?? LIMIT };
    const entries = await call.client.get<HistoryJson[]>(servicePath(call.args[0]!, "history"), { query });
    if (call.on("json")) return printJson(entries);
    const rows = entries.map((entry) => [ago(entry.at), entry.by, entry.action, changeText(entry)]);
    console.log(table(["WHEN", "BY", "ACTION", "WHAT"], rows));
  },
});

/** A service before or after a change; the action decides which fields there are. */
interface State {
  readonly latestRevision?: string;
  readonly traffic?: Traffic;
  readonly domains?: readonly string[];
  readonly revisionHistory?: number;
  readonly declaredBy?: string;
  readonly wake?: WakeSettings;
  readonly loading?: string;
  /** The fields of the template that a deploy has changed. */
  readonly changed?: readonly string[];
}

/** Writes what differs after a change, as `before → after`. */
function changeText({ before, after }: HistoryJson): string {
  const [old, now] = [stateOf(before), stateOf(after)];
  if (now === undefined) return old === undefined ? "-" : plainText(`${old.latestRevision ?? "old"} → -`);
  if (old === undefined) return plainText(`- → ${now.latestRevision ?? "new"}`);
  const { changed = [] } = now;
  const revision = difference("", old.latestRevision ?? "-", now.latestRevision ?? "-");
  const text = joined([
    revision === "" || changed.length === 0 ? revision : `${revision} (${fieldsText(changed)})`,
    difference("traffic", trafficOf(old), trafficOf(now)),
    difference("domains", old.domains?.join(", ") || "-", now.domains?.join(", ") || "-"),
    historyDifference(old.revisionHistory, now.revisionHistory),
    difference("declared by", old.declaredBy ?? "no file", now.declaredBy ?? "no file"),
    difference("loading", old.loading ?? "hold", now.loading ?? "hold"),
    difference("not woken by", exceptionsOf(old), exceptionsOf(now)),
  ]);
  return plainText(text) || "-";
}

function trafficOf({ traffic }: State): string {
  return Array.isArray(traffic) ? splitText(traffic) : "-";
}

function exceptionsOf({ wake }: State): string {
  const { userAgents = [], paths = [] } = wake?.except ?? {};
  return [...userAgents, ...paths].join(", ") || "-";
}

function stateOf(value: unknown): State | undefined {
  return typeof value === "object" && value !== null ? value : undefined;
}
