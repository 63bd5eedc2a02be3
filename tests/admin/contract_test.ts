import { assert, assertEquals } from "@std/assert";
import { Ajv2020 } from "ajv/2020";
import fc from "fast-check";
import { documentOf } from "../../src/admin/document.ts";
import { operationsOf } from "../../src/admin/routes.ts";
import { noRead } from "../support/permissions.ts";
import { type Schema, Values } from "./from_schema.ts";
import { type Admin, newAdmin, OWNER } from "./kit.ts";

interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required?: boolean;
  readonly schema: Schema;
}

interface Media {
  readonly schema?: Schema;
}

interface Documented {
  readonly operationId: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, Media>> };
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, Media>> }>>;
}

/** A request that follows the document. */
interface Input {
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly body: unknown;
  readonly type: string | undefined;
  readonly query: string;
}

const RUNS = 40;
const document: { paths: Record<string, Record<string, Documented>> } = JSON.parse(
  JSON.stringify(documentOf(operationsOf((await newAdmin()).parts))),
);
const values = new Values(document);
const ajv = new Ajv2020({ strict: false, validateFormats: false });
ajv.addSchema(document, "api");
const steps = (...names: string[]) => names.map((name) => name.replaceAll("~", "~0").replaceAll("/", "~1")).join("/");

/** Whether a value is valid for the schema at a place of the document. */
function fits(value: unknown, ...place: string[]): boolean {
  return ajv.validate({ $ref: `api#/${steps(...place)}` }, value);
}

/** Writes a value into a request, and reads it back for the schema. */
const written = (value: unknown) => String(value);
const seen = (text: string, { type }: Schema) =>
  type === "integer" && /^(0|[1-9]\d*)$/.test(text) ? Number(text) : text;

/** An API with a service and a secret, so that not everything is missing. */
async function furnished(): Promise<Admin> {
  const admin = await newAdmin();
  for (const image of ["web:1", "web:2"]) {
    await (await admin.ask("PUT", "/v1/services/web", { body: { image, env: { A: "b" } } })).body?.cancel();
  }
  const failure = { reason: "it ended with code 1", output: ["panic"], at: 1_000_000, count: 3, retryInMs: 400 };
  admin.failures.set("web-00001", failure);
  await admin.parts.secrets.set("db-password", "x");
  return admin;
}

/** Mostly names that exist. */
function parameterValue({ in: place, name, schema }: Parameter): fc.Arbitrary<unknown> {
  const there: Record<string, string> = { name: "web", revision: "web-00001" };
  const any = values.of(schema);
  return place === "path" && there[name] !== undefined
    ? fc.oneof({ weight: 3, arbitrary: fc.constant(there[name]) }, any)
    : any;
}

function inputs({ parameters = [], requestBody }: Documented): fc.Arbitrary<Input> {
  const record: Record<string, fc.Arbitrary<unknown>> = {};
  for (const parameter of parameters) record[parameter.name] = parameterValue(parameter);
  const requiredKeys = parameters.filter(({ required }) => required).map(({ name }) => name);
  const contents = Object.entries(requestBody?.content ?? {});
  const body = contents.length === 0
    ? fc.constant({ type: undefined, body: undefined })
    : fc.oneof(...contents.map(([type, { schema = {} }]) => values.of(schema).map((body) => ({ type, body }))));
  return fc.record({ parameters: fc.record(record, { requiredKeys, noNullPrototype: true }), body })
    .map(({ parameters, body }) => ({ parameters, ...body, query: "" }));
}

async function send(
  { ask }: Admin,
  method: string,
  path: string,
  operation: Documented,
  input: Input,
): Promise<Response> {
  const query = new URLSearchParams();
  const headers: Record<string, string> = {};
  let target = path;
  for (const { in: place, name } of operation.parameters ?? []) {
    const value = input.parameters[name];
    if (value === undefined) continue;
    if (place === "path") target = target.replace(`{${name}}`, encodeURIComponent(written(value)));
    else if (place === "query") query.set(name, written(value));
    else headers[name] = written(value);
  }
  if (input.type !== undefined) headers["content-type"] = input.type;
  const text = input.type === "application/json" ? JSON.stringify(input.body) : input.body as string | undefined;
  const suffix = [query.toString(), input.query].filter(Boolean).join("&");
  const options = { headers, token: OWNER, ...(text === undefined ? {} : { body: text }) };
  return await ask(method.toUpperCase(), target + (suffix === "" ? "" : `?${suffix}`), options);
}

