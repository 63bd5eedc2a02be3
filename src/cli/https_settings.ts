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
  const [domain] = call.read("domain", parseDomain);
  if (domain === undefined) throw new UsageError(`https ${call.args[0]} needs --domain DOMAIN, such as example.org`);
  if (call.on("staging") && call.text("acme-url") !== undefined) {
    throw new UsageError("--staging is an --acme-url too: give one of them");
  }
  return defined({
    domain,
    email: call.read("email", parseEmail)[0],
    own: await ownCertificateOf(call),
    acmeUrl: call.on("staging") ? STAGING_URL : call.read("acme-url", parseAcmeUrl)[0],
    acmeRoot: await rootOf(call),
    admin: call.on("admin"),
  });
}

async function ownCertificateOf(call: Call): Promise<OwnCertificate | undefined> {
  const [certificate, key] = [pathOf(call, "cert"), pathOf(call, "key")];
  if (certificate === undefined && key === undefined) return undefined;
  if (certificate === undefined || key === undefined) throw new UsageError("--cert and --key belong together");
  try {
    return await readOwn(certificate, key, Date.now());
  } catch (error) {
    throw new UsageError(`--cert, --key: ${messageOf(error)}`);
  }
}

async function rootOf(call: Call): Promise<string | undefined> {
  const root = pathOf(call, "acme-ca-root");
  if (root === undefined) return undefined;
  const pem = await Deno.readTextFile(root).catch(() => "");
  if (pem.includes("-----BEGIN CERTIFICATE-----")) return root;
  throw new UsageError(`--acme-ca-root: ${root} is not a file with a certificate in PEM`);
}

/** The absolute path that a flag names. */
function pathOf(call: Call, flag: string): string | undefined {
  return call.read(flag, (text) => parsePlainPath(resolve(text)))[0];
}
