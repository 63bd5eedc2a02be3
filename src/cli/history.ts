import { HISTORY_DAYS } from "../control/history.ts";
import type { DeployJson } from "../admin/operations/deploys.ts";
import type { HistoryJson } from "../admin/operations/history.ts";
import { type Client, servicePath } from "./client.ts";
import { deploysOf, deploysOfAll, deployTable, endOf, failedDeployText, failureClause, hasFailed } from "./deploys.ts";
import { flag } from "./flags.ts";
import { changesText, type DeclaredService, fieldsText } from "./preview.ts";
import { ago, atHeading, plainText, table, timeText } from "./text.ts";
import { clientVerb, JSON_FLAG, printResult } from "./verb.ts";

const LIMIT = 50;
/** The most changes that the API lists at once. */
const MAX = 1000;
/** Of so many deploys that failed, the newest ones, the output and the whole reason are shown. */
const WITH_OUTPUT = 3;

/** `cless history`: lists who changed a service or all, when, and how, and the deploys that failed. */
export const history = clientVerb({
  name: "history",
  summary: "List the changes and failed deploys of a service or of all, the newest first",
  args: ["[NAME]"],
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
  example: ["cless history", "cless history web", "cless history web --deploys"],
  check: (call) => {
    call.whole("limit");
  },
  run: async (call) => {
    const { args: [name], client } = call;
    const limit = Math.max(1, call.whole("limit") ?? LIMIT);
    if (call.on("deploys")) {
      const all = name === undefined
        ? await deploysOfAll(client, limit)
        : await client.get<DeployJson[]>(servicePath(name, "deploys"));
      const deploys = all.slice(0, limit);
      const failed = deploys.filter(saysMore).slice(0, WITH_OUTPUT);
      const list = deployTable(deploys, name === undefined);
      return printResult(call, deploys, [list, ...failed.map(failedDeployText)].join("\n\n"));
    }
    // Each deploy that worked is a change too, so the failed ones among the newest are the newest failed ones.
    const deploys = name === undefined ? await deploysOfAll(client, limit) : await deploysOf(client, name);
    const failed = deploys.filter(hasFailed);
    const changes = await changesOf(client, name, limit, deploys.length > 0);
    const failures = failed.map((deploy) => ({ at: endOf(deploy), action: "deploy", ...deploy }));
    const entries: Entry[] = [...changes, ...failures].sort((a, b) => Date.parse(b.at) - Date.parse(a.at))
      .slice(0, limit);
    if (entries.length === 0 && !call.on("json")) {
      if (name === undefined) return console.error("nothing has been changed yet");
      return console.error(`the first deploy of ${name} is running; cless describe ${name} shows how far it is`);
    }
    const rows = entries.map((entry) => [
      ...[ago(entry.at), timeText(entry.at), ...(name === undefined ? [entry.service] : []), entry.by, entry.action],
      "outcome" in entry ? failureClause(entry) : changeText(entry),
    ]);
    const service = name === undefined ? ["SERVICE"] : [];
    const list = table(["WHEN", atHeading(), ...service, "BY", "ACTION", "WHAT"], rows);
    const hint = `More about failed deploys: cless history ${name === undefined ? "" : `${name} `}--deploys`;
    printResult(call, entries, failed.some(saysMore) ? `${list}\n\n${hint}` : list);
  },
});

/** The newest changes of a service, or of all. @param mayMiss Whether the service may never have worked. */
async function changesOf(
  client: Client,
  name: string | undefined,
  limit: number,
  mayMiss: boolean,
): Promise<HistoryJson[]> {
  const query = { limit: Math.min(MAX, limit) };
  if (name === undefined) return await client.get<HistoryJson[]>("/v1/history", { query });
  const path = servicePath(name, "history");
  return mayMiss ? await client.find<HistoryJson[]>(path, { query }) ?? [] : await client.get(path, { query });
}

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