/** Checks that the document has this answer. */
async function checkAnswer(answer: Response, path: string, method: string, { responses }: Documented): Promise<void> {
  const { status } = answer;
  const text = await answer.text();
  assert(Object.hasOwn(responses, status), `${status} is not in the document: ${text}`);
  const { content } = responses[status]!;
  const type = answer.headers.get("content-type")?.replace(/;.*/, "");
  if (content === undefined) return assertEquals([text, type], ["", undefined]);
  assert(type !== undefined && Object.hasOwn(content, type), `${type} is not in the document for ${status}`);
  const value = /json$/.test(type) ? JSON.parse(text) : text;
  const fine = fits(value, "paths", path, method, "responses", String(status), "content", type, "schema");
  assert(fine, `${text}: ${ajv.errorsText()}`);
}

/** Inputs that the document does not allow: valid ones with one mistake. */
function wrongInputs(path: string, method: string, operation: Documented): fc.Arbitrary<Input> | undefined {
  const { parameters = [], requestBody } = operation;
  const wrongText = fc.oneof(
    fc.constantFrom("-1", "1.5", "x", "TRUE", " ", "99999999999999999999", "\u00e9", "a b", "x".repeat(5000), "0x10"),
    fc.string(),
  );
  const ways: fc.Arbitrary<(input: Input) => Input>[] = [];
  parameters.forEach(({ in: place, name, schema, required }, at) => {
    if (ajv.validate(schema, "x".repeat(5000)) && ajv.validate(schema, " ")) return; // it accepts any text
    const isWrong = (text: string) =>
      !fits(seen(text, schema), "paths", path, method, "parameters", String(at), "schema") &&
      // Not all texts reach the API as this value: headers are trimmed and cannot have every character, and an empty
      // name, dots or a slash make another path.
      (place !== "header" || /^[!-~]+$/.test(text)) && (place !== "path" || /^[^/]*[^./][^/]*$/.test(text));
    ways.push(
      wrongText.filter(isWrong).map((text) => (input) => ({
        ...input,
        parameters: { ...input.parameters, [name]: text },
      })),
    );
    if (required && place === "query") {
      ways.push(fc.constant((input) => ({ ...input, parameters: { ...input.parameters, [name]: undefined } })));
    }
  });
  ways.push(fc.constantFrom("nosuch=1", "__proto__=1", "=").map((query) => (input) => ({ ...input, query })));
  const json = requestBody?.content["application/json"]?.schema;
  if (json !== undefined) {
    const place = ["paths", path, method, "requestBody", "content", "application/json", "schema"];
    const bodies = fc.oneof(fc.jsonValue(), fc.tuple(values.of(json), fc.string(), fc.jsonValue()).map(spoilt));
    ways.push(bodies.filter((body) => !fits(body, ...place)).map((body) => (input) => ({ ...input, body })));
    ways.push(fc.constantFrom("text/html", "application/xml").map((type) => (input) => ({ ...input, type })));
  }
  return fc.tuple(inputs(operation), fc.oneof(...ways)).map(([input, spoil]) => spoil(input));
}

/** A body in which one property has another value, or is unknown. */
function spoilt([body, name, value]: [unknown, string, unknown]): unknown {
  if (Array.isArray(body)) return [...body, value];
  const names = Object.keys(body as object);
  return { ...body as object, [names[name.length % (names.length + 1)] ?? name]: value };
}

for (const [path, methods] of Object.entries(document.paths)) {
  for (const [method, operation] of Object.entries(methods)) {
    const { operationId } = operation;

    const name = `${operationId}: what the document allows never fails, and is answered as it says`;
    // The metrics tell how many files are open.
    Deno.test({ name, ignore: path === "/metrics" && noRead }, async () => {
      // Making an API takes longer than most answers, and a GET changes nothing in it.
      const shared = method === "get" ? await furnished() : undefined;
      await fc.assert(
        fc.asyncProperty(inputs(operation), async (input) => {
          const answer = await send(shared ?? await furnished(), method, path, operation, input);
          assert(answer.status < 500, String(answer.status));
          await checkAnswer(answer, path, method, operation);
        }),
        { numRuns: RUNS },
      );
    });

    const wrong = path === "/healthz" || path === "/readyz" ? undefined : wrongInputs(path, method, operation);
    if (wrong === undefined) continue;
    Deno.test(`${operationId}: what the document does not allow is refused, as it says`, async () => {
      const admin = await furnished(); // what is refused changes nothing in it either
      await fc.assert(
        fc.asyncProperty(wrong, async (input) => {
          const answer = await send(admin, method, path, operation, input);
          assert(answer.status >= 400 && answer.status < 500, String(answer.status));
          await checkAnswer(answer, path, method, operation);
        }),
        { numRuns: RUNS },
      );
    });
  }
}
