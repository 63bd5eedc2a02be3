/** Between two columns. */
const GAP = "  ";

/** Writes rows below a header, each column as wide as the widest that is in it; nothing is wrapped or cut. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  return all.map((row) => widths.map((width, column) => (row[column] ?? "").padEnd(width)).join(GAP).trimEnd())
    .join("\n");
}

/** Writes names with a value each, below one another. */
export function pairs(rows: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length)) + 1;
  return rows.map(([name, value]) => `${`${name}:`.padEnd(width)}${GAP}${value}`.trimEnd()).join("\n");
}

/** Moves every line to the right. */
export function indented(text: string): string {
  return text.replaceAll(/^(?=.)/gm, GAP);
}

/** A text from elsewhere without what a terminal would obey. */
export function plainText(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replaceAll(/\x1b\[[0-?]*[ -/]*[@-~]/g, "").replaceAll(/[\x00-\x08\x0a-\x1f\x7f-\x9f]/g, "");
}
