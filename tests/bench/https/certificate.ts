import type { OwnCertificate } from "../../../src/edge/settings.ts";
import { APP_HOST } from "../support/app.ts";
import { BenchError } from "../support/errors.ts";
import { TOOLS } from "../support/tool.ts";

/**
 * Makes a certificate that has signed itself, for the app's hostname, with a key as an authority's certificates have.
 * It is also for the loopback address, since wrk names that when it connects.
 *
 * @param folder For its two files.
 * @throws {BenchError} When openssl refuses.
 */
export async function makeCertificate(folder: string, signal: AbortSignal): Promise<OwnCertificate> {
  const [certificate, key] = [`${folder}/certificate.pem`, `${folder}/key.pem`];
  const { success, stderr } = await new Deno.Command(TOOLS.openssl.command, {
    args: [
      ...["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
      ...["-subj", `/CN=${APP_HOST}`, "-addext", `subjectAltName=DNS:${APP_HOST},IP:127.0.0.1`],
      ...["-addext", "basicConstraints=critical,CA:FALSE"], // what is an authority may not serve
      ...["-out", certificate, "-keyout", key],
    ],
    stdout: "null",
    stderr: "piped",
    signal,
  }).output();
  signal.throwIfAborted();
  if (!success) {
    throw new BenchError(`cannot make a certificate: ${new TextDecoder().decode(stderr).trim().split("\n").at(-1)}`);
  }
  return { certificate, key, names: [APP_HOST] };
}
