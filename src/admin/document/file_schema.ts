import { SERVICE_PATTERN } from "../names.ts";
import { serviceJsonSchema, trafficJsonSchema } from "./service_schema.ts";

/** The file of services that `cless apply` and `cless serve --config` read, as JSON Schema (2020-12), for editors. */
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
          traffic: { description, examples, anyOf: [...choicesOf(forms), trafficJsonSchema()] },
        },
      },
    },
  };
}

/** The forms of a number that a field may have. */
function choicesOf({ anyOf, ...alone }: { readonly anyOf?: readonly { readonly type?: string }[] }): unknown[] {
  return anyOf?.filter(({ type }) => type !== "array") ?? [alone];
}
