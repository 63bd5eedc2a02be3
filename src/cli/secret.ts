import { UsageError } from "../base/errors.ts";
import { pathOf } from "./client.ts";
import { type Call, clientVerb, QUIET_FLAG } from "./verb.ts";

const ACTIONS: Readonly<Record<string, (call: Call, name: string) => Promise<string>>> = { set, delete: remove };

/** `cless secret`: keeps a value that services may get, and that nobody sees again. */
export const secret = clientVerb({
  name: "secret",
  group: "Change",
  summary: "Set or delete a secret that services may get as a variable",
  args: ["set|delete", "NAME"],
  flags: [
    { name: "force", help: "With delete: also where a revision uses it, which could not start any more" },
    QUIET_FLAG,
  ],
  notes: [
    "set takes the value from its input, byte by byte: a line break at the end is part of it. The value is kept encrypted and shown to nobody. A service gets it by deploy --secret-env KEY=NAME; a new value takes effect when the service is deployed next.",
  ],
  example: ["cless secret set web.token < token.txt", 'printf %s "$TOKEN" | cless secret set web.token'],
  run: async (call) => {
    const [action = "", name = ""] = call.args;
    const act = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
    if (act === undefined) {
      const words = Object.keys(ACTIONS).join(", ");
      throw new UsageError(`secret cannot "${action}"; it can ${words}: see cless secret --help`);
    }
    const done = await act(call, name);
    if (!call.on("quiet")) console.log(done);
  },
});

async function set(call: Call, name: string): Promise<string> {
  const path = pathOf("secrets", name);
  if (Deno.stdin.isTerminal() && !call.on("quiet")) {
    console.error("type the value, which is shown as you type; Ctrl-D on a new line ends it");
  }
  const bytes = new Uint8Array(await new Response(Deno.stdin.readable).arrayBuffer());
  if (bytes.length === 0) throw new UsageError(`the value is empty: cless secret set ${name} < FILE`);
  const { version } = await call.client.json<{ version: number }>("PUT", path, { bytes });
  return `${name} is set (${version === 1 ? "new" : `value ${version}`})`;
}

async function remove(call: Call, name: string): Promise<string> {
  await call.client.do("DELETE", pathOf("secrets", name), call.on("force") ? { query: { force: true } } : {});
  return `${name} is deleted`;
}
