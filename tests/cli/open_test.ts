import { assertEquals } from "@std/assert";
import { dashboardUrl } from "../../src/cli/dashboard_url.ts";
import { noNet, noRun, noWrite } from "../support/permissions.ts";
import { ANSWERS, apiTest, FakeApi, WEB } from "./fake_api.ts";
import { programArgs, type Run } from "./run_main.ts";

/** Runs `cless open` as a process of its own, where only these programs are installed. */
async function runOpen(api: FakeApi, folder: string, ...args: string[]): Promise<Run> {
  const command = new Deno.Command(Deno.execPath(), {
    args: programArgs("open", ...args, "--server", api.url, "--token", "secret"),
    env: { PATH: folder },
    stdin: "null",
  });
  const { code, stderr, stdout } = await command.output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

Deno.test({
  name: "open gives a service's address to the browser, and prints it if there is none",
  ignore: noNet || noRun || noWrite || Deno.build.os === "darwin",
  fn: async () => {
    await using api = new FakeApi({ ...ANSWERS, "GET /": {} });
    const folder = await Deno.makeTempDir({ prefix: "open-" });
    try {
      const program = async (name: string, text: string) =>
        await Deno.writeTextFile(`${folder}/${name}`, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
      const opened = async () => await Deno.readTextFile(`${folder}/opened`);
      assertEquals(await runOpen(api, folder, "web"), { code: 0, out: "http://web.localhost:8080/\n", err: "" });

      await program("xdg-open", "exit 3");
      assertEquals(await runOpen(api, folder, "web"), { code: 0, out: "http://web.localhost:8080/\n", err: "" });

      await program("wslview", `echo "wslview $*" > ${folder}/opened`);
      const err = "http://web.localhost:8080/ is opened in the browser\n";
      assertEquals(await runOpen(api, folder, "web"), { code: 0, out: "", err });
      assertEquals(await opened(), "wslview http://web.localhost:8080/\n");

      await program("xdg-open", `echo "$*" > ${folder}/opened`);
      assertEquals((await runOpen(api, folder, "web", "--tag", "old")).code, 0);
      assertEquals(await opened(), "https://old--web.example.org/\n");

      const { port } = new URL(api.url);
      assertEquals((await runOpen(api, folder)).code, 0);
      assertEquals(await opened(), `http://admin.localhost:${port}/\n`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("the dashboard has a hostname of its own on this machine, and the server's elsewhere", () => {
  for (
    const [server, url] of [
      ["http://127.0.0.1:1323", "http://admin.localhost:1323/"],
      ["http://127.0.0.2:1323", "http://admin.localhost:1323/"],
      ["http://0.0.0.0:1323", "http://admin.localhost:1323/"],
      ["http://[::1]:1323", "http://admin.localhost:1323/"],
      ["http://[::]:1323", "http://admin.localhost:1323/"],
      ["http://localhost", "http://admin.localhost/"],
      ["http://admin.localhost:8080", "http://admin.localhost:8080/"],
      ["http://192.0.2.1:1323", "http://192.0.2.1:1323/"],
      ["http://[2001:db8::1]:1323", "http://[2001:db8::1]:1323/"],
      ["https://admin.example.org", "https://admin.example.org/"],
      ["https://127.0.0.1:8443", "https://127.0.0.1:8443/"],
    ] as const
  ) assertEquals(dashboardUrl(server), url);
});

apiTest("open refuses a tag that the service has not, and an address that is not one for a browser", {
  ...ANSWERS,
  "GET /v1/services/shop": { ...WEB, name: "shop", tagUrls: undefined },
  "GET /v1/services/file": { ...WEB, name: "file", url: "file:///etc/passwd" },
  "GET /v1/services/flag": { ...WEB, name: "flag", url: "--help" },
}, async (api) => {
  assertEquals(await api.run("open", "--tag", "old"), {
    code: 2,
    out: "",
    err: "cless: --tag needs the NAME of a service",
  });
  const cases: [args: string[], message: string][] = [
    [["web", "--tag", "new"], 'web has no tag "new"; its tags are old'],
    [["web", "--tag", "toString"], 'web has no tag "toString"; its tags are old'],
    [["shop", "--tag", "old"], 'shop has no tag "old"; it has none'],
    [["file"], "the address of file is not one for a browser: file:///etc/passwd"],
    [["flag"], "the address of flag is not one for a browser: --help"],
    [["nosuch"], "there is no /v1/services/nosuch"],
  ];
  for (const [args, message] of cases) {
    assertEquals(await api.run("open", ...args), { code: 1, out: "", err: `cless: ${message}` });
  }
});
