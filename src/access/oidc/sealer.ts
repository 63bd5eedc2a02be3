import { concat } from "@std/bytes/concat";

/** The length that NIST SP 800-38D recommends for GCM. With random nonces, a key is safe for about 2^32 values. */
const NONCE_BYTES = 12;
const URL_SAFE = { alphabet: "base64url", omitPadding: true } as const;

/** What a sealed value is for; each kind has a key of its own. */
export type SealedKind = "attempt" | "session" | "state";

/** Where the keys come from: the same keys after a restart, and after a take-over. */
export interface KeySource {
  /** A key for AES-GCM that is used for one purpose alone. */
  deriveKey(purpose: string): Promise<CryptoKey>;
}

/**
 * Seals what cless gives to browsers and gets back: nobody else can read or change it. It can be opened only as the same
 * kind, and in the same context, such as a service and its address.
 */
export class Sealer {
  readonly #source: KeySource;
  readonly #keys = new Map<SealedKind, Promise<CryptoKey>>();

  constructor(source: KeySource) {
    this.#source = source;
  }

  /** Seals a value that JSON can hold, as text for a URL or a cookie. */
  async seal(kind: SealedKind, context: readonly string[], value: unknown): Promise<string> {
    const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    const bytes = new TextEncoder().encode(JSON.stringify(value));
    const sealed = await crypto.subtle.encrypt(parameters(nonce, context), await this.#keyOf(kind), bytes);
    return concat([nonce, new Uint8Array(sealed)]).toBase64(URL_SAFE);
  }

  /** The value that was sealed; `undefined` if the text is not one that this cless sealed as that, in that context. */
  async open(kind: SealedKind, context: readonly string[], text: string): Promise<unknown> {
    try {
      const bytes = Uint8Array.fromBase64(text, { alphabet: "base64url" });
      const nonce = bytes.subarray(0, NONCE_BYTES);
      const sealed = bytes.subarray(NONCE_BYTES);
      const opened = await crypto.subtle.decrypt(parameters(nonce, context), await this.#keyOf(kind), sealed);
      return JSON.parse(new TextDecoder().decode(opened));
    } catch {
      return undefined;
    }
  }

  #keyOf(kind: SealedKind): Promise<CryptoKey> {
    return this.#keys.getOrInsertComputed(kind, () => this.#source.deriveKey(`sign-in ${kind}`));
  }
}

function parameters(nonce: Uint8Array<ArrayBuffer>, context: readonly string[]): AesGcmParams {
  return { name: "AES-GCM", iv: nonce, additionalData: new TextEncoder().encode(JSON.stringify(context)) };
}
