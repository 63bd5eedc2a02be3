/**
 * Writes a Markdown table whose columns are aligned as plain text too.
 *
 * @param head The names of the columns; the first is set to the left, the others to the right.
 */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((name, column) => Math.max(...[name, ...rows.map((row) => row[column] ?? "")].map(width)));
  const line = (cells: readonly string[]) =>
    `| ${
      widths.map((wide, column) => {
        const cell = cells[column] ?? "";
        const blank = " ".repeat(wide - width(cell));
        return column === 0 ? cell + blank : blank + cell;
      }).join(" | ")
    } |`;
  const rule = `|${widths.map((wide, column) => "-".repeat(wide + 1) + (column === 0 ? "-" : ":")).join("|")}|`;
  return [line(head), rule, ...rows.map(line)].join("\n");
}

function width(text: string): number {
  return [...text].length;
}
