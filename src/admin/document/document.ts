import { OpenAPIHono, type RouteConfig } from "@hono/zod-openapi";
import { z } from "zod";
import { ClessError, type ErrorCode } from "../../base/errors.ts";
import type { DocumentedAnswer, Operation } from "../operation.ts";
import { VERSION } from "../../base/version.ts";
import { COMMON_ERRORS, failureSchema, isDocumented, MEANINGS, OPEN_ERRORS, problemSchema } from "./problem_schema.ts";
import { serviceJsonSchema, trafficJsonSchema } from "./service_schema.ts";

const DESCRIPTION = "Send the token from the data-dir, or another that was made with it, as a bearer token. HEAD is " +
  "possible where GET is. A method that is not possible is answered with 405 and Allow. Every failure is told as " +
  "application/problem+json, with its code in the header cless-error too.";

const TAGS = {
  services: "Apps with hostnames and a traffic split",
  revisions: "What services are made of; they never change",
  traffic: "Which revision gets how much",
  instances: "Running containers",
  events: "What happens",
  logs: "What apps write",
  history: "Who has changed what",
  secrets: "Values for variables that nobody can read here",
  tokens: "Who may use this API",
  backup: "Copies of what cless keeps",
  about: "cless itself",
};

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
  // Made as the schema of the file is: the library leaves out what names must be.
  const schemas = { ...document.components?.schemas, ServiceBody: serviceJsonSchema(), Traffic: trafficJsonSchema() };
  return { ...document, components: { ...document.components, schemas } };
}

function routeOf(operation: Operation): RouteConfig {
  const { id, method, path, scope, tag, summary, description, params, query, headers, body } = operation;
  const request = {
    ...(params === undefined ? {} : { params: z.object(params) }),
    ...(query === undefined ? {} : { query: z.object(query) }),
    ...(headers === undefined ? {} : { headers: z.object(headers) }),
    ...(body === undefined ? {} : {
      body: {
        required: true,
        ...(body.description === undefined ? {} : { description: body.description }),
        content: contentOf(body.types ?? ["application/json"], { schema: body.schema, example: body.example }),
      },
    }),
  };
  return {
    method,
    path,
    operationId: id,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    security: scope === undefined ? [] : [{ token: [scope] }],
    request: request as NonNullable<RouteConfig["request"]>,
    responses: { ...goodAnswers(operation), ...problemAnswers(operation) },
  };
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

function bodyOf({ otherTypes = [], schema, type }: DocumentedAnswer) {
  if (schema !== undefined) return { content: contentOf([type ?? "application/json"], { schema }) };
  return type === undefined ? {} : { content: contentOf([type, ...otherTypes], { schema: z.string() }) };
}

function problemAnswers({ errors = [], scope }: Operation): RouteConfig["responses"] {
  const codes = [...scope === undefined ? OPEN_ERRORS : COMMON_ERRORS, ...errors];
  const byStatus = Map.groupBy(new Set(codes), (code) => new ClessError(code, "").status);
  return Object.fromEntries(
    [...byStatus].map(([status, some]) => [status, {
      description: some.map((code) => `\`${code}\`: ${meaningOf(code)}`).join("; "),
      headers: headersOf({ "cless-error": "The code" }),
      content: contentOf(["application/problem+json"], { schema: status === 422 ? failureSchema : problemSchema }),
    }]),
  ) as RouteConfig["responses"];
}

function meaningOf(code: ErrorCode): string {
  if (!isDocumented(code)) throw new Error(`The code ${code} has no meaning in the document`);
  return MEANINGS[code];
}

function headersOf(headers: Readonly<Record<string, string>>) {
  return Object.fromEntries(
    Object.entries(headers).map(([name, description]) => [name, { description, schema: { type: "string" } }]),
  );
}

function contentOf<T>(types: readonly string[], media: T): Record<string, T> {
  return Object.fromEntries(types.map((type) => [type, media]));
}
