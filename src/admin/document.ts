import { OpenAPIHono, type RouteConfig } from "@hono/zod-openapi";
import { z } from "zod";
import { MAX_FAULTS } from "../control/schema/invalid.ts";
import { ClessError } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import { defined } from "../model/defined.ts";
import type { DocumentedAnswer, Operation } from "./operation.ts";
import { MEANINGS } from "./problems.ts";
import { serviceJsonSchema, trafficJsonSchema } from "./service_schema.ts";

const DESCRIPTION =
  "Send the token from the data-dir, or another one that was made with it, as a bearer token; a browser " +
  "may sign in at /v1/session, and send the cookie that it gets there in place of the token. HEAD " +
  "is possible where GET is. Other methods are answered with 405 and Allow. Every error is application/problem+json, " +
  "with its code also in the header cless-error.";

const TAGS = {
  services: "Apps with hostnames and a traffic split",
  revisions: "The versions of services; they never change",
  traffic: "The revisions' shares of the traffic",
  instances: "Running containers",
  nodes: "The machines of a Swarm",
  exec: "Commands in running containers",
  activity: "How busy services are",
  events: "What happens, as it happens",
  logs: "The output of apps",
  history: "Who changed what",
  deploys: "How deploys ended, also those that failed",
  secrets: "Values for variables; they cannot be read here",
  tokens: "Who may use this API",
  session: "Signing in with a browser",
  certificates: "Hostnames that a TLS proxy asks for",
  backup: "Copies of the data-dir",
  about: "cless itself",
};

/** The errors of every operation with a token. */
const COMMON_ERRORS = ["invalid", "unauthorized", "forbidden", "too_large", "too_many_attempts", "internal"] as const;

const problemFields = {
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string().meta({ description: "What is wrong, on one line" }),
  code: z.string().meta({ description: "What is wrong, for programs" }),
};

const problemSchema = z.strictObject({
  ...problemFields,
  errors: z.array(z.strictObject({
    field: z.string().meta({ description: "Where it is, such as env.PORT or domains.0" }),
    reason: z.string().meta({ description: "What is wrong, and what is right" }),
  })).min(1).max(MAX_FAULTS).optional().meta({
    description: "The wrong fields, beginning with that of the detail; only with the code invalid",
  }),
}).meta({
  id: "Problem",
  examples: [{
    type: "about:blank",
    title: "Bad Request",
    status: 400,
    detail: "port: must be a whole number from 1 to 65535",
    code: "invalid",
    errors: [{ field: "port", reason: "must be a whole number from 1 to 65535" }],
  }],
});

/** The error for a failing revision or image. */
const failureSchema = z.strictObject({
  ...problemFields,
  reason: z.string().meta({ description: "Why, without the name of the revision" }),
  output: z.array(z.string()).meta({ description: "The last lines that the app wrote" }),
}).meta({ id: "Failure" });

/** The OpenAPI document of the operations. */
export function documentOf(operations: readonly Operation[]) {
  const app = new OpenAPIHono();
  const { openAPIRegistry: registry } = app;
  registry.registerComponent("securitySchemes", "token", { type: "http", scheme: "bearer" });
  for (const operation of operations) registry.registerPath(routeOf(operation));
  const document = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: { title: "cless", version: VERSION, description: DESCRIPTION, license: { name: "MIT" } },
    servers: [{ url: "/" }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
  });
  // The library leaves out the rules for the keys of a `z.record`, and rules that are functions. So these schemas are
  // made separately.
  const schemas = { ...document.components?.schemas, ServiceBody: serviceJsonSchema(), Traffic: trafficJsonSchema() };
  return { ...document, components: { ...document.components, schemas } };
}

function routeOf(operation: Operation): RouteConfig {
  const { id, method, path, scope, tag, summary, description, params, query, headers, body } = operation;
  const request = defined({
    params: params && z.object(params),
    query: query && z.object(query),
    headers: headers && z.object(headers),
    body: body && defined({
      required: true,
      description: body.description,
      content: contentOf(body.types ?? ["application/json"], { schema: body.schema, example: body.example }),
    }),
  });
  return defined({
    method: method.toLowerCase() as Lowercase<typeof method>,
    path,
    operationId: id,
    tags: [tag],
    summary,
    description,
    security: scope === undefined ? [] : [{ token: [scope] }],
    request: request as NonNullable<RouteConfig["request"]>,
    responses: { ...goodAnswers(operation), ...problemAnswers(operation) },
  });
}

function goodAnswers({ answers }: Operation): RouteConfig["responses"] {
  return Object.fromEntries(
    Object.entries(answers).map(([status, answer]) => [status, {
      description: answer.description,
      ...(answer.headers === undefined ? {} : { headers: headersOf(answer.headers) }),
      ...bodyOf(answer),
    }]),
  ) as RouteConfig["responses"];
}

function bodyOf({ schema, types }: DocumentedAnswer) {
  if (schema !== undefined) return { content: contentOf(types ?? ["application/json"], { schema }) };
  return types === undefined ? {} : { content: contentOf(types, { schema: z.string() }) };
}

function problemAnswers({ errors = [], scope }: Operation): RouteConfig["responses"] {
  const codes = [...scope === undefined ? ["internal"] as const : COMMON_ERRORS, ...errors];
  const byStatus = Map.groupBy(new Set(codes), (code) => new ClessError(code, "").status);
  return Object.fromEntries(
    [...byStatus].map(([status, some]) => [status, {
      description: some.map((code) => `\`${code}\`: ${MEANINGS[code]}`).join("; "),
      headers: headersOf({ "cless-error": "The code" }),
      content: contentOf(["application/problem+json"], { schema: status === 422 ? failureSchema : problemSchema }),
    }]),
  ) as RouteConfig["responses"];
}

function headersOf(headers: Readonly<Record<string, string>>) {
  return Object.fromEntries(
    Object.entries(headers).map(([name, description]) => [name, { description, schema: { type: "string" } }]),
  );
}

function contentOf<T>(types: readonly string[], media: T): Record<string, T> {
  return Object.fromEntries(types.map((type) => [type, media]));
}
