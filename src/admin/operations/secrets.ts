import { z } from "zod";
import { secretName } from "../../control/schema/fields.ts";
import type { SecretVersion } from "../../control/records.ts";
import { ClessError } from "../../base/errors.ts";
import { checkType, json, readBytes } from "../body.ts";
import type { Collaborators } from "../collaborators.ts";
import { flag, shown, time, timeOf } from "../common_fields.ts";
import { tagged } from "../operation.ts";

const operation = tagged("secrets");
const TYPES = ["text/plain", "application/octet-stream"];

const secretView = z.strictObject({
  name: z.string(),
  version: z.int().min(1).meta({ description: "Increases with every new value" }),
  createdAt: time.meta({ description: "When this value was set" }),
}).meta({ id: "Secret", examples: [{ name: "db-password", version: 2, createdAt: "2026-11-25T10:00:00.000Z" }] });

/** A secret in JSON, without its value. */
export type SecretJson = z.output<typeof secretView>;

const params = { name: secretName.meta({ description: "The name of the secret", examples: ["db-password"] }) };

/** The secrets; their values are never shown. */
export function secretOperations({ catalog, secrets }: Collaborators) {
  return [
    operation({
      id: "listSecrets",
      route: "GET /v1/secrets",
      scope: "read",
      summary: "List the secrets by name, without their values",
      answers: { 200: { description: "All of them", schema: z.array(secretView) } },
      errors: ["store_unavailable"],
      run: () => json(secrets.list().map(showSecret)),
    }),
    operation({
      id: "setSecret",
      route: "PUT /v1/secrets/{name}",
      scope: "deploy",
      summary: "Set a secret",
      description:
        "Existing revisions have the value that they were made with; the next deploy makes a revision with this one.",
      params,
      body: {
        types: TYPES,
        schema: z.string(),
        description: "The value itself: at most 64 KiB of text in UTF-8, without a zero byte",
        example: "correct horse battery staple",
      },
      answers: {
        200: { description: "It has a new value", schema: secretView },
        201: { description: "The secret is new", schema: secretView },
      },
      errors: ["unsupported_type", "store_unavailable"],
      run: async ({ request, params: { name } }) => {
        checkType(request.headers, TYPES);
        const value = await readBytes(request);
        const isNew = !secrets.list().some((secret) => secret.name === name);
        return json(showSecret(await secrets.set(name, value)), { status: isNew ? 201 : 200 });
      },
    }),
    operation({
      id: "deleteSecret",
      route: "DELETE /v1/secrets/{name}",
      scope: "deploy",
      summary: "Remove a secret",
      description:
        "A secret that a revision or a sign-in uses is only removed by force: the next start or sign-in would fail.",
      params,
      query: { force: flag(false, "Whether to remove it even if it is in use") },
      answers: { 204: { description: "It is gone" } },
      errors: ["not_found", "conflict", "store_unavailable"],
      run: async ({ params: { name }, query: { force } }) => {
        const user = force ? undefined : catalog.userOf(name);
        if (user !== undefined) {
          const by = "revision" in user
            ? `${user.revision}, which could not start any more`
            : `the service ${user.signInOf}, to which nobody could sign in any more`;
          throw new ClessError("conflict", `The secret ${shown(name)} is in use by ${by}`);
        }
        if (!await secrets.delete(name)) throw new ClessError("not_found", `there is no secret ${shown(name)}`);
      },
    }),
  ];
}

function showSecret({ name, version, createdAt }: SecretVersion): z.input<typeof secretView> {
  return { name, version, createdAt: timeOf(createdAt) };
}
