import type { ActivityJson } from "../../admin/operations/activity.ts";
import { selected } from "./activity.ts";
import { type Ink, type Line, span } from "./frame.ts";
import type { Size } from "./screen.ts";
import type { TopState } from "./state.ts";
import { attentionLines, summaryText } from "./summary.ts";
import { type Column, fittingColumns, GAP } from "./table.ts";

/** What the views draw. */
export interface Data {
  readonly services: readonly ActivityJson[];
  /** Why the services are not those of now; `undefined` if they are. */
  readonly lost?: string | undefined;
  /** In ms since 1970. */
  readonly now: number;
}

/** At most so many services that need attention have a line. */
const MAX_ATTENTION = 3;
/** A screen with fewer rows than that has nothing but a line on top and the list. */
const FEW_ROWS = 10;

/** How many services the list has room for. */
export function listPage(state: TopState, data: Data, size: Size): number {
  return layoutOf(state, data, size).page;
}

/** The list of services, and what it was scrolled to. @param offset The first service of the last frame. */
export function listLines(state: TopState, data: Data, size: Size, offset: number): { lines: Line[]; offset: number } {
  const { columns, page, shown, top } = layoutOf(state, data, size);
  const at = Math.max(0, shown.findIndex(({ service }) => service === state.marked));
  const first = scrolled(offset, at, page, shown.length);
  const rows = shown.slice(first, first + page).map((service, row) =>
    serviceLine(columns, service, { isMarked: first + row === at, isOld: data.lost !== undefined, width: size.columns })
  );
  const none = shown.length > 0 ? [] : [[span(noneText(data, state), "dim")]];
  const lines = [...top, ...none, ...rows];
  if (size.rows < FEW_ROWS) return { lines, offset: first };
  const part = rows.length < shown.length
    ? [span(`   ${first + 1}–${first + rows.length} of ${shown.length}`, "dim")]
    : [];
  return { lines: withLast(lines, [...footLine(state, shown.length, data), ...part], size.rows), offset: first };
}

/** How the screen is used. @returns `top` is what stands over the services; `page` says how many there is room for. */
function layoutOf(state: TopState, { lost, now, services }: Data, size: Size) {
  const shown = selected(services, state);
  const columns = fittingColumns(shown, size.columns);
  const summary = lost === undefined
    ? span(summaryText(services), "bold")
    : span(`connection lost (${lost}), trying again`, "bold", "red");
  if (size.rows < FEW_ROWS) {
    return { columns, shown, top: [[summary], headLine(columns)], page: Math.max(1, size.rows - 2) };
  }
  const attention = attentionLines(services, now);
  const room = attention.length > MAX_ATTENTION ? MAX_ATTENTION - 1 : MAX_ATTENTION;
  const more = attention.length - room;
  const top = [
    [summary],
    ...attention.slice(0, room).map((text) => [span(text, "red")]),
    ...(more > 0 ? [[span(`and ${more} more are failing`, "red")]] : []),
    columns.some(({ group }) => group !== undefined) ? groupLine(columns) : [],
    headLine(columns),
  ];
  return { columns, shown, top, page: size.rows - top.length - 1 };
}

/** The first item that is shown: as before, if the marked one is then among them. */
function scrolled(offset: number, marked: number, page: number, count: number): number {
  const first = Math.max(marked - page + 1, Math.min(offset, marked));
  return Math.max(0, Math.min(first, count - page));
}

function noneText({ services }: Data, { filter }: TopState): string {
  return services.length === 0 ? "there are no services yet; cless deploy makes one" : `no service matches ${filter}`;
}

type Placed = Column & { readonly width: number };

/** What stands over the heads, over as many columns as it is for. */
function groupLine(columns: readonly Placed[]): Line {
  let text = "";
  let end = 0;
  columns.forEach(({ group, width }, at) => {
    const start = end + (at === 0 ? 0 : GAP);
    end = start + width;
    if (group === undefined || columns[at + 1]?.group === group) return;
    text = text.padEnd(end - group.length) + group;
  });
  return [span(text, "dim")];
}

function headLine(columns: readonly Placed[]): Line {
  return [span(columns.map((column) => aligned(column.head, column)).join(" ".repeat(GAP)), "dim")];
}

function serviceLine(
  columns: readonly Placed[],
  service: ActivityJson,
  { isMarked, isOld, width }: { isMarked: boolean; isOld: boolean; width: number },
): Line {
  const inks = (ink: Ink | undefined): Ink[] => {
    if (isMarked) return ["reverse"];
    return isOld ? ["dim"] : ink === undefined ? [] : [ink];
  };
  const line = columns.flatMap((column, at) => [
    ...(at === 0 ? [] : [span(" ".repeat(GAP), ...inks(undefined))]),
    span(aligned(column.text(service), column), ...inks(column.ink?.(service))),
  ]);
  return isMarked ? [...line, span(" ".repeat(width), "reverse")] : line;
}

function aligned(text: string, { isNumber, width }: Placed): string {
  if (text.length > width) return `${text.slice(0, width - 1)}…`;
  return isNumber ? text.padStart(width) : text.padEnd(width);
}

/** Lines with one at the bottom of the screen. */
export function withLast(lines: readonly Line[], last: Line, rows: number): Line[] {
  const room = rows - 1;
  return [...lines.slice(0, room), ...Array<Line>(Math.max(0, room - lines.length)).fill([]), last];
}

function footLine({ filter, isReversed, isTyping, order }: TopState, shown: number, { services }: Data): Line {
  if (isTyping) {
    return [span(`/${filter}`, "bold"), span(" ", "reverse"), span("  Enter keeps it, Esc clears it", "dim")];
  }
  const filtered = filter === "" ? [] : [["/", `${filter} (${shown} of ${services.length})`], ["Esc", "all"]] as const;
  return hints([
    ...filtered,
    ["Enter", "open"],
    ["s", `sort: ${order}`],
    ["r", isReversed ? "reversed" : "reverse"],
    ...(filter === "" ? [["/", "filter"]] as const : []),
    ["q", "quit"],
  ]);
}

/** Keys, each with what it does. */
export function hints(keys: readonly (readonly [key: string, does: string])[]): Line {
  return keys.flatMap(([key, does], at) => [span(`${at === 0 ? "" : "   "}${key}`, "bold"), span(` ${does}`, "dim")]);
}
