import { resolve } from "node:path";
import { messageOf, UsageError } from "../base/errors.ts";
import { readOwn } from "../edge/certificates.ts";
import {
  type EdgeSettings,
  type OwnCertificate,
  parseAcmeUrl,
  parseDomain,
  parseEmail,
  parsePlainPath,
  STAGING_URL,
} from "../edge/settings.ts";
import { defined } from "../model/defined.ts";
import type { Call } from "./verb.ts";

/** What the flags of `cless https` say about the certificates. @throws {UsageError} */
export async function settingsOf(call: Call): Promise<EdgeSettings> {
  const { acmeUrl, certificate, domain, email, key, root } = readEdgeFlags(call);
  return defined({
    domain: domain!,
    email,
    own: await ownCertificateOf(certificate, key),
    acmeUrl: call.on("staging") ? STAGING_URL : acmeUrl,
    acmeRoot: await rootOf(root),
    admin: call.on("admin"),
  });
}

/** Reads the flags about the certificates, without the files that they name. */
export function readEdgeFlags(call: Call) {
  const flags = {
    domain: call.read("domain", parseDomain)[0],
    email: call.read("email", parseEmail)[0],
    acmeUrl: call.read("acme-url", parseAcmeUrl)[0],
    certificate: pathOf(call, "cert"),
    key: pathOf(call, "key"),
    root: pathOf(call, "acme-ca-root"),
  };
  const isGiven = (flag: string) => call.text(flag) !== undefined;
  const wrong = [
    !isGiven("domain") && `https ${call.args[0]} needs --domain DOMAIN, such as example.org`,
    call.on("staging") && isGiven("acme-url") && "--staging is an --acme-url too: give one of them",
    isGiven("cert") !== isGiven("key") && "--cert and --key belong together",
  ].filter((mistake) => mistake !== false);
  call.attempt(() => {
    if (wrong.length > 0) throw new UsageError(wrong);
  });
  return flags;
}

async function ownCertificateOf(certificate?: string, key?: string): Promise<OwnCertificate | undefined> {
  if (certificate === undefined || key === undefined) return undefined;
  try {
    return await readOwn(certificate, key, Date.now());
  } catch (error) {
    throw new UsageError(`--cert, --key: ${messageOf(error)}`);
  }
}

async function rootOf(root: string | undefined): Promise<string | undefined> {
  if (root === undefined) return undefined;
  const pem = await Deno.readTextFile(root).catch(() => "");
  if (pem.includes("-----BEGIN CERTIFICATE-----")) return root;
  throw new UsageError(`--acme-ca-root: ${root} is not a file with a certificate in PEM`);
}

/** The absolute path that a flag names. */
function pathOf(call: Call, flag: string): string | undefined {
  return call.read(flag, (text) => parsePlainPath(resolve(text)))[0];
}
