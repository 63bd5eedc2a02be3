import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { OperatorError } from "../../src/base/errors.ts";
import { switchOff, switchOn } from "../../src/cli/https_on.ts";
import { showStatus } from "../../src/cli/https_status.ts";
import { Call } from "../../src/cli/verb.ts";
import { https } from "../../src/cli/https.ts";
import { parseFlags } from "../../src/cli/flags.ts";
import { checkEdge } from "../../src/edge/checks.ts";
import { edgeStatus } from "../../src/edge/status.ts";
import { isListening, noEdge, ownCertificate } from "../support/pebble.ts";
import { until } from "../support/until.ts";
import { EdgeRig } from "./kit.ts";
import { FakeSystemd } from "./fake_systemd.ts";

const CLESS = `${Deno.execPath()} run -A --quiet ${new URL("fake_cless.ts", import.meta.url).pathname}`;

/** A machine with an authority, and what the verb prints on it. */
class World implements AsyncDisposable {
  readonly systemd = new FakeSystemd(CLESS);
  readonly rig: EdgeRig;

  private constructor(rig: EdgeRig) {
    this.rig = rig;
  }

  /** cless runs, and HTTPS is not on. */
  static async start(): Promise<World> {
    const world = new World(await EdgeRig.start());
    await world.systemd.machine.systemctl("start", "cless.service");
    world.systemd.calls();
    return world;
  }

  on(...flags: string[]): Promise<Output> {
    const { authority, httpPort: http, httpsPort } = this.rig;
    const acme = ["--domain", "example.org", "--acme-url", authority.url, "--acme-ca-root", authority.rootFile];
    return capture(["on", ...acme, ...flags], (call) => {
      return switchOn(call, {
        machine: this.systemd.machine,
        ports: { http, https: httpsPort },
        resolve: () => Promise.resolve(["127.0.0.1"]),
      });
    });
  }

  off(...flags: string[]): Promise<Output> {
    return capture(["off", ...flags], (call) => switchOff(call, this.systemd.machine));
  }

  status(...flags: string[]): Promise<Output> {
    return capture(["status", "--server", `http://${this.systemd.admin}`, "--token", "t", ...flags], (call) => {
      return showStatus(call, this.systemd.machine);
    });
  }

