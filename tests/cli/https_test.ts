import { assertEquals, assertStringIncludes } from "@std/assert";
import { noEdge, ownCertificate } from "../support/pebble.ts";
import { noNet, noRun, noWrite } from "../support/permissions.ts";
import { runMain } from "./run_main.ts";

function httpsTest(name: string, fn: () => Promise<void>, ignore = false): void {
  Deno.test({ name, ignore: ignore || noNet || noRun || noWrite, fn });
}

httpsTest("a wrong command line is refused in one line", async () => {
  const refused: [args: string, error: string][] = [
    ["", "https needs on|off|status|run: cless https on|off|status|run"],
    ["up", 'https cannot "up"; it can on, off, status, run: see cless https --help'],
    ["on", "https on needs --domain DOMAIN, such as example.org"],
    ["run --domain localhost", '--domain: "localhost" is not allowed: expected a domain name such as example.org'],
    ["on --domain a.org --staging --acme-url https://ca/dir", "--staging is an --acme-url too: give one of them"],
    ["on --domain a.org --cert x.pem", "--cert and --key belong together"],
    [
      "on --domain a.org --cert /nowhere --key /nowhere",
      "--cert, --key: /nowhere cannot be read: No such file or directory",
    ],
    ["on --domain a.org --acme-ca-root /nowhere", "--acme-ca-root: /nowhere is not a file with a certificate in PEM"],
    ["on --domain a.org --http-port 8080", "--http-port is not for https on"],
    ["off --domain a.org", "--domain is not for https off"],
    ["status --dry-run", "--dry-run is not for https status"],
    ["run --domain a.org --json", "--json is not for https run"],
    ["run --domain a.org --https-port 0", '--https-port: "0" is not allowed: expected a port from 1 to 65535'],
    ["run --domain a.org --bind lo", '--bind: "lo" is not allowed: expected an IP address'],
  ];
  for (const [args, error] of refused) {
    assertEquals(await runMain("https", ...args.split(" ").filter(Boolean)), {
      code: 2,
      out: "",
      err: `cless: ${error}`,
    });
  }
});

httpsTest("where HTTPS is not on, off and status say so", async () => {
  assertEquals(await runMain("https", "off"), { code: 0, out: "HTTPS is not on", err: "" });
  const hasSystemd = await Deno.lstat("/run/systemd/system").then(() => true, () => false);
  const hint = hasSystemd ? "cless https on --domain DOMAIN switches it on" : "without systemd, cless https run has it";
  assertEquals(await runMain("https", "status"), { code: 0, out: `HTTPS is not on; ${hint}`, err: "" });
  assertEquals(JSON.parse((await runMain("https", "status", "--json")).out), { on: false });
});

httpsTest("a dry run shows all files and commands, and changes nothing", async () => {
  const folder = await Deno.makeTempDir();
  await ownCertificate(folder, "own", "DNS:example.org", "DNS:*.example.org");
  const files = ["--cert", `${folder}/own.pem`, "--key", `${folder}/own-key.pem`];
  const { out } = await runMain("https", "on", "--domain", "example.org", "--admin", ...files, "--dry-run");
  for (
    const line of [
      "# /etc/cless/edge/Caddyfile",
      "  # Written by cless https on; cless https off removes it.",
      "  https://example.org, https://*.example.org {",
      "  CLESS_PUBLIC_URL=https://example.org",
      "  CLESS_ADMIN_HTTPS=true",
      "# /etc/systemd/system/cless.service.d/50-https.conf",
      "  EnvironmentFile=/etc/cless/edge/cless.env",
      `  LoadCredential=key.pem:${folder}/own-key.pem`,
      "# systemctl restart cless-edge.service",
    ]
  ) assertStringIncludes(`\n${out}\n`, `\n${line}\n`);
  await Deno.remove(folder, { recursive: true });
}, noEdge);
