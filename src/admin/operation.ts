import { z } from "zod";
import type { Scope } from "../control/records.ts";
import { allows, type Holder } from "../control/access/tokens.ts";
import { check } from "../control/schema/check.ts";
import { ClessError } from "../base/errors.ts";
import { type DocumentedCode, noSuchResource } from "./problems.ts";
import { noContent } from "./body.ts";
import { queryValues, type Target } from "./target.ts";

/** The parameters in a path such as `/v1/services/{name}`. */
type ParamsOf<P extends string> = P extends `${string}{${infer Name}}${infer Rest}` ? Name | ParamsOf<Rest> : never;

type QueryShape = Readonly<Record<string, z.ZodType>>;

/** A checked request to an operation. */
export interface Call<P extends string = string, S extends QueryShape = QueryShape> {
  readonly request: Request;
  readonly target: Target;
  readonly holder: Holder;
  readonly params: Readonly<Record<ParamsOf<P>, string>>;
  readonly query: z.output<z.ZodObject<S>>;
}

/** A schema in the document: from Zod, or a reference to a named component. */
type DocumentedSchema = z.ZodType | { readonly $ref: string };

/** The document's description of a request's body. */
interface DocumentedBody {
  readonly schema: DocumentedSchema;
  /** `application/json` by default. */
  readonly types?: readonly string[];
  readonly description?: string;
  readonly example: unknown;
}

/** The document's description of a successful answer; without schema and type, it has no body. */
export interface DocumentedAnswer {
  readonly description: string;
  readonly schema?: DocumentedSchema;
  /** `application/json` by default if there is a schema. If there are several types, the client chooses one. */
  readonly types?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
}

type Method = "GET" | "PUT" | "POST" | "DELETE";

/** One operation: its description in the document, and its handler. */
interface OperationSpec<P extends string, S extends QueryShape> {
  readonly id: string;
  /** The method and the path, with parameters in braces. */
  readonly route: `${Method} ${P}`;
  /** The token's required scope; missing if no token is needed. */
  readonly scope?: Scope;
  readonly summary: string;
  readonly description?: string;
  readonly params?: Readonly<Record<ParamsOf<P>, z.ZodType>>;
  readonly query?: S;
  readonly headers?: Readonly<Record<string, z.ZodType>>;
  readonly body?: DocumentedBody;
  readonly answers: Readonly<Record<number, DocumentedAnswer>>;
  /** Its errors besides those that all operations have. */
  readonly errors?: readonly DocumentedCode[];
  /** Handles a call. If it returns nothing, the answer is 204. */
  readonly run: (call: Call<P, S>) => Response | void | Promise<Response | void>;
}

/** An operation without the types of its parameters. */
export interface Operation extends Omit<OperationSpec<string, QueryShape>, "route" | "run"> {
  readonly method: Method;
  readonly path: string;
  readonly tag: string;
  /** Checks the scope and the query, and runs the operation. */
  readonly answer: (call: Omit<Call, "query">) => Promise<Response>;
}

const NO_QUERY = {};

/** Runs operations that are only in the document: they are answered before it counts who asks. */
export const answeredEarlier = () => {
  throw noSuchResource();
};

/** Makes operations with a tag. The document groups operations by tag. */
export function tagged(tag: string) {
  return <P extends string, S extends QueryShape = typeof NO_QUERY>(spec: OperationSpec<P, S>): Operation => {
    const { route, run, ...described } = spec;
    const { query = NO_QUERY as S, scope } = described;
    const lists = Object.keys(query).filter((name) => isList(query[name]!));
    const [method, path] = route.split(" ") as [Method, string];
    return {
      ...described,
      ...{ method, path, tag },
      answer: async (call) => {
        if (scope !== undefined && !allows(call.holder.scope, scope)) {
          const { name, scope: allowed } = call.holder;
          throw new ClessError("forbidden", `The token ${name} allows ${allowed}, and this needs ${scope}`);
        }
        const values = check(z.object(query), { ...queryValues(call.target.query, Object.keys(query), lists) });
        return await run({ ...call, query: values } as Call<P, S>) ?? noContent();
      },
    };
  };
}

/** Whether a parameter of a query may be given several times. */
function isList(schema: z.ZodType): boolean {
  return schema instanceof z.ZodOptional ? isList(schema.unwrap() as z.ZodType) : schema instanceof z.ZodArray;
}
