import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { errorsIn, lastErrors } from "../../src/edge/certificate_errors.ts";
import { covers, readCertificate, readOwn, storedCertificates } from "../../src/edge/certificates.ts";
import { certificateStatus } from "../../src/edge/status.ts";
import { noEdge, ownCertificate } from "../support/pebble.ts";
import { noRead } from "../support/permissions.ts";

/** Lines of Caddy's log. */
function log(...lines: Record<string, unknown>[]): string {
  return lines.map((line, at) => JSON.stringify({ level: "error", ts: 1000 + at, logger: "tls", ...line })).join("\n");
}

const CONNECTION = {
  msg: "challenge failed",
  identifier: "a.example.org",
  challenge_type: "http-01",
  problem_type: "urn:ietf:params:acme:error:connection",
  error: "203.0.113.5: Timeout during connect",
};
const ALPN = {
  ...CONNECTION,
  challenge_type: "tls-alpn-01",
  problem_type: "urn:ietf:params:acme:error:tls",
  error: "x",
};
const FAILED = {
  msg: "could not get certificate from issuer",
  identifier: "a.example.org",
  error: "[a.example.org] solving challenges: no solvers available",
};

const RETRY = { msg: "will retry", error: "[a.example.org] Obtain: [a.example.org] solving challenges", attempt: 1 };

/** Gives a test a folder with a certificate of its own. */
function folderTest(name: string, fn: (folder: string) => Promise<void>): void {
  Deno.test({ name, ignore: noEdge }, async () => {
    const folder = await Deno.makeTempDir();
    await ownCertificate(folder, "own", "DNS:example.org", "DNS:*.example.org", "IP:127.0.0.1");
    await fn(folder).finally(() => Deno.remove(folder, { recursive: true }));
  });
}

Deno.test("the reason of a failure is what the HTTP challenge has met, with what to do", () => {
  const remedy = "the authority cannot connect: open port 80 in every firewall and router on the way to this machine";
  const expected = [{ name: "a.example.org", reason: "connection: 203.0.113.5: Timeout during connect", remedy }];
  for (const lines of [[CONNECTION, ALPN, FAILED, RETRY], [ALPN, CONNECTION, FAILED, RETRY]]) {
    assertEquals(errorsIn(log(...lines)), expected.map((error) => ({ ...error, at: 1_003_000 })));
  }
  const { problem_type: type, error: detail, ...line } = CONNECTION;
  assertEquals(errorsIn(log({ ...line, problem: { type, detail } }, FAILED, RETRY)), [{
    ...expected[0]!,
    at: 1_002_000,
  }]);
});

Deno.test("an order that the authority refuses is told in its words, with what to do", () => {
  const reasonOf = (error: string) => errorsIn(log({ ...FAILED, error }, RETRY))[0]!;
  const limited = reasonOf("HTTP 429 urn:ietf:params:acme:error:rateLimited - too many certificates for example.org");
  assertEquals(limited.reason, "rateLimited: too many certificates for example.org");
  assert(limited.remedy?.startsWith("the authority has given enough for now"));
  assertEquals(
    reasonOf("Get https://ca.internal/dir: dial tcp: lookup ca.internal: no such host").remedy,
    "this machine has to reach the authority: look at its DNS and its firewall",
  );
  assertEquals(reasonOf("something new").remedy, undefined);
  assertEquals(reasonOf("HTTP 400 urn:ietf:params:acme:error:unheardOf - hm"), {
    name: "a.example.org",
    at: 1_001_000,
    reason: "unheardOf: hm",
  });
});

Deno.test("of several authorities the first one's reason is told, once none of them gives a certificate", () => {
  const zerossl = { ...FAILED, error: "HTTP 400 urn:ietf:params:acme:error:malformed - no account" };
  assertEquals(errorsIn(log(CONNECTION, FAILED, zerossl)), []);
  const reasons = (...lines: Record<string, unknown>[]) => errorsIn(log(...lines)).map(({ reason }) => reason);
  assertEquals(reasons(CONNECTION, FAILED, zerossl, RETRY), ["connection: 203.0.113.5: Timeout during connect"]);
  assertEquals(reasons(CONNECTION, FAILED, zerossl, RETRY, zerossl, RETRY), ["malformed: no account"]);
});

