import { assertEquals, assertMatch } from "@std/assert";
import { build, noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";
import { hasPseudoTerminals, PseudoTerminal } from "../support/pseudo_terminal.ts";
import { programArgs } from "../cli/run_main.ts";

/** An app that writes a line for each request. */
const SCRIPT = `
require("node:http").createServer((request, response) => {
  console.log("asked for " + request.url);
  response.end("ok");
}).listen(8080);
process.on("SIGTERM", () => process.exit(0));
`;
const APP = `FROM nodejs-docker\nENTRYPOINT ${JSON.stringify(["node", "-e", SCRIPT])}`;

Deno.test({
  name: "cless top shows what a real service does, its instance and its log, and wakes nothing",
  ignore: noDocker || !await hasPseudoTerminals(),
  fn: async () => {
    const app = `top-${crypto.randomUUID().slice(0, 8)}`;
    await using _ = await build(`${app}-docker`, APP);
    await using program = await Program.start({ flags: ["--stop-after", "10s", "--pause-after", "0"] });
    const { hostname, port } = program.admin;
    const args = ["top", "--server", `http://${hostname}:${port}`, "--data-dir", program.dataDir];
    const top = [Deno.execPath(), ...programArgs(...args)];
    await using terminal = PseudoTerminal.start(top, { columns: 120, rows: 16 });
    await terminal.shows("there are no services yet");

    assertEquals((await program.get(app, "/first")).text, "ok");
    await terminal.until(({ lines }) => lines[3]!.startsWith(app) && lines[3]!.includes("ready"));
    await terminal.until(({ lines }) => /MiB/.test(lines[3]!));
    assertMatch(
      terminal.screen.lines[3]!,
      / 1 +0 +0 +▁{8,9}█▁?$/,
      "one cold start, and one request in the last minute",
    );

    await terminal.press("\r");
    await terminal.shows("asked for /first");
    await terminal.shows(`${app} is asleep`);
    await terminal.shows("no instance runs now");
    await terminal.press("\x1b");
    await terminal.until(({ lines }) => /^1 service, 0 awake, [\d.]+ MiB not used$/.test(lines[0]!));

    await program.end();
    await terminal.shows("connection lost (connection refused), trying again");
    await terminal.press("q");
    await terminal.end();
    assertEquals(terminal.code, 0);
  },
});
