import { z } from "zod";
import { TOKEN_NAME } from "../../control/access/tokens.ts";
import { check, strict } from "../../control/schema/check.ts";
import { ClessError } from "../../base/errors.ts";
import { done, json } from "../answer.ts";
import { readJson } from "../body.ts";
import { scopeSchema, shown } from "../names.ts";
import { operation } from "../operation.ts";
import { time, timeOf } from "../views.ts";

const UNITS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** Ten years, ms. */
const LONGEST = 3653 * 86_400_000;

const tokenBody = strict({
  name: z.string().meta({
    pattern: TOKEN_NAME.source,
    description: "Shown in the history of what it changes",
    examples: ["ci"],
  }),
  scope: scopeSchema,
  expiresIn: z.string().refine(
    (text) => text === "0" || lengthOf(text) !== undefined,
    "must be a length of time such as 12h or 90d (at most 10 years), or 0 for never",
  ).optional().meta({
    pattern: "^(0|[1-9][0-9]{0,8}[smhd])$",
    description: "A length of time such as 30m, 12h or 90d, at most 10 years; missing or 0 is never",
    examples: ["90d"],
  }),
}).meta({ id: "TokenBody" });

const tokenFields = { name: z.string(), scope: scopeSchema, expiresAt: time.optional() };
const tokenView = z.strictObject({ ...tokenFields, createdAt: time }).meta({ id: "Token" });
const newToken = z.strictObject({
  ...tokenFields,
  token: z.string().meta({ description: "Shown this once, and kept nowhere" }),
}).meta({ id: "NewToken" });

/** Further tokens beside the owner's. */
export const tokenOperations = [
  operation({
    id: "listTokens",
    method: "get",
    path: "/v1/tokens",
    scope: "admin",
    tag: "tokens",
    summary: "List the tokens by name, but the owner's; also those that have expired",
    answers: { 200: { description: "All of them", schema: z.array(tokenView) } },
    run: ({ parts }) =>
      json(
        parts.tokens.list().map(({ name, scope, expiresAt, createdAt }): z.input<typeof tokenView> => ({
          name,
          scope,
          ...(expiresAt === undefined ? {} : { expiresAt: timeOf(expiresAt) }),
          createdAt: timeOf(createdAt),
        })),
      ),
  }),
  operation({
    id: "createToken",
    method: "post",
    path: "/v1/tokens",
    scope: "admin",
    tag: "tokens",
    summary: "Make a token",
    body: { schema: tokenBody, example: { name: "ci", scope: "deploy", expiresIn: "90d" } },
    answers: { 201: { description: "The token", schema: newToken } },
    errors: ["conflict", "unsupported_type", "store_unavailable"],
    run: async ({ parts, request }) => {
      const { name, scope, expiresIn = "0" } = check(tokenBody, await readJson(request));
      const length = lengthOf(expiresIn);
      const expiresAt = length === undefined ? undefined : (parts.now ?? Date.now)() + length;
      const token = await parts.tokens.issue(name, scope, expiresAt);
      const answer: z.input<typeof newToken> = {
        name,
        scope,
        ...(expiresAt === undefined ? {} : { expiresAt: timeOf(expiresAt) }),
        token,
      };
      return json(answer, { status: 201 });
    },
  }),
  operation({
    id: "rotateToken",
    method: "post",
    path: "/v1/tokens/rotate",
    scope: "admin",
    tag: "tokens",
    summary: "Replace the owner's token; the old one opens nothing from now on",
    answers: {
      200: {
        description: "The new one, which also stands in the data-dir",
        schema: z.strictObject({ token: z.string() }).meta({ id: "OwnerToken" }),
      },
    },
    errors: ["store_unavailable"],
    run: async ({ parts }) => json({ token: await parts.rotateOwner() }),
  }),
  operation({
    id: "revokeToken",
    method: "delete",
    path: "/v1/tokens/{name}",
    scope: "admin",
    tag: "tokens",
    summary: "Revoke a token at once",
    params: {
      name: z.string().meta({ pattern: TOKEN_NAME.source, description: "The name of the token", examples: ["ci"] }),
    },
    answers: { 204: { description: "It opens nothing any more" } },
    errors: ["not_found", "store_unavailable"],
    run: ({ parts, params: { name } }) => {
      if (!parts.tokens.revoke(name)) throw new ClessError("not_found", `There is no token ${shown(name)}`);
      return done();
    },
  }),
];

/** A length of time, longer than those of services may be; ms. */
function lengthOf(text: string): number | undefined {
  const [, count, unit] = /^([1-9]\d{0,8})([smhd])$/.exec(text) ?? [];
  const ms = Number(count) * (UNITS[unit ?? ""] ?? NaN);
  return ms <= LONGEST ? ms : undefined;
}
