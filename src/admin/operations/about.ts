import { z } from "zod";
import { PURPOSE } from "../access.ts";
import { content, json } from "../body.ts";
import type { Collaborators } from "../collaborators.ts";
import { documentOf } from "../document.ts";
import { answeredEarlier, type Operation, tagged } from "../operation.ts";
import { fileSchema } from "../service_schema.ts";
import { prometheusText } from "../prometheus.ts";
import { MAX_HOSTNAME } from "../without_token.ts";

const operation = tagged("about");
const RESOURCES = {
  services: "/v1/services",
  instances: "/v1/instances",
  activity: "/v1/activity",
  timelines: "/v1/timelines",
  wakes: "/v1/wakes",
  events: "/v1/events",
  secrets: "/v1/secrets",
  tokens: "/v1/tokens",
  certificateNames: "/v1/certificate-names",
  metrics: "/metrics",
  openapi: "/openapi.json",
  schema: "/schema.json",
};
const TEXT = { types: ["text/plain"] };

/** The operations on cless itself. @param operations All operations of the API, read when the document is requested. */
export function aboutOperations(
  { catalog, dataDir, fleet, meter, metrics, statistics, store }: Collaborators,
  operations: readonly Operation[],
) {
  let document: unknown;
  return [
    tagged("backup")({
      id: "backUp",
      route: "GET /v1/backup",
      scope: "admin",
      summary: "Copy the database, the key and the id of this data-dir, while they are in use",
      description: "The answer contains the key of the secrets.",
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
      route: "GET /v1/ask",
      summary: "Whether a certificate may be made for a hostname",
      description: "Needs no token; answers programs on this machine only. For a TLS proxy that gets certificates.",
      query: {
        domain: z.string().max(MAX_HOSTNAME).meta({
          description: "A hostname, without a port",
          examples: ["shop.example.org"],
        }),
      },
      answers: { 200: { description: "It may", ...TEXT } },
      errors: ["invalid", "forbidden", "not_found", "store_unavailable"],
      run: answeredEarlier,
    }),
    operation({
      id: "showHealth",
      route: "GET /healthz",
      summary: "Whether cless runs",
      answers: { 200: { description: "It does", ...TEXT } },
      run: answeredEarlier,
    }),
    operation({
      id: "showReadiness",
      route: "GET /readyz",
      summary: "Whether requests can be served",
      answers: { 200: { description: "They can", ...TEXT }, 503: { description: "They cannot, for now", ...TEXT } },
      run: answeredEarlier,
    }),
    operation({
      id: "readMetrics",
      route: "GET /metrics",
      scope: "read",
      summary: "Metrics in the text format of Prometheus",
      answers: { 200: { description: "The metrics", ...TEXT } },
      run: async () => {
        const usages = await meter.usages();
        const text = await prometheusText(metrics, {
          instances: fleet.instances(),
          pools: statistics.pools(),
          statuses: [...catalog.statuses()],
          served: catalog.served(),
          usages,
        });
        return content(text, "text/plain; version=0.0.4; charset=utf-8");
      },
    }),
    operation({
      id: "showDocument",
      route: "GET /openapi.json",
      scope: "read",
      summary: "This document",
      answers: { 200: { description: "OpenAPI 3.1", schema: z.record(z.string(), z.unknown()) } },
      run: () => json(document ??= documentOf(operations)),
    }),
    operation({
      id: "showSchema",
      route: "GET /schema.json",
      scope: "read",
      summary: "The JSON Schema of the file that declares services, for editors",
      answers: { 200: { description: "JSON Schema 2020-12", schema: z.record(z.string(), z.unknown()) } },
      run: () => json(fileSchema()),
    }),
    operation({
      id: "showRoot",
      route: "GET /",
      scope: "read",
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
