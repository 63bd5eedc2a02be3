import { assertEquals, assertStringIncludes } from "@std/assert";
import { isMarked, MARK, placesBelow } from "../../src/edge/places.ts";
import { changedLines, faultsOf, type MachineState, planEdge } from "../../src/edge/plan.ts";
import type { EdgeSettings } from "../../src/edge/settings.ts";

const PLACES = placesBelow("");
const PORTS = { http: 80, https: 443 };
const SETTINGS: EdgeSettings = { domain: "example.org", admin: false };
/** A machine on which nothing is in the way. */
const READY: MachineState = {
  isRoot: true,
  hasSystemd: true,
  isInstalled: true,
  command: "{ path=/usr/local/bin/cless ; argv[]=/usr/local/bin/cless serve --data-dir ${STATE_DIRECTORY} ; }",
  caddy: { path: "/usr/bin/caddy", version: "2.6.2" },
  listeners: [],
  files: new Map([PLACES.caddyfile, PLACES.clessEnv, PLACES.dropIn, PLACES.unit].map((path) => [path, undefined])),
  userEnv: {},
  edgeEnv: {},
  freePort: 8080,
};

function planOf(found: Partial<MachineState> = {}, settings: Partial<EdgeSettings> = {}) {
  return planEdge({ ...SETTINGS, ...settings }, PORTS, { ...READY, ...found }, PLACES);
}

/** The settings that cless gets. */
function clessEnv(found: Partial<MachineState> = {}, settings: Partial<EdgeSettings> = {}): string[] {
  return planOf(found, settings).files.get(PLACES.clessEnv)!.split("\n").slice(1, -1);
}

/** A machine on which a plan has been carried out. */
function after({ files }: ReturnType<typeof planOf>): Pick<MachineState, "files"> {
  return { files: new Map(files) };
}

Deno.test("on a machine that is ready there are no faults, and all files bear the mark", () => {
  assertEquals(faultsOf(READY, PORTS, PLACES), []);
  for (const [path, text] of planOf().files) assertEquals([path, isMarked(text)], [path, true]);
});

Deno.test("cless listens where it did behind the edge, else on this machine alone as before, else on a free port", () => {
  assertEquals(clessEnv()[0], "CLESS_LISTEN=127.0.0.1:8080");
  assertEquals(clessEnv({ freePort: 8081 })[0], "CLESS_LISTEN=127.0.0.1:8081");
  const userEnv = { CLESS_LISTEN: "0.0.0.0:80, 127.0.0.1:9000" };
  assertEquals(clessEnv({ userEnv })[0], "CLESS_LISTEN=127.0.0.1:9000");
  assertEquals(clessEnv({ userEnv, edgeEnv: { CLESS_LISTEN: "127.0.0.1:8085" } })[0], "CLESS_LISTEN=127.0.0.1:8085");
});

Deno.test("cless leaves the ports of the edge to Caddy, also where it listened on this machine alone", () => {
  const userEnv = { CLESS_LISTEN: "127.0.0.1:80, 127.0.0.1:443" };
  assertEquals(clessEnv({ userEnv })[0], "CLESS_LISTEN=127.0.0.1:8080");
});

Deno.test("cless trusts the edge and whom it has trusted before, and answers on the admin host only if that was said", () => {
  const others = ["CLESS_TRUSTED_PROXY=127.0.0.1/32", "CLESS_PUBLIC_URL=https://example.org"];
  assertEquals(clessEnv().slice(1), others);
  assertEquals(clessEnv({}, { admin: true }).slice(1), [...others, "CLESS_ADMIN_HTTPS=true"]);
  const userEnv = { CLESS_TRUSTED_PROXY: "10.0.0.0/8,fd00::/8" };
  assertEquals(clessEnv({ userEnv })[1], "CLESS_TRUSTED_PROXY=127.0.0.1/32,10.0.0.0/8,fd00::/8");
});

Deno.test("Caddy asks where the operator has the admin API, by an address of this machine alone", () => {
  const asks = (admin: string) => {
    const { hostname, port } = planOf({ userEnv: { CLESS_ADMIN: admin } }).wiring.admin;
    return `${hostname}:${port}`;
  };
  assertEquals(["", "127.0.0.1:99", "0.0.0.0:99", ":99", "[::]:99", "localhost:99", "[::1]:99"].map(asks), [
    ...["127.0.0.1:1323", "127.0.0.1:99", "127.0.0.1:99", "127.0.0.1:99", "127.0.0.1:99", "127.0.0.1:99", "::1:99"],
  ]);
  const [fault] = faultsOf({ ...READY, userEnv: { CLESS_ADMIN: "10.0.0.1:1323" } }, PORTS, PLACES);
  assertEquals(
    fault,
    "CLESS_ADMIN in /etc/default/cless is not an address of this machine alone: make it 127.0.0.1:1323",
  );
});

