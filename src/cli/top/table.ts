import type { ActivityJson } from "../../admin/operations/activity.ts";
import { durationText, plainText, sizeText } from "../text.ts";
import { wakesOf } from "./activity.ts";
import type { Ink } from "./frame.ts";

/** A column of the list of services. */
export interface Column {
  readonly head: string;
  /** What stands over the head if there is room. */
  readonly group?: string;
  /** Its head where nothing stands over it. */
  readonly onceHead?: string;
  /** It is at least as wide as that, so that it stays in its place when its values change. */
  readonly minWidth: number;
  readonly isNumber: boolean;
  readonly text: (service: ActivityJson) => string;
  readonly ink?: (service: ActivityJson) => Ink | undefined;
}

const STATE_INKS: Partial<Record<ActivityJson["state"], Ink>> = {
  failing: "red",
  deploying: "magenta",
  starting: "cyan",
  ready: "green",
  hibernated: "dim",
  asleep: "dim",
};

/** Over the columns of wakes. */
const WAKES = "wakes in the last hour";

function number(head: string, minWidth: number, text: Column["text"], more: Partial<Column> = {}): Column {
  return {
    head,
    minWidth,
    isNumber: true,
    text,
    ink: (service) => /^(0|-)$/.test(text(service)) ? "dim" : undefined,
    ...more,
  };
}

const COLUMNS = {
  service: { head: "SERVICE", minWidth: 12, isNumber: false, text: ({ service }) => plainText(service) },
  state: {
    head: "STATE",
    minWidth: 10,
    isNumber: false,
    text: ({ state }) => state,
    ink: ({ state }) => STATE_INKS[state],
  },
  requests: number("REQ/S", 5, ({ requestsPerSecond }) => rateText(requestsPerSecond)),
  errors: number("ERR/S", 5, ({ errorsPerSecond }) => rateText(errorsPerSecond), {
    ink: ({ errorsPerSecond }) => errorsPerSecond > 0 ? "red" : "dim",
  }),
  p50: number("P50", 5, ({ p50Ms }) => p50Ms === undefined ? "-" : durationText(p50Ms)),
  p99: number("P99", 5, ({ p99Ms }) => p99Ms === undefined ? "-" : durationText(p99Ms)),
  inFlight: number("FLIGHT", 6, inFlightText, { group: "IN", onceHead: "IN-FLIGHT" }),
  memory: number("MEMORY", 8, ({ memoryBytes }) => bytesText(memoryBytes)),
  swap: number("SWAP", 8, ({ swapBytes }) => bytesText(swapBytes)),
  cold: number("COLD", 4, ({ wakes }) => String(wakes.cold), { group: WAKES, onceHead: "COLD/H" }),
  paused: number("PAUSED", 6, ({ wakes }) => String(wakes.resume), { group: WAKES, onceHead: "PAUSED/H" }),
  hibernated: number("HIBERNATED", 10, ({ wakes }) => String(wakes.hibernated), {
    group: WAKES,
    onceHead: "HIBERNATED/H",
  }),
  wakes: number("WAKES/H", 7, (service) => String(wakesOf(service))),
  minutes: {
    head: "LAST 10 MIN",
    minWidth: 11,
    isNumber: false,
    text: ({ perMinute }) => sparkline(perMinute),
    ink: ({ perMinute }) => perMinute.some((requests) => requests > 0) ? "blue" : "dim",
  },
} satisfies Record<string, Column>;

type Name = keyof typeof COLUMNS;

/** From the left to the right; `wakes` is there in place of the three columns that it sums up. */
const NAMES: readonly Name[] = [
  ...["service", "state", "requests", "errors", "p50", "p99", "inFlight", "memory", "swap"] as const,
  ...["cold", "paused", "hibernated", "wakes", "minutes"] as const,
];

/** What a narrow terminal lacks, first what is missed least. */
const STEPS: readonly { readonly without: readonly Name[]; readonly with?: Name }[] = [
  { without: ["wakes"] },
  { without: ["errors"] },
  { without: ["p50"] },
  { without: ["cold", "paused", "hibernated"], with: "wakes" },
  { without: ["swap"] },
  { without: ["wakes"] },
  { without: ["inFlight"] },
  { without: ["minutes"] },
  { without: ["memory"] },
  { without: ["p99"] },
  { without: ["requests"] },
];

/** Between two columns. */
export const GAP = 2;

/** Every column. */
export function allColumns(): Column[] {
  return columnsOf(new Set(NAMES.filter((name) => name !== "wakes")));
}

/** The columns that fit, each with its width. @param columns The width of the terminal. */
export function fittingColumns(services: readonly ActivityJson[], columns: number): (Column & { width: number })[] {
  const shown = new Set<Name>(NAMES);
  for (const step of STEPS) {
    for (const name of step.without) shown.delete(name);
    if (step.with !== undefined) shown.add(step.with);
    const widths = columnsOf(shown).map((column) => ({ ...column, width: widthOf(column, services) }));
    const [name, ...others] = widths;
    const left = columns - others.reduce((sum, { width }) => sum + GAP + width, 0);
    if (left >= name!.minWidth) return [{ ...name!, width: Math.min(name!.width, left) }, ...others];
  }
  const { service, state } = COLUMNS;
  return [{ ...service, width: Math.max(1, columns - GAP - state.minWidth) }, { ...state, width: state.minWidth }];
}

function columnsOf(names: ReadonlySet<Name>): Column[] {
  return NAMES.filter((name) => names.has(name)).map((name): Column => COLUMNS[name]);
}

function widthOf({ head, minWidth, text }: Column, services: readonly ActivityJson[]): number {
  return services.reduce((width, service) => Math.max(width, text(service).length), Math.max(minWidth, head.length));
}

const BARS = "▁▂▃▄▅▆▇█";

/** Draws numbers as bars. The highest bar is the largest number; the lowest one means 0. */
export function sparkline(numbers: readonly number[]): string {
  const most = Math.max(...numbers);
  return numbers.map((number) => BARS[number <= 0 ? 0 : Math.max(1, Math.round((BARS.length - 1) * number / most))])
    .join("");
}

/** Writes a rate: `0`, `0.3`, `12`, `4.5k`. */
export function rateText(perSecond: number): string {
  if (perSecond === 0) return "0";
  if (perSecond < 9.95) return Math.max(0.1, perSecond).toFixed(1);
  return perSecond < 9999.5 ? String(Math.round(perSecond)) : `${Math.round(perSecond / 1000)}k`;
}

/** Writes how many requests are in flight, and how many wait: `3`, `3+12`. */
export function inFlightText({ inFlight, waiting }: ActivityJson): string {
  return waiting > 0 ? `${inFlight}+${waiting}` : String(inFlight);
}

/** Writes a size; `-` for nothing. */
function bytesText(bytes: number): string {
  return bytes === 0 ? "-" : sizeText(bytes);
}
