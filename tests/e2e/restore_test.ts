import { assertEquals, assertMatch } from "@std/assert";
import { noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";

const decoder = new TextDecoder();

/** Runs a verb of the command line against a program; its exit code and the last line of what it complains of. */
async function cless(program: Program, ...args: string[]): Promise<[code: number, complaint: string]> {
  const { hostname, port } = program.admin;
  const server = ["--server", `http://${hostname}:${port}`, "--data-dir", program.dataDir];
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "main.ts", ...args, ...server],
    stdin: "null",
  }).output();
  return [code, decoder.decode(stderr).trim().split("\n").at(-1)!];
}

Deno.test({
  name: "a backup that was made under way is a data-dir elsewhere: services, secrets, split, history and tokens",
  ignore: noDocker,
}, async () => {
  const folder = await Deno.makeTempDir({ prefix: "restore-" });
  await using _folder = { [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
  const copy = `${folder}/copy`;
  await using original = await Program.start({ logLevel: "info" });
  const put = (body: Record<string, unknown>) => original.send("PUT", "/v1/services/app", body);
  const secret = (value: string) =>
    original.send("PUT", "/v1/secrets/greeting", value, { "content-type": "text/plain" });
  await secret("first\nof two lines");
  assertEquals((await put({ image: "golang-docker", secretEnv: { GREETING: "greeting" } })).status, 201);
  await secret("second");
  assertEquals((await put({ image: "golang-docker", secretEnv: { GREETING: "greeting" }, tag: "new" })).status, 200);
  assertEquals((await original.send("POST", "/v1/services/app/rollback")).status, 200);
  assertEquals(await cless(original, "backup", copy), [0, ""]);
  assertEquals((await put({ image: "golang-docker", env: { GREETING: "after the backup" } })).status, 200);

  const refused = await Program.start({ dataDir: copy }).then(() => "", String); // the original still runs
  assertMatch(refused, /is a copy of the data-dir .*, which another cless uses/);
  assertMatch((await original.get("app")).text, /^after the backup from Go/);
  assertEquals(await original.end(), 0);

  await using restored = await Program.start({ dataDir: copy, logLevel: "info" });
  assertEquals((await restored.get("app")).text, "first\nof two lines from Go at app.localhost\n");
  assertEquals((await restored.get("new--app")).text, "second from Go at new--app.localhost\n");
  const history = await restored.api("/v1/services/app/history");
  assertEquals(history.map(({ action }) => action), ["rollback", "deploy", "deploy"]);
  assertEquals((await restored.send("POST", "/v1/services/app/rollback")).status, 200);
  assertEquals((await restored.get("app")).text, "second from Go at app.localhost\n");
});
