/** The items of a header whose value is a list, such as Connection; in lower case, without blanks. */
export function listItems(value: string | null | undefined): string[] {
  return (value ?? "").toLowerCase().split(",").map((item) => item.trim()).filter(Boolean);
}
