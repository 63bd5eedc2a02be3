import type { SecretJson } from "../admin/operations/secrets.ts";
import { UsageError } from "../base/errors.ts";
import { pathOf } from "./client.ts";
import { flag } from "./flags.ts";
import { ago, table } from "./text.ts";
import { actionOf, type Call, clientVerb, JSON_FLAG, NAMES_FLAG, printList, QUIET_FLAG } from "./verb.ts";

/** `cless secrets`: lists the names of the secrets. */
export const secrets = clientVerb({
  name: "secrets",
  summary: "List the names of the secrets",
  flags: [JSON_FLAG, NAMES_FLAG],
  example: ["cless secrets"],
  run: async (call) => {
    const all = await call.client.list<SecretJson>("/v1/secrets");
    const rows = all.map(({ name, version, createdAt }) => [name, String(version), ago(createdAt)]);
    printList(
      call,
      all,
      table(["NAME", "VERSION", "SET"], rows),
      "there are no secrets yet; cless secret set makes one",
    );
  },
});

const ACTIONS: Readonly<Record<string, (call: Call, name: string) => Promise<string>>> = { set, delete: remove };

/** `cless secret`: sets or deletes a secret. Services get its value, which is never shown. */
export const secret = clientVerb({
  name: "secret",
  summary: "Set or delete a secret that services can get as a variable",
  args: [Object.keys(ACTIONS).join("|"), "NAME"],
  flags: [flag("--force", "With delete: even if a revision uses it, which then cannot start any more"), QUIET_FLAG],
  notes: [
    "set reads the value from standard input, byte by byte: a line break at the end is part of it. The value is stored encrypted and never shown. A service gets it by deploy --secret-env KEY=NAME; a new value takes effect with the next deploy of the service.",
  ],
  example: ["cless secret set web.token < token.txt", 'printf %s "$TOKEN" | cless secret set web.token'],
  run: async (call) => {
    const [action = "", name = ""] = call.args;
    const done = await actionOf("secret", action, ACTIONS)(call, name);
    if (!call.on("quiet")) console.log(done);
  },
});

async function set(call: Call, name: string): Promise<string> {
  const path = pathOf("secrets", name);
  if (Deno.stdin.isTerminal() && !call.on("quiet")) {
    console.error("type the value, which is shown as you type; Ctrl-D on a new line ends it");
  }
  const body = await new Response(Deno.stdin.readable).bytes();
  if (body.length === 0) throw new UsageError(`the value is empty: cless secret set ${name} < FILE`);
  const { version } = await call.client.json<{ version: number }>("PUT", path, { body });
  return `${name} is set (${version === 1 ? "new" : `value ${version}`})`;
}

async function remove(call: Call, name: string): Promise<string> {
  await call.client.do("DELETE", pathOf("secrets", name), call.on("force") ? { query: { force: true } } : {});
  return `${name} is deleted`;
}
