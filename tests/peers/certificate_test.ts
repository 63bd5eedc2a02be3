import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { X509Certificate } from "node:crypto";
import { makeCertificate, PEER_NAME } from "../../src/peers/certificate.ts";
import { noRun } from "../support/permissions.ts";

/** Whether openssl is here. */
const canVerify = !noRun && await new Deno.Command("openssl", { args: ["version"] }).output().then(
  ({ success }) => success,
  () => false,
);

Deno.test("a certificate is self-signed, for the name of peers, and has no well-defined end", async () => {
  const { certificate } = await makeCertificate();
  const x509 = new X509Certificate(certificate);
  assertEquals(x509.subject, `CN=${PEER_NAME}`);
  assertEquals(x509.issuer, x509.subject);
  assertEquals(x509.subjectAltName, `DNS:${PEER_NAME}`);
  assert(new Date(x509.validFrom) < new Date("2021-01-01"));
  assertEquals(new Date(x509.validTo).getUTCFullYear(), 9999);
});

Deno.test("each certificate has another key and another number", async () => {
  const [one, two] = await Promise.all([makeCertificate(), makeCertificate()]);
  assertNotEquals(one.key, two.key);
  assertNotEquals(new X509Certificate(one.certificate).serialNumber, new X509Certificate(two.certificate).serialNumber);
});

Deno.test({
  name: "openssl finds each of many certificates right, whatever numbers and signatures they have",
  ignore: !canVerify,
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      // The length of a number in DER depends on its first bits, which are random.
      for (let n = 0; n < 40; n++) {
        const { certificate } = await makeCertificate();
        await Deno.writeTextFile(`${folder}/cert.pem`, certificate);
        const args = ["verify", "-check_ss_sig", "-partial_chain", "-trusted", "cert.pem", "cert.pem"];
        const { code, stderr } = await new Deno.Command("openssl", { args, cwd: folder }).output();
        assertEquals([code, new TextDecoder().decode(stderr)], [0, ""]);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
