import { z } from "zod";
import type { Scope } from "../control/records.ts";
import { allows, type Holder } from "../control/access/tokens.ts";
import { check } from "../control/schema/check.ts";
import { ClessError, type ErrorCode } from "../base/errors.ts";
import { queryValues, type Target } from "./target.ts";

/** The parameters in a path such as `/v1/services/{name}`. */
type ParamsOf<P extends string> = P extends `${string}{${infer Name}}${infer Rest}` ? Name | ParamsOf<Rest> : never;

type QueryShape = Readonly<Record<string, z.ZodType>>;

interface Call<P extends string = string, S extends QueryShape = QueryShape> {
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
  /** `application/json` by default if there is a schema. */
  readonly type?: string;
  /** Further types, chosen by what the client accepts. */
  readonly otherTypes?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
}

/** One operation: its description in the document, and its handler. */
interface OperationSpec<P extends string, S extends QueryShape> {
  readonly id: string;
  readonly method: "get" | "put" | "post" | "delete";
  readonly path: P;
  /** The token's required scope; missing if no token is needed. */
  readonly scope?: Scope;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly params?: Readonly<Record<ParamsOf<P>, z.ZodType>>;
  readonly query?: S;
  readonly headers?: Readonly<Record<string, z.ZodType>>;
  readonly body?: DocumentedBody;
  readonly answers: Readonly<Record<number, DocumentedAnswer>>;
  /** Its errors besides those of all operations. */
  readonly errors?: readonly ErrorCode[];
  readonly run: (call: Call<P, S>) => Response | Promise<Response>;
}

/** An operation without the types of its parameters. */
export interface Operation extends Omit<OperationSpec<string, QueryShape>, "run"> {
  /** Checks the scope and the query, and runs the operation. */
  readonly answer: (call: Omit<Call, "query">) => Promise<Response>;
}

const NO_QUERY = {};

export function operation<P extends string, S extends QueryShape = typeof NO_QUERY>(
  spec: OperationSpec<P, S>,
): Operation {
  const { run, scope, query } = spec;
  return {
    ...spec as unknown as Omit<Operation, "answer">,
    answer: async (call) => {
      if (scope !== undefined && !allows(call.holder.scope, scope)) {
        throw new ClessError(
          "forbidden",
          `The token ${call.holder.name} allows ${call.holder.scope}, and this needs ${scope}`,
        );
      }
      return await run({ ...call, query: readQuery(call.target.query, query ?? NO_QUERY as S) } as Call<P, S>);
    },
  };
}

/** Reads a query. @throws {InvalidError} For the first parameter that is unknown, given twice or wrong. */
function readQuery<S extends QueryShape>(text: string, shape: S): z.output<z.ZodObject<S>> {
  return check(z.object(shape), { ...queryValues(text, Object.keys(shape)) });
}