  /** The settings of the cless that answers over HTTPS. */
  async settings(): Promise<Record<string, string>> {
    return JSON.parse((await this.rig.get("admin.example.org")).text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.systemd[Symbol.asyncDispose]();
    await this.rig[Symbol.asyncDispose]();
  }
}

interface Output {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs an action of the verb, and keeps what it prints. */
async function capture(args: string[], run: (call: Call) => Promise<number>): Promise<Output> {
  const { given, rest } = parseFlags(args, https.flags);
  using call = new Call(rest, given);
  const { log, error } = console;
  const [out, err]: [string[], string[]] = [[], []];
  console.log = (text: string) => out.push(text);
  console.error = (text: string) => err.push(text);
  try {
    const code = await run(call);
    return { code, out: out.join("\n"), err: err.join("\n") };
  } finally {
    Object.assign(console, { log, error });
  }
}

function switchTest(name: string, fn: (world: World) => Promise<void>): void {
  Deno.test({ name, ignore: noEdge }, async () => {
    await using world = await World.start();
    await fn(world);
  });
}

switchTest("on puts Caddy before cless, proves it, and off takes exactly that back", async (world) => {
  const { systemd, rig } = world;
  const before = systemd.files();
  const { code, out, err } = await world.on();
  assertEquals(code, 0, err);
  assertMatch(out, /^https:\/\/admin\.example\.org\/healthz answers 200, with a certificate of Pebble .* until 2\d/m);
  assertEquals(systemd.calls(), [
    "daemon-reload",
    "reload-or-restart cless.service",
    "enable cless-edge.service",
    "restart cless-edge.service",
  ]);
  const settings = await world.settings();
  assertMatch(settings["CLESS_LISTEN"]!, /^127\.0\.0\.1:8\d\d\d$/);
  assertEquals([settings["CLESS_TRUSTED_PROXY"], settings["CLESS_PUBLIC_URL"]], [
    "127.0.0.1/32",
    `https://example.org:${rig.httpsPort}`,
  ]);

  const status = JSON.parse((await world.status("--json")).out);
  assertEquals([status.on, status.units, status.listen], [
    true,
    { edge: "active", cless: "active" },
    settings["CLESS_LISTEN"],
  ]);
  assertEquals(status.certificates.map(({ names }: { names: string[] }) => names), [["admin.example.org"]]);

  const off = await world.off();
  assertEquals([off.code, off.err], [0, ""]);
  assertEquals(systemd.calls(), [
    "disable --now cless-edge.service",
    "daemon-reload",
    "reload-or-restart cless.service",
  ]);
  assertEquals(systemd.files(), before);
  assertStringIncludes(off.out, `left in place: ${systemd.root}/var/lib/cless-edge with the certificates`);
  await assertRejects(() => rig.get("admin.example.org"));
  assertEquals(await world.off(), { code: 0, out: "HTTPS is not on", err: "" });
});

switchTest("on over an existing set-up changes what was said otherwise, and keeps the port of cless", async (world) => {
  const { systemd } = world;
  assertEquals((await world.on()).code, 0);
  const listen = (await world.settings())["CLESS_LISTEN"];
  systemd.calls();

  const same = await world.on();
  assertStringIncludes(same.out, "nothing changes in the files");
  assertEquals(systemd.calls(), [
    ...["daemon-reload", "start cless.service", "enable cless-edge.service", "start cless-edge.service"],
  ]);

  const { code, out, err } = await world.on("--email", "me@example.org", "--admin");
  assertEquals(code, 0, err);
  assertStringIncludes(out, "  + email me@example.org");
  assertStringIncludes(out, "  + CLESS_ADMIN_HTTPS=true");
  assertEquals(systemd.calls(), [
    "daemon-reload",
    "reload-or-restart cless.service",
    "enable cless-edge.service",
    "reload-or-restart cless-edge.service",
  ]);
  const settings = await world.settings();
  assertEquals([settings["CLESS_LISTEN"], settings["CLESS_ADMIN_HTTPS"]], [listen, "true"]);
});

switchTest("if a step fails, everything is as before", async (world) => {
  const { systemd } = world;
  const before = systemd.files();
  systemd.write("fail", "restart cless-edge.service");
  await assertRejects(
    () => world.on(),
    OperatorError,
    "systemctl restart cless-edge.service failed: it cannot restart cless-edge.service (journalctl -u cless-edge.service says more); everything is as before",
  );
  assertEquals(systemd.files(), before);
  await until(() => isListening(systemd.listen));
  assertEquals(await (await fetch(`http://${systemd.listen}`)).json(), {
    CLESS_ADMIN: systemd.admin,
    CLESS_LISTEN: systemd.listen,
  });
});

switchTest("several faults are told at once, and nothing is changed", async (world) => {
  const { rig, systemd } = world;
  using _taken = Deno.listen({ hostname: "127.0.0.1", port: rig.httpsPort });
  const before = { ...systemd.files(), "etc/cless/edge/Caddyfile": "mine\n" };
  Deno.mkdirSync(`${systemd.root}/etc/cless/edge`, { recursive: true });
  systemd.write("etc/cless/edge/Caddyfile", "mine\n");
  const { code, err } = await world.on("--caddy", "/nowhere/caddy");
  assertEquals([code, err.split("\n")], [1, [
    "cless: there is no program /nowhere/caddy; name Caddy with --caddy",
    `cless: port ${rig.httpsPort} is in use by deno (pid ${Deno.pid}): stop that program`,
    `cless: ${systemd.root}/etc/cless/edge/Caddyfile was not written by cless: move it away`,
    "cless: nothing was changed",
  ]]);
  assertEquals([systemd.files(), systemd.calls()], [before, []]);
});

switchTest("what the operator adds is checked before, is used, and stays", async (world) => {
  const { rig, systemd } = world;
  Deno.mkdirSync(`${systemd.root}/etc/cless/edge`, { recursive: true });
  systemd.write("etc/cless/edge/own.caddy", "nonsense {\n");
  const wrong = await world.on();
  assertEquals(wrong.code, 1);
  assertMatch(wrong.err, /^cless: Caddy does not accept the configuration: .*\ncless: nothing was changed$/);
  assertEquals(systemd.calls(), []);

  await ownCertificate(rig.folder, "own", "DNS:*.example.com");
  const own =
    `https://*.example.com:${rig.httpsPort} {\n\ttls ${rig.folder}/own.pem ${rig.folder}/own-key.pem\n\timport cless\n}\n`;
  systemd.write("etc/cless/edge/own.caddy", own);
  assertEquals((await world.on()).code, 0);
  (await rig.connect("any.example.com", [await Deno.readTextFile(`${rig.folder}/own.pem`)])).close();
  assertEquals((await world.off()).code, 0);
  assertEquals(systemd.read("etc/cless/edge/own.caddy"), own);
});

switchTest("a refusal of the authority is told with what to do, and HTTPS stays on", async (world) => {
  await world.rig.authority.resolve("admin.example.org", "255.255.255.255");
  const { code, err } = await world.on();
  assertEquals(code, 1);
  const [refusal, stays] = err.split("\n").filter((line) => line.startsWith("cless: "));
  assertMatch(
    refusal!,
    /^cless: https:\/\/admin\.example\.org\/healthz does not work yet: the authority gives no certificate: connection: .* -> the authority cannot connect: open port 80/,
  );
  assertEquals(stays, "cless: HTTPS stays on, and Caddy tries again: cless https status");
  const { out } = await world.status();
  assertMatch(out, /^admin\.example\.org has got no certificate \((?:now|\d+s ago)\): connection: /m);
  assertStringIncludes(out, "\n  -> the authority cannot connect: open port 80");
  const { machine } = world.systemd;
  const [finding] = await checkEdge((await edgeStatus(machine))!, machine, Date.now());
  assertEquals([finding!.check, finding!.state], ["https", "warning"]);
});

switchTest("status says how to start what does not run", async (world) => {
  assertEquals((await world.on()).code, 0);
  await world.systemd.machine.systemctl("stop", "cless.service");
  const { code, out } = await world.status();
  assertEquals(code, 1);
  assertMatch(out, /^Caddy: +active since .*\ncless: +inactive: systemctl start cless\.service$/m);
});

switchTest("a certificate of one's own is handed to Caddy by systemd, and told by status", async (world) => {
  const { rig, systemd } = world;
  await ownCertificate(rig.folder, "own", "DNS:example.org", "DNS:*.example.org");
  const { code, err } = await world.on("--cert", `${rig.folder}/own.pem`, "--key", `${rig.folder}/own-key.pem`);
  assertEquals(code, 0, err);
  (await rig.connect("any.example.org", [await Deno.readTextFile(`${rig.folder}/own.pem`)])).close();
  assertMatch(
    (await world.status()).out,
    /^example\.org, \*\.example\.org {2}cless tests {2}\d{4}-\d\d-\d\d, in 29 days$/m,
  );
  const { machine } = systemd;
  const findings = await checkEdge((await edgeStatus(machine))!, machine, Date.now());
  assertEquals(findings, [{
    check: "https",
    state: "ok",
    fact: `HTTPS is on for https://example.org:${rig.httpsPort}, with 1 certificate`,
  }]);
  const later = await checkEdge((await edgeStatus(machine))!, machine, Date.now() + 20 * 86_400_000);
  assertEquals(later.map(({ state, remedy }) => [state, remedy]), [
    ["warning", "replace its file, then: systemctl restart cless-edge.service"],
  ]);
});
