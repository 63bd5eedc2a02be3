import { z } from "zod";
import { ClessError } from "../../base/errors.ts";
import { PURPOSE } from "../access.ts";
import { content, json } from "../body.ts";
import type { Collaborators } from "../collaborators.ts";
import { documentOf } from "../document.ts";
import { type Operation, operation } from "../operation.ts";
import { fileSchema } from "../service_schema.ts";
import { MAX_HOSTNAME } from "../without_token.ts";

const RESOURCES = {
  services: "/v1/services",
  instances: "/v1/instances",
  events: "/v1/events",
  secrets: "/v1/secrets",
  tokens: "/v1/tokens",
  metrics: "/metrics",
  openapi: "/openapi.json",
  schema: "/schema.json",
};
const TEXT = { type: "text/plain" } as const;

/** Only in the document: these paths are answered before the token is checked. */
const answeredEarlier = () => {
  throw new ClessError("not_found", "There is no such resource");
};

/** The operations on cless itself. @param operations All operations of the API; read when the document is requested. */
export function aboutOperations(
  { dataDir, fleet, metrics, statistics, store }: Pick<
    Collaborators,
    "dataDir" | "fleet" | "metrics" | "statistics" | "store"
  >,
  operations: readonly Operation[],
) {
  let document: unknown;
  return [
    operation({
      id: "backUp",
      method: "get",
      path: "/v1/backup",
      scope: "admin",
      tag: "backup",
      summary: "Copy the database, the key and the id of this data-dir, while they are in use",
      description: "Whoever has the answer has the secrets.",
      answers: {
        200: {
          description: "The files",
          schema: z.strictObject({ files: z.array(z.strictObject({ name: z.string(), base64: z.string() })) })
            .meta({ id: "Backup" }),
        },
      },
      errors: ["store_unavailable"],
      run: async () => {
        const files = await dataDir.backup(store);
        return json({ files: files.map(({ name, bytes }) => ({ name, base64: bytes.toBase64() })) });
      },
    }),
    operation({
      id: "ask",
      method: "get",
      path: "/v1/ask",
      tag: "about",
      summary: "Whether cless serves a hostname",
      description: "Needs no token; answers programs on this machine only. For a TLS proxy that gets certificates.",
      query: {
        domain: z.string().max(MAX_HOSTNAME).meta({
          description: "A hostname, without a port",
          examples: ["shop.example.org"],
        }),
      },
      answers: { 200: { description: "It does", ...TEXT } },
      errors: ["invalid", "forbidden", "not_found"],
      run: answeredEarlier,
    }),
    operation({
      id: "showHealth",
      method: "get",
      path: "/healthz",
      tag: "about",
      summary: "Whether cless runs",
      answers: { 200: { description: "It does", ...TEXT } },
      run: answeredEarlier,
    }),
    operation({
      id: "showReadiness",
      method: "get",
      path: "/readyz",
      tag: "about",
      summary: "Whether requests can be served",
      answers: { 200: { description: "They can", ...TEXT }, 503: { description: "They cannot, for now", ...TEXT } },
      run: answeredEarlier,
    }),
    operation({
      id: "readMetrics",
      method: "get",
      path: "/metrics",
      scope: "read",
      tag: "about",
      summary: "Metrics in the text format of Prometheus",
      answers: { 200: { description: "The metrics", ...TEXT } },
      run: async () =>
        content(
          await metrics.text(fleet.instances(), statistics.pools()),
          "text/plain; version=0.0.4; charset=utf-8",
        ),
    }),
    operation({
      id: "showDocument",
      method: "get",
      path: "/openapi.json",
      scope: "read",
      tag: "about",
      summary: "This document",
      answers: { 200: { description: "OpenAPI 3.1", schema: z.record(z.string(), z.unknown()) } },
      run: () => json(document ??= documentOf(operations)),
    }),
    operation({
      id: "showSchema",
      method: "get",
      path: "/schema.json",
      scope: "read",
      tag: "about",
      summary: "The JSON Schema of the file that declares services, for editors",
      answers: { 200: { description: "JSON Schema 2020-12", schema: z.record(z.string(), z.unknown()) } },
      run: () => json(fileSchema()),
    }),
    operation({
      id: "showRoot",
      method: "get",
      path: "/",
      scope: "read",
      tag: "about",
      summary: "What the API is for, and where its resources are",
      answers: {
        200: {
          description: "The paths of the resources",
          schema: z.record(z.string(), z.string()).meta({ examples: [{ purpose: PURPOSE, ...RESOURCES }] }),
        },
      },
      run: () => json({ purpose: PURPOSE, ...RESOURCES }),
    }),
  ];
}
