import type { z } from "zod";
import type { Scope } from "../control/records.ts";
import { allows, type Holder } from "../control/access/tokens.ts";
import { ClessError, type ErrorCode } from "../base/errors.ts";
import type { AdminParts } from "./parts.ts";
import { type QueryShape, readQuery } from "./query.ts";
import type { Target } from "./target.ts";

/** The parameters in a path such as `/v1/services/{name}`. */
type ParamsOf<P extends string> = P extends `${string}{${infer Name}}${infer Rest}` ? Name | ParamsOf<Rest> : never;

/** What an operation is asked with. */
export interface Call<P extends string = string, S extends QueryShape = QueryShape> {
  readonly parts: AdminParts;
  readonly request: Request;
  readonly target: Target;
  /** Whose token it is. */
  readonly holder: Holder;
  readonly params: Readonly<Record<ParamsOf<P>, string>>;
  readonly query: z.output<z.ZodObject<S>>;
}

/** A schema of the document: made from Zod, or one of those that stand there by name. */
export type DocumentedSchema = z.ZodType | { readonly $ref: string };

/** What the document says of a body. */
export interface DocumentedBody {
  readonly schema: DocumentedSchema;
  readonly types?: readonly string[];
  readonly description?: string;
  readonly example: unknown;
}

/** What the document says of a good answer; one without a schema and a type has no body. */
export interface DocumentedAnswer {
  readonly description: string;
  readonly schema?: DocumentedSchema;
  /** `application/json` where there is a schema. */
  readonly type?: string;
  /** Other types that it may have, by what the client accepts. */
  readonly otherTypes?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
}

/** One operation: what the document says of it, and what it does. */
export interface OperationSpec<P extends string, S extends QueryShape> {
  /** Its name in the document. */
  readonly id: string;
  readonly method: "get" | "put" | "post" | "delete";
  readonly path: P;
  /** What the token must allow; missing where no token is needed. */
  readonly scope?: Scope;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly params?: Readonly<Record<ParamsOf<P>, z.ZodType>>;
  readonly query?: S;
  readonly headers?: Readonly<Record<string, z.ZodType>>;
  readonly body?: DocumentedBody;
  readonly answers: Readonly<Record<number, DocumentedAnswer>>;
  /** The codes that it may fail with beside those that all have. */
  readonly errors?: readonly ErrorCode[];
  readonly run: (call: Call<P, S>) => Response | Promise<Response>;
}

/** An operation whose parameters are its own affair. */
export interface Operation extends Omit<OperationSpec<string, QueryShape>, "run"> {
  /** Checks what is allowed and asked, and does it. */
  readonly answer: (call: Omit<Call, "query">) => Promise<Response>;
}

const NO_QUERY = {};

/** Makes an operation. */
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
