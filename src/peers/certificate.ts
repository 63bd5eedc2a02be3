import { concat } from "@std/bytes/concat";

/**
 * The name in the certificate, which clients ask for whatever the address is. No public authority certifies a name
 * without a dot, so only a certificate that a client has been given can be valid for it.
 */
export const PEER_NAME = "cless-peer";

/** A certificate and its private key, in PEM. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

const KEY_ALGORITHM = { name: "ECDSA", namedCurve: "P-256" };
const COORDINATE_BYTES = 32;
const SERIAL_BYTES = 16;

/** The tags of ASN.1 that a certificate needs: ITU-T X.680. */
const TAG = {
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  utcTime: 0x17,
  time: 0x18,
  sequence: 0x30,
  set: 0x31,
  version: 0xa0,
  extensions: 0xa3,
  dnsName: 0x82,
} as const;

/** Object identifiers, encoded: RFC 5758, section 3.2, and RFC 5280, section 4.2 and appendix A. */
const OID = {
  ecdsaWithSha256: [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
  commonName: [0x55, 0x04, 0x03],
  subjectAltName: [0x55, 0x1d, 0x11],
} as const;

/** Early enough for machines whose clocks are wrong, and the date for "no well-defined end": RFC 5280, 4.1.2.5. */
const VALID_FROM = "200101000000Z";
const VALID_TO = "99991231235959Z";

/**
 * Makes a key and a self-signed certificate for {@linkcode PEER_NAME}: X.509 v3 in DER (RFC 5280), ECDSA on P-256 with
 * SHA-256.
 */
export async function makeCertificate(): Promise<Certificate> {
  const { privateKey, publicKey } = await crypto.subtle.generateKey(KEY_ALGORITHM, true, ["sign", "verify"]);
  const name = sequence(der(TAG.set, sequence(oid("commonName"), der(TAG.utf8, ascii(PEER_NAME)))));
  const names = sequence(der(TAG.dnsName, ascii(PEER_NAME)));
  const algorithm = sequence(oid("ecdsaWithSha256"));
  const toSign = sequence(
    der(TAG.version, der(TAG.integer, Uint8Array.of(2))), // v3
    integer(crypto.getRandomValues(new Uint8Array(SERIAL_BYTES))),
    algorithm,
    name, // of the issuer
    sequence(der(TAG.utcTime, ascii(VALID_FROM)), der(TAG.time, ascii(VALID_TO))),
    name,
    new Uint8Array(await crypto.subtle.exportKey("spki", publicKey)),
    der(TAG.extensions, sequence(sequence(oid("subjectAltName"), der(TAG.octets, names)))),
  );
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, privateKey, toSign);
  const certificate = sequence(toSign, algorithm, bits(ecdsaSignature(new Uint8Array(signature))));
  return {
    certificate: pem("CERTIFICATE", certificate),
    key: pem("PRIVATE KEY", new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey))),
  };
}

/** The signature as X.509 has it, from the two numbers in a row that the platform gives: RFC 3279, section 2.2.3. */
function ecdsaSignature(numbers: Uint8Array): Uint8Array {
  return sequence(integer(numbers.subarray(0, COORDINATE_BYTES)), integer(numbers.subarray(COORDINATE_BYTES)));
}

/** One value: its tag, its length and its content. @param parts Together at most 65,535 bytes. */
function der(tag: number, ...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const content = concat(parts);
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return concat([Uint8Array.of(tag, ...size), content]);
}

function sequence(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return der(TAG.sequence, ...parts);
}

/** A number that is not negative, from its bytes: without zeros before it, but with one where it would look negative. */
function integer(bytes: Uint8Array): Uint8Array {
  const first = bytes.findIndex((byte) => byte !== 0);
  const digits = first === -1 ? bytes.subarray(-1) : bytes.subarray(first);
  return digits[0]! < 0x80 ? der(TAG.integer, digits) : der(TAG.integer, Uint8Array.of(0), digits);
}

/** Whole bytes as a string of bits: no bit of the last byte is left over. */
function bits(bytes: Uint8Array): Uint8Array {
  return der(TAG.bits, Uint8Array.of(0), bytes);
}

function oid(name: keyof typeof OID): Uint8Array {
  return der(TAG.oid, Uint8Array.from(OID[name]));
}

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The textual encoding: RFC 7468. */
function pem(label: string, bytes: Uint8Array): string {
  const lines = bytes.toBase64().replaceAll(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}
