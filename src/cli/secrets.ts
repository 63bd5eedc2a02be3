import { ago } from "./output/ago.ts";
import { table } from "./output/table.ts";
import { clientVerb, JSON_FLAG, NAMES_FLAG, printJson } from "./verb.ts";

/** A secret; its value is nowhere. */
interface SecretJson {
  readonly name: string;
  readonly version: number;
  readonly createdAt: string;
}

/** `cless secrets`: lists the names of secrets. */
export const secrets = clientVerb({
  name: "secrets",
  group: "Look",
  summary: "List the names of the secrets",
  args: [],
  flags: [JSON_FLAG, NAMES_FLAG],
  example: ["cless secrets"],
  run: async (call) => {
    const all = await call.client.list<SecretJson>("/v1/secrets");
    if (call.on("json")) return printJson(all);
    if (call.on("quiet")) return all.forEach(({ name }) => console.log(name));
    if (all.length === 0) return console.error("there are no secrets yet; cless secret set makes one");
    const now = Date.now();
    const rows = all.map(({ name, version, createdAt }) => [name, String(version), ago(createdAt, now)]);
    console.log(table(["NAME", "VERSION", "SET"], rows));
  },
});
