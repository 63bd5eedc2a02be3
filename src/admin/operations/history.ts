import { z } from "zod";
import type { HistoryEntry } from "../../control/records.ts";
import { json } from "../answer.ts";
import { serviceOf, serviceParam } from "../names.ts";
import { operation } from "../operation.ts";
import { instant, whole } from "../query.ts";
import { time, timeOf } from "../views.ts";

const state = z.record(z.string(), z.unknown()).nullable();
const entryView = z.strictObject({
  at: time,
  action: z.string().meta({ examples: ["deploy", "traffic", "rollback", "delete"] }),
  by: z.string().meta({ description: "The name of the token that did it" }),
  before: state.meta({ description: "The service before; null where there was none" }),
  after: state.meta({ description: "The service after; null where there is none any more" }),
}).meta({ id: "HistoryEntry" });

/** The audit log. */
export const historyOperations = [
  operation({
    id: "listHistory",
    method: "get",
    path: "/v1/services/{name}/history",
    scope: "read",
    tag: "history",
    summary: "List what was changed in a service, when and by which token, newest first",
    description: "It outlives the service.",
    params: { name: serviceParam },
    query: {
      limit: whole(1, 1000, { description: "How many, 100 where nothing is said; a few more where times are equal" })
        .optional(),
      before: instant("Only what is older than that").optional(),
    },
    answers: {
      200: {
        description: "A page of it",
        schema: z.array(entryView),
        headers: { Link: 'The next page, as <…>; rel="next"; missing on the last one' },
      },
    },
    errors: ["not_found", "store_unavailable"],
    run: ({ parts, target, params: { name }, query: { limit = 100, before } }) => {
      const entries = parts.history(name, limit, before);
      if (entries.length === 0 && parts.history(name, 1).length === 0) serviceOf(parts, name);
      const last = entries.at(-1);
      const more = last !== undefined && entries.length >= limit && parts.history(name, 1, last.at).length > 0;
      const headers = more ? { link: `<${target.path}?limit=${limit}&before=${timeOf(last.at)}>; rel="next"` } : {};
      return json(entries.map(showEntry), { headers });
    },
  }),
];

function showEntry({ at, action, by, before = null, after = null }: HistoryEntry) {
  return { at: timeOf(at), action, by, before, after };
}
