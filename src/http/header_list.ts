/** The items of a header whose value is a list, such as Connection; in lower case, without blanks. */
export function listItems(value: string | null | undefined): string[] {
  return splitList(value?.toLowerCase());
}

/** The items of a header whose value is a list, without blanks, in the case in which they were written. */
export function splitList(value: string | null | undefined): string[] {
  return (value ?? "").split(",").map((item) => item.trim()).filter(Boolean);
}
