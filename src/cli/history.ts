import type { HistoryJson } from "./api_types.ts";
import { servicePath } from "./client.ts";
import { ago } from "./output/ago.ts";
import { table } from "./output/table.ts";
import { changeText } from "./history/change_text.ts";
import { clientVerb, JSON_FLAG, printJson } from "./verb.ts";

const LIMIT = 50;

/** `cless history`: lists who has changed a service, when, and what. */
export const history = clientVerb({
  name: "history",
  group: "Look",
  summary: "List the changes of a service, the newest first",
  args: ["NAME"],
  flags: [{ name: "limit", short: "n", value: "N", default: String(LIMIT), help: "How many at most" }, JSON_FLAG],
  notes: ["BY is the name of the token. History is kept for 90 days, also that of a service which is deleted."],
  example: ["cless history web"],
  run: async (call) => {
    const query = { limit: call.whole("limit") ?? LIMIT };
    const entries = await call.client.get<HistoryJson[]>(servicePath(call.args[0]!, "history"), { query });
    if (call.on("json")) return printJson(entries);
    const now = Date.now();
    const rows = entries.map((entry) => [ago(entry.at, now), entry.by, entry.action, changeText(entry)]);
    console.log(table(["WHEN", "BY", "ACTION", "WHAT"], rows));
  },
});