Deno.test("what was got since is no error any more, and the latest error comes first", () => {
  const b = { ...RETRY, error: "[b.example.org] Renew: hm" };
  const names = (...lines: Record<string, unknown>[]) => errorsIn(log(...lines)).map(({ name }) => name);
  assertEquals(names(RETRY, b), ["b.example.org", "a.example.org"]);
  assertEquals(names(RETRY, b, RETRY), ["a.example.org", "b.example.org"]);
  for (const msg of ["certificate obtained successfully", "certificate renewed successfully"]) {
    assertEquals(names(RETRY, b, { level: "info", msg, identifier: "a.example.org" }), ["b.example.org"]);
  }
  assertEquals(errorsIn("no JSON\n{\n\n"), []);
});

Deno.test("a certificate with * covers one label, and no more", () => {
  const hosts = ["example.org", "a.example.org", "a.b.example.org", "example.com"];
  assertEquals(hosts.map((host) => covers({ names: ["example.org", "*.example.org"] }, host)), [
    true,
    true,
    false,
    false,
  ]);
  assertEquals(covers({ names: ["*.example.org"] }, "example.org"), false);
});

Deno.test({ name: "a storage that is not there yet has no certificates and no errors", ignore: noRead }, async () => {
  assertEquals(await storedCertificates("/nowhere"), []);
  assertEquals(await lastErrors("/nowhere"), []);
});

folderTest("what an older configuration met is no error of a name that has a certificate", async (folder) => {
  const caddyfile = `${folder}/Caddyfile`;
  await Deno.writeTextFile(`${folder}/certificates.log`, log(RETRY, { ...RETRY, error: "[b.net] Obtain: hm" }));
  await Deno.mkdir(`${folder}/certificates/ca/example.org`, { recursive: true });
  await Deno.copyFile(`${folder}/own.pem`, `${folder}/certificates/ca/example.org/example.org.crt`);
  const namesOf = async (changedAt: Date) => {
    await Deno.writeTextFile(caddyfile, "");
    await Deno.utime(caddyfile, changedAt, changedAt);
    const status = await certificateStatus(folder, caddyfile);
    return typeof status === "string" ? status : status.errors.map(({ name }) => name);
  };
  assertEquals(await namesOf(new Date(999_000)), ["b.net", "a.example.org"]);
  assertEquals(await namesOf(new Date(1_002_000)), ["b.net"]);
});

folderTest("a certificate tells its names, who signed it, and when it ends", async (folder) => {
  const { names, authority, endsAt } = readCertificate(await Deno.readTextFile(`${folder}/own.pem`));
  assertEquals([names, authority], [["example.org", "*.example.org"], "cless tests"]);
  assert(Math.abs(endsAt - Date.now() - 30 * 86_400_000) < 120_000);
  assertThrows(() => readCertificate("no certificate"), RangeError, "expected a certificate in PEM");
});

folderTest("a certificate of one's own has to be valid, with its key", async (folder) => {
  const [certificate, key] = [`${folder}/own.pem`, `${folder}/own-key.pem`];
  const own = await readOwn(certificate, key, Date.now());
  assertEquals(own, { certificate, key, names: ["example.org", "*.example.org"] });
  await ownCertificate(folder, "other", "IP:127.0.0.1");
  const wrong: [certificate: string, key: string, now: number, why: string][] = [
    [certificate, `${folder}/other-key.pem`, Date.now(), "other-key.pem is not the key of"],
    [certificate, certificate, Date.now(), "own.pem is not the key of"],
    [`${folder}/other.pem`, `${folder}/other-key.pem`, Date.now(), "other.pem covers no hostname"],
    [certificate, key, Date.now() + 31 * 86_400_000, "own.pem ended on"],
    [key, key, Date.now(), "expected a certificate in PEM"],
    ["/nowhere", key, Date.now(), "/nowhere cannot be read: No such file or directory"],
  ];
  for (const [certificate, key, now, why] of wrong) {
    await assertRejects(() => readOwn(certificate, key, now), RangeError, why);
  }
});
