import { z } from "zod";
import type { HistoryEntry } from "../../control/records.ts";
import { json } from "../body.ts";
import type { Collaborators } from "../collaborators.ts";
import { instant, serviceParam, time, timeOf, whole } from "../common_fields.ts";
import { tagged } from "../operation.ts";
import type { Target } from "../target.ts";
import { serviceOf } from "./services.ts";

const operation = tagged("history");
const state = z.record(z.string(), z.unknown()).nullable();
const entryView = z.strictObject({
  at: time,
  service: z.string(),
  action: z.string().meta({ examples: ["deploy", "traffic", "rollback", "delete"] }),
  by: z.string().meta({ description: "The name of the token that was used" }),
  before: state.meta({ description: "The service before; null if there was none" }),
  after: state.meta({ description: "The service after; null if it was removed" }),
}).meta({ id: "HistoryEntry" });

/** An entry of the audit log in JSON. */
export type HistoryJson = z.output<typeof entryView>;

const query = {
  limit: whole(1, 1000, { description: "How many, 100 by default; a few more if entries have the same time" })
    .optional(),
  before: instant("Only older entries").optional(),
};
const answers = {
  200: {
    description: "A page of entries",
    schema: z.array(entryView),
    headers: { Link: 'The next page, as <…>; rel="next"; missing on the last one' },
  },
};

/** The audit log. */
export function historyOperations({ catalog, store }: Collaborators) {
  return [
    operation({
      id: "listHistory",
      route: "GET /v1/services/{name}/history",
      scope: "read",
      summary: "List the changes of a service, when and by which token, newest first",
      description: "Entries are retained after the service is removed.",
      params: { name: serviceParam },
      query,
      answers,
      errors: ["not_found", "store_unavailable"],
      run: ({ target, params: { name }, query: { limit = 100, before } }) => {
        const entries = store.history(name, limit, before);
        if (entries.length === 0 && store.history(name, 1).length === 0) serviceOf(catalog, name);
        return page(store, name, entries, limit, target);
      },
    }),
    operation({
      id: "listAllHistory",
      route: "GET /v1/history",
      scope: "read",
      summary: "List the changes of all services, when and by which token, newest first",
      description: "Also those of services that were removed.",
      query,
      answers,
      errors: ["store_unavailable"],
      run: ({ target, query: { limit = 100, before } }) =>
        page(store, undefined, store.history(undefined, limit, before), limit, target),
    }),
  ];
}

/** Answers with a page of the history of a service or of all, and the link to the next one. */
function page(
  store: Pick<Collaborators["store"], "history">,
  service: string | undefined,
  entries: readonly HistoryEntry[],
  limit: number,
  target: Target,
): Response {
  const last = entries.at(-1);
  const more = last !== undefined && entries.length >= limit && store.history(service, 1, last.at).length > 0;
  const headers = more ? { link: `<${target.path}?limit=${limit}&before=${timeOf(last.at)}>; rel="next"` } : {};
  return json(entries.map(showEntry), { headers });
}

function showEntry({ at, service, action, by, before = null, after = null }: HistoryEntry) {
  return { at: timeOf(at), service, action, by, before, after };
}
