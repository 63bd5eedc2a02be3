import { HISTORY_DAYS } from "../control/history.ts";
import type { HistoryJson } from "../admin/operations/history.ts";
import { servicePath } from "./client.ts";
import { flag } from "./flags.ts";
import { changesText, fieldsText, type ServiceState } from "./preview.ts";
import { ago, plainText, table } from "./text.ts";
import { clientVerb, JSON_FLAG, printResult } from "./verb.ts";

const LIMIT = 50;

/** `cless history`: lists who changed a service, when, and how. */
export const history = clientVerb({
  name: "history",
  summary: "List the changes of a service, the newest first",
  args: ["NAME"],
  flags: [flag(`-n, --limit N = ${LIMIT}`, "How many at most"), JSON_FLAG],
  notes: [`BY is the name of the token. History is kept for ${HISTORY_DAYS} days, also that of a deleted service.`],
  example: ["cless history web"],
  run: async (call) => {
    const query = { limit: call.whole("limit") ?? LIMIT };
    const entries = await call.client.get<HistoryJson[]>(servicePath(call.args[0]!, "history"), { query });
    const rows = entries.map((entry) => [ago(entry.at), entry.by, entry.action, changeText(entry)]);
    printResult(call, entries, table(["WHEN", "BY", "ACTION", "WHAT"], rows));
  },
});

/** A service before or after a change. Which fields it has depends on the action. */
interface State extends ServiceState {
  readonly latestRevision?: string;
  /** The fields of the template that a deploy has changed. */
  readonly changed?: readonly string[];
  /** The settings of the service that a deploy has changed. */
  readonly settings?: readonly string[];
}

/** Writes what a change has changed, as `before → after`. */
function changeText({ before, after }: HistoryJson): string {
  const [old, now] = [stateOf(before), stateOf(after)];
  if (now === undefined) return old === undefined ? "-" : plainText(`${old.latestRevision ?? "old"} → -`);
  if (old === undefined) return plainText(`- → ${now.latestRevision ?? "new"}`);
  const { changed = [], latestRevision = "-", settings = [] } = now;
  const fields = changed.length === 0 ? "" : ` (${fieldsText(changed)})`;
  const isNew = latestRevision !== (old.latestRevision ?? "-");
  const revision = isNew ? `${old.latestRevision ?? "-"} → ${latestRevision}${fields}` : "";
  const changes = changesText(revision, old, now);
  if (!settings.includes("access") || changesText("", { access: old.access }, { access: now.access }) !== "") {
    return plainText(changes) || "-";
  }
  // The history has neither passwords nor their hashes.
  return plainText([changes, "passwords or details of access"].filter((text) => text !== "").join("; "));
}

function stateOf(value: unknown): State | undefined {
  return typeof value === "object" && value !== null ? value : undefined;
}
