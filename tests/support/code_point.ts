import fc from "fast-check";

const FIRST_SURROGATE = 0xd800;
const SURROGATES = 0x800;
const LAST = 0x10ffff;

/**
 * Any character of Unicode, as the `unit` of a text. The library's own unit, `binary`, is the same, but takes seconds to
 * make in every file that uses it.
 */
export const CODE_POINT: fc.Arbitrary<string> = fc.integer({ min: 0, max: LAST - SURROGATES }).map(
  (number) => String.fromCodePoint(number < FIRST_SURROGATE ? number : number + SURROGATES),
  (character) => {
    const number = typeof character === "string" ? character.codePointAt(0) : undefined;
    if (number === undefined || String.fromCodePoint(number) !== character) throw new Error("not a character");
    return number < FIRST_SURROGATE ? number : number - SURROGATES;
  },
);
