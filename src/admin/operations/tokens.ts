import { z } from "zod";
import { SCOPES, type TokenInfo } from "../../control/access/tokens.ts";
import { CREDENTIAL_NAME } from "../../control/schema/invalid.ts";
import { check, strict } from "../../control/schema/check.ts";
import type { Scope } from "../../control/records.ts";
import { ClessError } from "../../base/errors.ts";
import { json, readJson } from "../body.ts";
import type { Collaborators } from "../collaborators.ts";
import { shown, time, timeOf } from "../common_fields.ts";
import { tagged } from "../operation.ts";

const operation = tagged("tokens");
const UNITS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const MAX_LIFETIME_MS = 3653 * 86_400_000;

const scopeSchema: z.ZodType<Scope> = z.enum(SCOPES).meta({
  description: "read allows to look, deploy also to change services and secrets, admin everything",
});

const tokenBody = strict({
  name: z.string().meta({
    pattern: CREDENTIAL_NAME.source,
    description: "Shown in the history of what the token changes",
    examples: ["ci"],
  }),
  scope: scopeSchema,
  expiresIn: z.string().refine(
    (text) => text === "0" || lengthOf(text) !== undefined,
    "must be a length of time such as 12h or 90d (at most 10 years), or 0 for never",
  ).optional().meta({
    pattern: "^(0|[1-9][0-9]{0,8}[smhd])$",
    description: "A length of time such as 30m, 12h or 90d, at most 10 years; never if it is missing or 0",
    examples: ["90d"],
  }),
}).meta({ id: "TokenBody" });

const tokenFields = { name: z.string(), scope: scopeSchema, expiresAt: time.optional() };
const tokenView = z.strictObject({ ...tokenFields, createdAt: time }).meta({ id: "Token" });
const newToken = z.strictObject({
  ...tokenFields,
  token: z.string().meta({ description: "Shown only now, and stored nowhere" }),
}).meta({ id: "NewToken" });

/** A token in JSON, without its text. */
export type TokenJson = z.output<typeof tokenView>;
/** A token in JSON when it has just been made, with its text. */
export type NewTokenJson = z.output<typeof newToken>;

/** The operations on tokens. */
export function tokenOperations({ cluster, dataDir, now = Date.now, tokens }: Collaborators) {
  return [
    operation({
      id: "listTokens",
      route: "GET /v1/tokens",
      scope: "admin",
      summary: "List the tokens by name, also expired ones, without the owner's",
      answers: { 200: { description: "All of them", schema: z.array(tokenView) } },
      run: () => json(tokens.list().map(showToken)),
    }),
    operation({
      id: "createToken",
      route: "POST /v1/tokens",
      scope: "admin",
      summary: "Make a token",
      body: { schema: tokenBody, example: { name: "ci", scope: "deploy", expiresIn: "90d" } },
      answers: { 201: { description: "The token", schema: newToken } },
      errors: ["conflict", "unsupported_type", "store_unavailable"],
      run: async ({ request }) => {
        const { name, scope, expiresIn = "0" } = check(tokenBody, await readJson(request));
        const length = lengthOf(expiresIn);
        const expiresAt = length === undefined ? undefined : now() + length;
        const token = await tokens.issue(name, scope, expiresAt);
        const shown: z.input<typeof newToken> = { name, scope, expiresAt: maybeTime(expiresAt), token };
        return json(shown, { status: 201 });
      },
    }),
    operation({
      id: "rotateToken",
      route: "POST /v1/tokens/rotate",
      scope: "admin",
      summary: "Replace the owner's token; the old one is no longer valid",
      answers: {
        200: {
          description: "The new token, which is also in the data-dir",
          schema: z.strictObject({ token: z.string() }).meta({ id: "OwnerToken" }),
        },
      },
      errors: ["store_unavailable"],
      run: async () => {
        const token = dataDir.rotateToken();
        await tokens.setOwner(token);
        await cluster?.spreadToken();
        return json({ token });
      },
    }),
    operation({
      id: "revokeToken",
      route: "DELETE /v1/tokens/{name}",
      scope: "admin",
      summary: "Revoke a token at once",
      params: {
        name: z.string().meta({
          pattern: CREDENTIAL_NAME.source,
          description: "The name of the token",
          examples: ["ci"],
        }),
      },
      answers: { 204: { description: "It is no longer valid" } },
      errors: ["not_found", "store_unavailable"],
      run: async ({ params: { name } }) => {
        if (!await tokens.revoke(name)) throw new ClessError("not_found", `there is no token ${shown(name)}`);
      },
    }),
  ];
}

function showToken({ name, scope, expiresAt, createdAt }: TokenInfo): z.input<typeof tokenView> {
  return { name, scope, expiresAt: maybeTime(expiresAt), createdAt: timeOf(createdAt) };
}

function maybeTime(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : timeOf(ms);
}

/** Reads a length of time in ms. Unlike durations of services, it may be in days, up to years. */
function lengthOf(text: string): number | undefined {
  const [, count, unit] = /^([1-9]\d{0,8})([smhd])$/.exec(text) ?? [];
  const ms = Number(count) * (UNITS[unit ?? ""] ?? NaN);
  return ms <= MAX_LIFETIME_MS ? ms : undefined;
}
