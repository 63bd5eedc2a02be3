import { z } from "zod";
import { serviceSchema, targetsSchema } from "../../control/schema/schema.ts";
import * as field from "../../control/schema/fields.ts";
import { SERVICE_PATTERN } from "../names.ts";

type Field = keyof typeof serviceSchema.shape;
type JsonSchema = z.core.JSONSchema.JSONSchema;

const LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
const DOMAIN = `^${LABEL}(\\.${LABEL})*\\.?$`;

/** What each field is for, and what it looks like. */
const FIELDS: Readonly<Record<Field, readonly [description: string, ...examples: unknown[]]>> = {
  image: ["The image; it is resolved to its content, and a tag that moves changes nothing", "ghcr.io/acme/shop:1.0"],
  pullPolicy: ["When the image is looked for elsewhere: where it is missing here (the default), always, or never"],
  port: ["Where the app listens inside its container"],
  env: ["Variables with their values", { GREETING: "hello" }],
  secretEnv: ["Variables with the names of the secrets that are their values", { DB_PASSWORD: "db-password" }],
  command: ["A program and its arguments, in place of the image's CMD; they follow its ENTRYPOINT, if it has one", [
    "serve",
    "--verbose",
  ]],
  volumes: ["Places that outlive a container; a service with one has one instance", [{
    source: "shop-data",
    path: "/data",
  }]],
  concurrency: ["How many requests an instance serves at once; 0 for any number"],
  minInstances: ["How many instances are there even when nobody calls"],
  maxInstances: ["How many instances there may be"],
  startTimeout: ["How long a start may take", "30s"],
  requestTimeout: ["From a request's arrival to the response's headers", "5m"],
  pauseAfter: ["When an instance that nobody uses is paused", "60s"],
  stopAfter: ["When an instance that nobody uses is stopped", "10m"],
  readiness: ["The path that must answer, with a status below 500, before an instance gets requests", { path: "/" }],
  liveness: [
    "What a ready instance is asked, and how often; one that does not answer with a status below 500 is replaced",
    { path: "/", every: "10s" },
  ],
  memory: ["How much memory an instance may use, swap included", "256m"],
  cpus: ["How many processors an instance may keep busy", 0.5],
  domains: ["Whole hostnames that lead to the service besides its own", ["shop.example.org"]],
  revisionHistory: ["How many revisions without traffic or tag are kept; 20 where nothing is said"],
  wake: [
    "Whose requests do not wake the service, by a part of the User-Agent, or by the path: each with all below it, but /, which is the root alone",
    { except: { userAgents: ["Googlebot", "UptimeRobot"], paths: ["/health"] } },
  ],
  loading: ["What a browser gets while the service starts: the app's answer in the end (hold, the default), or a page"],
  traffic: ["How much the new revision gets, percent, and the others share the rest; or all parts of the traffic", 10],
  tag: ["The new revision has an address of its own, TAG--SERVICE", "next"],
};

/** What the checks of a field do that JSON Schema cannot see; by the schema that has them. */
const PATTERNS = new Map<z.core.$ZodType, JsonSchema>([
  [field.tag, { pattern: SERVICE_PATTERN }],
  [field.domain, { pattern: DOMAIN, maxLength: 254 }],
]);

/** The body of `PUT /v1/services/{name}` as JSON Schema (2020-12), made from the schema that checks it. */
export function serviceJsonSchema(): JsonSchema {
  const schema = jsonSchemaOf(serviceSchema);
  const properties = Object.entries(schema.properties ?? {}).map(([name, property]) => {
    const [description, ...examples] = FIELDS[name as Field] ?? [];
    return [name, { ...property as JsonSchema, description, ...(examples.length > 0 ? { examples } : {}) }];
  });
  return { ...schema, properties: Object.fromEntries(properties) } as JsonSchema;
}

/** All parts of a service's traffic as JSON Schema (2020-12). */
export function trafficJsonSchema(): JsonSchema {
  return {
    ...jsonSchemaOf(targetsSchema),
    description: "Who gets how much; the percents sum to 100, and `latest` follows what is deployed",
    examples: [[{ revision: "shop-00001", percent: 10, tag: "old" }, { revision: "latest", percent: 90 }]],
  };
}

function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  const { $schema: _, ...converted } = z.toJSONSchema(schema, {
    io: "input",
    override: ({ zodSchema, jsonSchema }) => void Object.assign(jsonSchema, PATTERNS.get(zodSchema)),
  });
  return converted as JsonSchema;
}
