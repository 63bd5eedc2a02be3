import type { ScreenCell, VirtualScreen } from "./virtual_screen.ts";

/** The size of a character in pixels. */
const [WIDTH, HEIGHT] = [8, 19];
/** Around the screen, and above it, where windows have their buttons. */
const [MARGIN, TOP] = [16, 40];

const [BACKGROUND, TEXT] = ["#12161c", "#d7dde5"];

/** Colours by SGR code. Each has a contrast of 4.5 or more with the background. */
const COLOURS: Readonly<Record<string, string>> = {
  31: "#ff7b72",
  32: "#56d364",
  33: "#e3b341",
  34: "#79c0ff",
  35: "#d2a8ff",
  36: "#56d4dd",
};
const DIM = "#8b949e";

/** Draws what a screen shows, as SVG. */
export function pictureOf(screen: VirtualScreen, title: string): string {
  const columns = Math.max(...screen.lines.map((line) => line.length), ...screen.cells.map((row) => row.length));
  const [width, height] = [columns * WIDTH + 2 * MARGIN, screen.cells.length * HEIGHT + TOP + MARGIN];
  const rows = screen.cells.flatMap((cells, row) => runsOf(cells).map((run) => runPicture(run, TOP + row * HEIGHT)));
  const buttons = ["#ff5f57", "#febc2e", "#28c840"].map((colour, at) =>
    `<circle cx="${20 + 18 * at}" cy="18" r="5.5" fill="${colour}"/>`
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" rx="8" fill="${BACKGROUND}"/>`,
    ...buttons,
    `<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="13" ` +
    `xml:space="preserve">`,
    ...rows.filter((row) => row !== ""),
    "</g>",
    "</svg>",
    "",
  ].join("\n");
}

/** Neighbours that look the same. */
interface Run {
  readonly column: number;
  readonly text: string;
  readonly style: string;
}

function runsOf(cells: readonly ScreenCell[]): Run[] {
  const runs: Run[] = [];
  cells.forEach(({ style, text }, column) => {
    const last = runs.at(-1);
    const isSpace = text === " " && cells[column - 1]?.text === " " && style === "";
    if (last?.style === style && !isSpace) runs[runs.length - 1] = { ...last, text: last.text + text };
    else runs.push({ column, style, text });
  });
  return runs;
}

function runPicture({ column, style, text }: Run, top: number): string {
  const codes = style.split(";");
  const isReversed = codes.includes("7");
  const left = MARGIN + column * WIDTH;
  const width = text.length * WIDTH;
  const ink = isReversed ? BACKGROUND : codes.includes("2") ? DIM : COLOURS[codes.at(-1)!] ?? TEXT;
  const ground = isReversed ? `<rect x="${left}" y="${top}" width="${width}" height="${HEIGHT}" fill="${TEXT}"/>` : "";
  return ground + barsOf(text, left, top, ink) + wordsOf(text, left, top, ink, codes.includes("1"));
}

/** Bars as rectangles, since fonts draw them in different heights. */
function barsOf(text: string, left: number, top: number, ink: string): string {
  const path = [...text].flatMap((char, at) => {
    const eighths = char.codePointAt(0)! - 0x2580;
    if (eighths < 1 || eighths > 8) return [];
    const height = eighths * (HEIGHT - 5) / 8;
    return `M${left + at * WIDTH + 0.5} ${(top + HEIGHT - 4).toFixed(1)}v-${height.toFixed(1)}h${WIDTH - 1}v${
      height.toFixed(1)
    }z`;
  });
  return path.length === 0 ? "" : `<path d="${path.join("")}" fill="${ink}"/>`;
}

function wordsOf(text: string, left: number, top: number, ink: string, isBold: boolean): string {
  return [...text.matchAll(/[^ \u2581-\u2588]+(?: [^ \u2581-\u2588]+)*/g)].map(({ 0: words, index }) =>
    `<text x="${left + index * WIDTH}" y="${top + HEIGHT - 5}" textLength="${words.length * WIDTH}" fill="${ink}"` +
    `${isBold ? ' font-weight="bold"' : ""}>${escaped(words)}</text>`
  ).join("");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
