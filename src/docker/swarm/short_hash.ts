const encoder = new TextEncoder();

/**
 * A hash of a text for a name that must be short: FNV-1a of 64 bits in 16 hexadecimal digits. Whoever chooses the text
 * can choose its hash, too. https://www.rfc-editor.org/rfc/rfc9923
 */
export function shortHash(text: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of encoder.encode(text)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash.toString(16).padStart(16, "0");
}
