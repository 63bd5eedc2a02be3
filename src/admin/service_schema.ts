import { z } from "zod";
import { serviceSchema, targetsSchema } from "../control/schema/schema.ts";
import * as field from "../control/schema/fields.ts";
import { SERVICE_PATTERN } from "./common_fields.ts";

type Field = keyof typeof serviceSchema.shape;
type JsonSchema = z.core.JSONSchema.JSONSchema;

const LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
const DOMAIN = `^${LABEL}(\\.${LABEL})*\\.?$`;

const FIELDS: Readonly<Record<Field, readonly [description: string, ...examples: unknown[]]>> = {
  image: [
    "The image; it is resolved when the service is deployed, so a tag that moves later changes nothing",
    "ghcr.io/acme/shop:1.0",
  ],
  pullPolicy: ["When the image is pulled: if it is missing on this machine (the default), always, or never"],
  port: ["Where the app listens inside its container"],
  env: ["Variables with their values", { GREETING: "hello" }],
  secretEnv: ["Variables whose values are secrets, with the names of the secrets", { DB_PASSWORD: "db-password" }],
  command: ["A program and its arguments, in place of the image's CMD; they follow its ENTRYPOINT, if it has one", [
    "serve",
    "--verbose",
  ]],
  volumes: ["Volumes and folders that outlive a container; a service with any of them has one instance", [{
    source: "shop-data",
    path: "/data",
  }]],
  concurrency: ["How many requests an instance serves at once; 0 for any number"],
  minInstances: ["How many instances run even without requests"],
  maxInstances: ["How many instances may run at once"],
  startTimeout: ["How long a start may take", "30s"],
  requestTimeout: ["From a request's arrival to the response's headers", "5m"],
  clientTimeout: [
    "How long a client may stop sending its request or reading its answer; 0 for no limit",
    "60s",
  ],
  pauseAfter: ["How long an instance may be idle before it is paused", "60s"],
  hibernateAfter: ["How long an instance may be idle before the memory of a paused one is moved to disk", "5m"],
  stopAfter: ["How long an instance may be idle before it is stopped", "10m"],
  readiness: ["The path that must answer, with a status below 500, before an instance gets requests", { path: "/" }],
  liveness: [
    "The path that is requested from a ready instance, and how often; an instance that does not answer with a status below 500 is replaced",
    { path: "/", every: "10s" },
  ],
  hangAfter: [
    "How long an instance may answer none of its requests before cless checks it, and replaces it if it hangs; 0 is never",
    "20s",
  ],
  memory: ["How much memory an instance may use, swap included", "256m"],
  cpus: ["How many processors an instance may keep busy", 0.5],
  capabilities: [
    "Capabilities of Linux to add to the engine's default or to drop; ALL drops every one. AUDIT_WRITE, MKNOD and NET_RAW are dropped unless they are added. Adding one that is not in the engine's default needs a token of scope admin",
    { drop: ["ALL"], add: ["NET_BIND_SERVICE"] },
  ],
  readOnly: ["Whether the app can write only into its volumes and /tmp, which is in memory"],
  user: ["The user that the app runs as, USER or USER:GROUP, in place of the image's user", "1000:1000"],
  runtime: ["The engine's runtime for the container, in place of its default", "runsc"],
  placement: [
    "On which machines of a Swarm instances run: on one by its name, on those with certain labels, or spread evenly over the values of a label",
    { labels: { disk: "fast" }, spread: "room" },
  ],
  domains: ["Whole hostnames that lead to the service besides its own", ["shop.example.org"]],
  revisionHistory: ["How many revisions without traffic or tag are retained; 20 by default"],
  wake: [
    "Requests that do not wake the service: by a part of the User-Agent, or by the path with everything below it (/ means only the root)",
    { except: { userAgents: ["known-robots", "MyOwnBot"], paths: ["/health"] } },
  ],
  loading: [
    "What a browser gets while the service starts: it waits for the app's answer (hold, the default), or gets a page",
  ],
  access: [
    "Who may use the service: clients at an address of allow, and those who pass one of basic (users with hashes of passwords), forward (another server decides) and oidc (sign-in); except names paths without a lock. {} is everybody",
    { basic: { alice: "$scrypt$ln=15,r=8,p=1$…$…" }, except: ["/health", "/webhooks/*"] },
  ],
  limits: [
    "How many requests per second each client's address, or all clients together, may send, and how large a body may be. {} is no limit",
    { requestsPerSecond: 20, burst: 40, per: "address", maxBody: "20m" },
  ],
  maintenance: [
    "What everybody is told with a 503, apart from the addresses of allow; empty for no maintenance. The addresses of tags answer all the same",
    "Back at 14:00",
  ],
  traffic: ["The percent that the new revision gets, while the others share the rest; or the whole split", 10],
  tag: ["The new revision has an address of its own, TAG--SERVICE", "next"],
};

/** The JSON Schema to add for each Zod schema whose check is a function, which Zod cannot convert. */
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

/** A traffic split as JSON Schema (2020-12). */
export function trafficJsonSchema(): JsonSchema {
  return {
    ...jsonSchemaOf(targetsSchema),
    description: "The shares of the revisions; the percents sum to 100, and `latest` follows what is deployed",
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

/** JSON Schema (2020-12), for editors, of the file that `cless apply` and `cless serve --config` read. */
export function fileSchema(): Record<string, unknown> {
  const { properties = {}, ...service } = serviceJsonSchema();
  const { traffic, ...others } = properties;
  const { description, examples, ...forms } = traffic as Record<string, unknown>;
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Services of cless",
    description: "The file that `cless apply -f FILE` and `cless serve --config FILE` read",
    type: "object",
    properties: {
      services: {
        description: "The services by their names",
        type: ["object", "null"],
        propertyNames: { pattern: SERVICE_PATTERN, not: { anyOf: [{ const: "admin" }, { pattern: "--" }] } },
        additionalProperties: { $ref: "#/$defs/service" },
      },
    },
    additionalProperties: false,
    $defs: {
      service: {
        ...service,
        properties: {
          ...others,
          traffic: { description, examples, anyOf: [...numberForms(forms), trafficJsonSchema()] },
        },
      },
    },
  };
}

/** The alternatives of a field's schema that are not lists. */
function numberForms({ anyOf, ...alone }: { readonly anyOf?: readonly { readonly type?: string }[] }): unknown[] {
  return anyOf?.filter(({ type }) => type !== "array") ?? [alone];
}