Deno.test("cless leaves its port first, and what has not changed is not started again", () => {
  const first = planOf();
  assertEquals(first.commands.map((command) => command.join(" ")), [
    "daemon-reload",
    "reload-or-restart cless.service",
    "enable cless-edge.service",
    "restart cless-edge.service",
  ]);
  const verbs = (settings: Partial<EdgeSettings>, caddy = "/usr/bin/caddy") => {
    const plan = planOf({ ...after(first), caddy: { path: caddy, version: "2.8.0" } }, settings);
    return [plan.commands[1]![0], plan.commands[3]![0]];
  };
  assertEquals(verbs({}), ["start", "start"]);
  assertEquals(verbs({ email: "me@example.org" }), ["start", "reload-or-restart"]);
  assertEquals(verbs({ admin: true }), ["reload-or-restart", "start"]);
  assertEquals(verbs({}, "/opt/caddy"), ["start", "restart"]);
  const own = { certificate: "/c.pem", key: "/k.pem", names: ["example.org"] };
  const renewed = planOf(after(planOf({}, { own })), { own });
  assertEquals(renewed.commands[3]![0], "restart"); // the files may be new
});

Deno.test("each fault says what to do", () => {
  const faults = (found: Partial<MachineState>) => faultsOf({ ...READY, ...found }, PORTS, PLACES);
  assertEquals(faults({ hasSystemd: false, isInstalled: false }), [
    "systemd does not run this machine: use cless https run",
  ]);
  assertEquals(faults({ isInstalled: false, caddy: "no Caddy" }), [
    "cless.service is not installed: make install",
    "no Caddy",
  ]);
  const caddy = { holder: "caddy (pid 7)", pid: 7, unit: "caddy.service" };
  assertEquals(faults({ listeners: [{ port: 80, ...caddy }, { port: 443, ...caddy }] }), [
    "ports 80 and 443 are in use by caddy.service: systemctl disable --now caddy",
  ]);
  assertEquals(faults({ listeners: [{ port: 80, holder: "nc (pid 8)", pid: 8 }, { port: 443 }] }), [
    "port 80 is in use by nc (pid 8): stop that program",
    "port 443 is in use: stop that program",
  ]);
  // systemd counts the engine's programs to its unit, without which there would be no containers.
  const container = { port: 80, holder: "docker-proxy (pid 9)", pid: 9, unit: "docker.service" };
  assertEquals(faults({ listeners: [container] }), [
    "port 80 is in use by a container: stop that container, which docker ps --filter publish=80 shows",
  ]);
  assertEquals(faults({ files: new Map([[PLACES.unit, "[Unit]\n"], [PLACES.dropIn, `${MARK}\n`]]) }), [
    "/etc/systemd/system/cless-edge.service was not written by cless: move it away",
  ]);
  assertEquals(faults({ command: "argv[]=/usr/bin/cless serve --listen=0.0.0.0:80 --public-url http://x.org ;" }), [
    "cless.service starts cless with --listen, which would win: set CLESS_LISTEN in /etc/default/cless instead",
    "cless.service starts cless with --public-url, which would win: set CLESS_PUBLIC_URL in /etc/default/cless instead",
  ]);
  assertEquals(faults({ caddy: { path: "/root/caddy", version: "2.8.0" } }), [
    "Caddy's unit cannot run /root/caddy: move it to /usr/local/bin",
  ]);
  assertEquals(faults({ freePort: undefined }), ["no port from 8080 on is free for cless"]);
});

Deno.test("files of a certificate are named as Caddy's unit sees them, and systemd hands them over", () => {
  const own = { certificate: "/root/c.pem", key: "/root/k.pem", names: ["example.org"] };
  const { files } = planOf({}, { own, acmeRoot: "/root/ca.pem" });
  assertStringIncludes(
    files.get(PLACES.caddyfile)!,
    "tls /run/credentials/cless-edge.service/certificate.pem /run/credentials/cless-edge.service/key.pem",
  );
  assertStringIncludes(files.get(PLACES.caddyfile)!, "acme_ca_root /run/credentials/cless-edge.service/acme-root.pem");
  assertStringIncludes(
    files.get(PLACES.unit)!,
    "LoadCredential=certificate.pem:/root/c.pem\nLoadCredential=key.pem:/root/k.pem\nLoadCredential=acme-root.pem:/root/ca.pem\n",
  );
});

Deno.test("a change of a file is told by the lines that go and come", () => {
  assertEquals(changedLines("a\n\tb\nc\n", "a\n\tb\nd\ne\n"), ["- c", "+ d", "+ e"]);
  assertEquals(changedLines("a\n", "a\n"), []);
});
