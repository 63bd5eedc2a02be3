/** The control characters that mean something here, by their codes. */
const CONTROLS = {
  3: "interrupt",
  8: "backspace",
  10: "enter",
  12: "redraw",
  13: "enter",
  21: "eraseLine",
  26: "suspend",
  127: "backspace",
} as const;

/** What terminals send for keys, after ESC and `[` or `O`, with xterm's and rxvt's variants. */
const SEQUENCES = {
  A: "up",
  B: "down",
  C: "right",
  D: "left",
  H: "home",
  F: "end",
  "1~": "home",
  "7~": "home",
  "4~": "end",
  "8~": "end",
  "5~": "pageUp",
  "6~": "pageDown",
} as const;

/** A key with a name. */
type NamedKey = typeof CONTROLS[keyof typeof CONTROLS] | typeof SEQUENCES[keyof typeof SEQUENCES] | "escape";

/** A key that was pressed. */
export type Key = { readonly name: NamedKey } | { readonly name: "text"; readonly text: string };

/**
 * Reads keys from what a terminal sends. Unknown sequences and control characters are no keys.
 * https://invisible-island.net/xterm/ctlseqs/ctlseqs.html
 *
 * @returns The keys, and the beginning of a sequence or character whose rest has not come yet.
 */
export function readKeys(bytes: Uint8Array): { keys: Key[]; rest: Uint8Array } {
  const keys: Key[] = [];
  let at = 0;
  while (at < bytes.length) {
    const byte = bytes[at]!;
    const length = byte === ESC ? sequenceLength(bytes.subarray(at)) : characterLength(bytes.subarray(at));
    if (length === undefined || at + length > bytes.length) break;
    keys.push(...keyOf(bytes.subarray(at, at + length)));
    at += length;
  }
  return { keys, rest: bytes.slice(at) };
}

const ESC = 0x1b;

/** What {@linkcode readKeys} has left means if nothing more comes: the key Escape, and what was pressed with it. */
export function lateKeys(rest: Uint8Array): Key[] {
  if (rest[0] !== ESC) return [];
  return [{ name: "escape" }, ...readKeys(rest.subarray(1)).keys];
}

/** How long a sequence is that begins with ESC; `undefined` if its end is missing. */
function sequenceLength(bytes: Uint8Array): number | undefined {
  const [, kind] = bytes;
  if (kind === undefined) return undefined;
  if (kind === 0x4f) return bytes.length < 3 ? undefined : 3; // ESC O A
  if (kind !== 0x5b) return 1; // Escape, and another key at once
  const end = bytes.findIndex((byte, at) => at > 1 && byte >= 0x40 && byte <= 0x7e);
  return end < 0 ? undefined : end + 1;
}

/** How long a character is in UTF-8. Bytes that belong to none count as one each. */
function characterLength(bytes: Uint8Array): number {
  const [first = 0] = bytes;
  const length = first < 0xc0 || first >= 0xf8 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  const wrong = bytes.subarray(1, length).findIndex((byte) => (byte & 0xc0) !== 0x80);
  return wrong < 0 ? length : wrong + 1;
}

function keyOf(bytes: Uint8Array): Key[] {
  const [byte = 0] = bytes;
  const text = new TextDecoder().decode(bytes);
  if (byte === ESC) {
    const sequence = text.slice(2);
    if (bytes.length === 1) return [{ name: "escape" }];
    return Object.hasOwn(SEQUENCES, sequence) ? [{ name: SEQUENCES[sequence as keyof typeof SEQUENCES] }] : [];
  }
  if (Object.hasOwn(CONTROLS, byte)) return [{ name: CONTROLS[byte as keyof typeof CONTROLS] }];
  return byte < 0x20 || text === "\ufffd" ? [] : [{ name: "text", text }];
}
