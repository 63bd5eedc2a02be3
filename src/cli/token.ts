import type { NewTokenJson, TokenJson } from "../admin/operations/tokens.ts";
import { UsageError } from "../base/errors.ts";
import { defined } from "../model/defined.ts";
import { pathOf } from "./client.ts";
import { flag } from "./flags.ts";
import { ago, table, until } from "./text.ts";
import { actionOf, type Call, clientVerb, JSON_FLAG, NAMES_FLAG, printJson, printList, printResult } from "./verb.ts";

const ACTIONS: Readonly<Record<string, (call: Call) => Promise<void>>> = { show, create, revoke, rotate };

/** `cless token`: lists, shows, creates and revokes tokens of the admin API. */
export const token = clientVerb({
  name: "token",
  summary: "List the tokens of the admin API, show the own one, create or revoke one",
  args: [`[${Object.keys(ACTIONS).join("|")}]`, "[NAME]"],
  flags: [
    flag("--scope SCOPE", "What a new token allows: read, deploy (and read), or admin (everything)"),
    flag("--expires TIME", "How long a new token is valid, such as 12h or 90d; for ever if not given"),
    JSON_FLAG,
    NAMES_FLAG,
  ],
  notes: [
    "show prints the token that the verbs here use, to sign in to the dashboard: without --token, the owner's, which allows everything.",
    "create prints the new token, which is shown only once. revoke ends a token at once. rotate replaces the owner's token, which is in the data-dir, by a new one.",
  ],
  example: [
    "cless token",
    "cless token show",
    "cless token create ci --scope deploy --expires 90d",
    "cless token revoke ci",
  ],
  check: (call) => {
    call.read("expires", readLength);
  },
  run: async (call) => {
    const [action] = call.args;
    if (action !== "create") {
      for (const flag of ["scope", "expires"]) {
        if (call.text(flag) !== undefined) throw new UsageError(`--${flag} is only for token create`);
      }
    }
    await (action === undefined ? list(call) : actionOf("token", action, ACTIONS)(call));
  },
});

async function list(call: Call): Promise<void> {
  const all = await call.client.list<TokenJson>("/v1/tokens");
  const rows = all.map(({ name, scope, createdAt, expiresAt }) => {
    return [name, scope, ago(createdAt), expiresAt === undefined ? "never" : until(expiresAt)];
  });
  const list = table(["NAME", "SCOPE", "MADE", "EXPIRES"], rows);
  printList(call, all, list, "there is no token besides the owner's; cless token create makes one");
}

async function show(call: Call): Promise<void> {
  if (call.args[1] !== undefined) throw new UsageError("token show takes no name: the texts of others are not stored");
  console.log(await call.client.token());
}

async function create(call: Call): Promise<void> {
  const name = nameOf(call, "create NAME --scope SCOPE");
  const scope = call.text("scope");
  if (scope === undefined) throw new UsageError("token create needs --scope read, --scope deploy or --scope admin");
  const [expiresIn] = call.read("expires", readLength);
  const body = defined({ name, scope, expiresIn });
  const made = await call.client.json<NewTokenJson>("POST", "/v1/tokens", { body });
  if (call.on("json")) return printJson(made);
  if (!call.on("quiet")) console.error(`the token ${name}, shown only once:`);
  console.log(made.token);
}

async function revoke(call: Call): Promise<void> {
  const name = nameOf(call, "revoke NAME");
  await call.client.do("DELETE", pathOf("tokens", name));
  if (!call.on("quiet")) console.log(`${name} is revoked`);
}

async function rotate(call: Call): Promise<void> {
  if (call.args[1] !== undefined) throw new UsageError("token rotate takes no name: it replaces the owner's token");
  const file = await call.client.tokenFile();
  const { token } = await call.client.json<{ token: string }>("POST", "/v1/tokens/rotate");
  const here = file !== undefined && await Deno.readTextFile(file).catch(() => "") === `${token}\n`;
  const where = here ? file : "admin-token in the data-dir of serve";
  printResult(call, { token }, `the owner's token is replaced; the new one is in ${where}`);
}

function nameOf(call: Call, usage: string): string {
  const name = call.args[1];
  if (name === undefined) throw new UsageError(`token ${call.args[0]} needs NAME: cless token ${usage}`);
  return name;
}

/** Checks a length of time for the admin API. Unlike in other flags, days are allowed, and 0 is not. */
function readLength(text: string): string {
  if (!/^[1-9]\d{0,8}[smhd]$/.test(text)) throw new RangeError("expected a length of time such as 12h or 90d");
  return text;
}
