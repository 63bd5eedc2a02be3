/** The parameters, salt and key of a hashed password. */
export interface PasswordHash {
  /** The binary logarithm of scrypt's cost N. */
  readonly logN: number;
  readonly r: number;
  readonly p: number;
  readonly salt: Uint8Array;
  readonly key: Uint8Array;
}

/** The most memory that one check of a password may need, bytes: 128 × N × r (RFC 7914, section 2). */
const MAX_MEMORY = 64 * 1024 ** 2;
const MAX_PARALLEL = 4;

/**
 * The parameters of new hashes, which need 32 MiB: those of OWASP for this amount of memory,
 * https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
 */
const NEW = { logN: 15, r: 8, p: 3 };
const SALT_BYTES = 16;
const KEY_BYTES = 32;

const FORM = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{43,86})$/;

/**
 * Reads a hash in the PHC string format: `$scrypt$ln=15,r=8,p=1$SALT$KEY`, with salt and key in base64 without padding
 * (https://github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md).
 *
 * @throws {RangeError} If it has another form, or parameters that are too weak or too expensive.
 */
export function parsePasswordHash(text: string): PasswordHash {
  const [, ln, rounds, parallel, salt, key] = FORM.exec(text) ?? [];
  if (key === undefined) {
    throw new RangeError("expected the hash of a password, $scrypt$…, as `cless password` prints it");
  }
  const [logN, r, p] = [Number(ln), Number(rounds), Number(parallel)];
  if (logN < 10 || r < 1 || p < 1 || p > MAX_PARALLEL || 128 * 2 ** logN * r > MAX_MEMORY) {
    throw new RangeError("expected parameters of scrypt with ln at least 10 that need at most 64 MiB, and p at most 4");
  }
  try {
    return { logN, r, p, salt: Uint8Array.fromBase64(salt!), key: Uint8Array.fromBase64(key) };
  } catch {
    throw new RangeError("expected the salt and the key of a password's hash in base64; it may be cut off");
  }
}

/** Hashes a password with a new salt. Returns the text that {@linkcode parsePasswordHash} reads. */
export async function hashPassword(password: string): Promise<string> {
  const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES));
  const key = await derive(password, { ...NEW, salt }, KEY_BYTES);
  const [saltText, keyText] = [salt, key].map((bytes) => bytes.toBase64({ omitPadding: true }));
  return `$scrypt$ln=${NEW.logN},r=${NEW.r},p=${NEW.p}$${saltText}$${keyText}`;
}

/** Whether a password has this hash. The time taken depends on the hash only. The work is done by another thread. */
export async function isPassword(password: string, hash: PasswordHash): Promise<boolean> {
  const { timingSafeEqual } = await nodeCrypto();
  return timingSafeEqual(await derive(password, hash, hash.key.length), hash.key);
}

/** The key of a password: scrypt, RFC 7914. The password counts in Unicode's form NFC, as RFC 8265 has it. */
async function derive(
  password: string,
  { logN, r, p, salt }: Omit<PasswordHash, "key">,
  bytes: number,
): Promise<Uint8Array> {
  const { scrypt } = await nodeCrypto();
  const N = 2 ** logN;
  const options = { N, r, p, maxmem: 128 * r * (N + p + 2) };
  return await new Promise((resolve, reject) => {
    scrypt(password.normalize("NFC"), salt, bytes, options, (error, key) => error ? reject(error) : resolve(key));
  });
}

/** It is loaded with the first password, since it needs 6 MB of memory. */
function nodeCrypto(): Promise<typeof import("node:crypto")> {
  return import("node:crypto");
}
