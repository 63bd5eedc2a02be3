import type { ActivityJson } from "../admin/operations/activity.ts";
import { UsageError } from "../base/errors.ts";
import { flag } from "./flags.ts";
import { isColoured } from "./terminal.ts";
import { table } from "./text.ts";
import { ORDER_NAMES, parseOrder, selected } from "./top/activity.ts";
import { readActivity } from "./top/feed.ts";
import { showLive } from "./top/live.ts";
import { firstState } from "./top/state.ts";
import { attentionLines, summaryText } from "./top/summary.ts";
import { allColumns } from "./top/table.ts";
import { clientVerb, JSON_FLAG, printJson } from "./verb.ts";

/** `cless top`: shows what all services do now. */
export const top = clientVerb({
  name: "top",
  summary: "Watch what all services do, or one of them with its log",
  flags: [
    flag("--sort ORDER = state", `What to sort by: ${ORDER_NAMES.join(", ")}`),
    flag("--filter TEXT", "Only services whose name or state contains it; several words must all be found"),
    flag("--once", "Print it once, as a table, and end"),
    { ...JSON_FLAG, help: "Print it once, as JSON, as the admin API has it" },
  ],
  notes: [
    "Enter opens a service, with its instances and its log; Esc goes back. s sorts by something else, r reverses the order, / filters, q leaves. In a log, Space holds it, and the arrows move it.",
    "REQ/S and ERR/S are of the last 10 seconds; errors are answers with a status from 500 on. P50 and P99 say how long an answer took to begin, in the last minute. IN FLIGHT is how many requests are answered now, and after a + how many wait. MEMORY and SWAP are what a service uses now. The wakes are those of the last hour, by what the service woke from.",
    "What is not used is the memory that would be used too if one instance of each service were awake.",
    "Watching wakes no service.",
  ],
  example: [
    "cless top",
    "cless top --once --sort memory",
    "cless top --json | jq '.[] | select(.errorsPerSecond > 0)'",
  ],
  check: (call) => {
    call.read("sort", parseOrder);
  },
  run: async (call) => {
    const [order = "state"] = call.read("sort", parseOrder);
    const selection = { order, isReversed: false, filter: call.text("filter") ?? "" };
    const isOnce = call.on("once") || call.on("json");
    if (!isOnce && !(Deno.stdin.isTerminal() && Deno.stdout.isTerminal() && call.surroundings.env("TERM") !== "dumb")) {
      throw new UsageError("top needs a terminal; cless top --once prints a table, and cless top --json JSON");
    }
    const services = await readActivity(call.client);
    if (call.on("json")) return printJson(selected(services, selection));
    if (isOnce) return console.log(pageOf(services, selected(services, selection)));
    return await showLive(call.client, {
      ...{ services, state: firstState(selection) },
      isColoured: isColoured(call.surroundings),
    });
  },
});

/** What there is as a text. @param shown The services of the table. */
function pageOf(services: readonly ActivityJson[], shown: readonly ActivityJson[]): string {
  const columns = allColumns();
  const rows = shown.map((service) => columns.map(({ text }) => text(service)));
  return [
    summaryText(services),
    ...attentionLines(services, Date.now()),
    ...(shown.length === 0 ? [] : ["", table(columns.map(({ head, onceHead = head }) => onceHead), rows)]),
  ].join("\n");
}
