import fc from "fast-check";

/** The part of JSON Schema that the document uses. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly pattern?: string;
  readonly format?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly maxItems?: number;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly propertyNames?: Schema;
  readonly additionalProperties?: boolean | Schema;
  readonly anyOf?: readonly Schema[];
  readonly examples?: readonly unknown[];
}

/** Makes values of a schema, whose references are into a document. */
export class Values {
  readonly #document: unknown;

  constructor(document: unknown) {
    this.#document = document;
  }

  /** Any value that is valid for a schema. */
  of(schema: Schema): fc.Arbitrary<unknown> {
    if (schema.$ref !== undefined) return this.of(this.#find(schema.$ref));
    const made = this.#made(schema);
    // Examples often reach code that random values do not.
    return schema.examples === undefined ? made : fc.oneof(made, fc.constantFrom(...schema.examples));
  }

  #made(schema: Schema): fc.Arbitrary<unknown> {
    if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map((one) => this.of(one)));
    if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
    if ("const" in schema) return fc.constant(schema.const);
    switch (schema.type) {
      case "string":
        return text(schema);
      case "integer":
        return fc.integer({ min: schema.minimum ?? -1000, max: Math.min(schema.maximum ?? 1000, 2 ** 31 - 1) });
      case "number":
        return fc.double({
          min: schema.minimum ?? schema.exclusiveMinimum ?? -1e6,
          max: schema.maximum ?? 1e6,
          noNaN: true,
        })
          .filter((value) => value !== schema.exclusiveMinimum);
      case "boolean":
        return fc.boolean();
      case "array":
        return fc.array(this.of(schema.items ?? {}), { maxLength: Math.min(schema.maxItems ?? 4, 4) });
      case "object":
        return this.#object(schema);
      default:
        return fc.jsonValue();
    }
  }

  #object({ additionalProperties, properties = {}, propertyNames, required = [] }: Schema): fc.Arbitrary<unknown> {
    const known = fc.record(
      Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, this.of(schema)])),
      { requiredKeys: [...required], noNullPrototype: true },
    );
    if (typeof additionalProperties !== "object") return known;
    const names = this.of(propertyNames ?? { type: "string" }) as fc.Arbitrary<string>;
    return fc.dictionary(names, this.of(additionalProperties), { maxKeys: 3, noNullPrototype: true });
  }

  #find(reference: string): Schema {
    const steps = reference.replace(/^#\//, "").split("/");
    return steps.reduce((value, step) => (value as Record<string, unknown>)[step], this.#document) as Schema;
  }
}

function text({ examples, format, maxLength = Infinity, minLength = 0, pattern }: Schema): fc.Arbitrary<string> {
  if (format === "date-time") {
    return fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) }).map((d) => d.toISOString());
  }
  const max = Math.min(maxLength, 40);
  if (pattern === undefined) return fc.string({ minLength, maxLength: max, unit: "grapheme-composite" });
  // The library cannot make values of patterns with look-ahead; such schemas have examples.
  if (/\(\?[=!]/.test(pattern)) {
    return examples === undefined ? fc.constant("web") : fc.constantFrom(...examples as string[]);
  }
  return fc.stringMatching(new RegExp(pattern)).filter(({ length }) => length >= minLength && length <= maxLength);
}
