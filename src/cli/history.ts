import { HISTORY_DAYS } from "../control/history.ts";
import type { DeployJson } from "../admin/operations/deploys.ts";
import type { HistoryJson } from "../admin/operations/history.ts";
import { servicePath } from "./client.ts";
import { deploysOf, deployTable, endOf, failedDeployText, failureClause, hasFailed } from "./deploys.ts";
import { flag } from "./flags.ts";
import { changesText, type DeclaredService, fieldsText } from "./preview.ts";
import { ago, atHeading, plainText, table, timeText } from "./text.ts";
import { clientVerb, JSON_FLAG, printResult } from "./verb.ts";

const LIMIT = 50;
/** Of so many deploys that failed, the newest ones, the output and the whole reason are shown. */
const WITH_OUTPUT = 3;

/** `cless history`: lists who changed a service, when, and how, and the deploys that failed. */
export const history = clientVerb({
  name: "history",
  summary: "List the changes of a service and its failed deploys, the newest first",
  args: ["NAME"],
  flags: [
    flag(`-n, --limit N = ${LIMIT}`, "How many at most"),
    flag(
      "--deploys",
      "List only deploys, each with how it ended and how long it took, and the output of those that failed",
    ),
    JSON_FLAG,
  ],
  notes: [
    `BY is the name of the token. History is kept for ${HISTORY_DAYS} days, also that of a deleted service.`,
    "Of the deploys, the newest 20 that worked are kept, and the newest 20 that failed or were called off, until the service is deleted. --deploys shows the whole reason and the last output of the newest three that failed, --deploys --json those of all.",
  ],
  example: ["cless history web", "cless history web --deploys"],
  check: (call) => {
    call.whole("limit");
  },
  run: async (call) => {
    const { args: [name = ""], client } = call;
    const limit = call.whole("limit") ?? LIMIT;
    const path = servicePath(name, "history");
    if (call.on("deploys")) {
      const deploys = (await client.get<DeployJson[]>(servicePath(name, "deploys"))).slice(0, limit);
      const failed = deploys.filter(saysMore).slice(0, WITH_OUTPUT);
      return printResult(call, deploys, [deployTable(deploys), ...failed.map(failedDeployText)].join("\n\n"));
    }
    const deploys = await deploysOf(client, name);
    const failed = deploys.filter(hasFailed);
    const changes = deploys.length === 0
      ? await client.get<HistoryJson[]>(path, { query: { limit } })
      : await client.find<HistoryJson[]>(path, { query: { limit } }) ?? []; // it may never have worked
    const failures = failed.map((deploy) => ({ at: endOf(deploy), action: "deploy", ...deploy }));
    const entries: Entry[] = [...changes, ...failures].sort((a, b) => Date.parse(b.at) - Date.parse(a.at))
      .slice(0, limit);
    if (entries.length === 0 && !call.on("json")) {
      return console.error(`the first deploy of ${name} is running; cless describe ${name} shows how far it is`);
    }
    const rows = entries.map((entry) => [
      ...[ago(entry.at), timeText(entry.at), entry.by, entry.action],
      "outcome" in entry ? failureClause(entry) : changeText(entry),
    ]);
    const list = table(["WHEN", atHeading(), "BY", "ACTION", "WHAT"], rows);
    const hint = `More about failed deploys: cless history ${name} --deploys`;
    printResult(call, entries, failed.some(saysMore) ? `${list}\n\n${hint}` : list);
  },
});

/** Whether there is more to tell of a deploy than its row in the table does. */
function saysMore(deploy: DeployJson): boolean {
  return deploy.output.length > 0 || (deploy.reason?.includes(";") ?? false);
}

/** A change, or a deploy that has changed nothing because it failed. */
type Entry = HistoryJson | (DeployJson & Pick<HistoryJson, "at" | "action">);

/** A service before or after a change. Which fields it has depends on the action. */
interface State extends DeclaredService {
  readonly latestRevision?: string;
  /** The fields of the template that a deploy has changed. */
  readonly changed?: readonly string[];
  /** The settings of the service that a deploy has changed. */
  readonly settings?: readonly string[];
}

/** Writes what a change of a service has changed, as `before → after`. */
export function changeText({ before, after }: HistoryJson): string {
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
