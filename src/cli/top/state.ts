import { ORDER_NAMES, type Selection } from "./activity.ts";
import type { Key } from "./keys.ts";

/** What the user has chosen to see. */
export interface TopState extends Selection {
  /** Whether keys write the filter. */
  readonly isTyping: boolean;
  /** The marked service of the list; `undefined` for the first one. */
  readonly marked?: string | undefined;
  /** The service that fills the screen; `undefined` for the list. */
  readonly opened?: string | undefined;
  /** The number of the log's last line that is shown; `undefined` for the newest one. */
  readonly logEnd?: number | undefined;
  /** How many columns of the log's texts are left out at the left. */
  readonly logLeft: number;
}

/** What the state is about when a key is pressed. */
export interface Shown {
  /** The services of the list, in its order. */
  readonly names: readonly string[];
  /** How many rows there are for the list or the log. */
  readonly page: number;
  /** The numbers of the log's first and last line. */
  readonly log: { readonly first: number; readonly last: number };
}

/** What a key does: it changes what is shown, or does something to the program. */
export type Reaction = TopState | "quit" | "interrupt" | "suspend" | "redraw";

const FOLLOW: Pick<TopState, "logEnd" | "logLeft"> = { logEnd: undefined, logLeft: 0 };

/** How far the log moves to the side. */
const SIDE_STEP = 16;

/** What is shown at first. */
export function firstState(selection: Selection): TopState {
  return { ...selection, isTyping: false, logLeft: 0 };
}

/** What a key does. */
export function reactionTo(key: Key, state: TopState, shown: Shown): Reaction {
  if (key.name === "interrupt" || key.name === "suspend" || key.name === "redraw") return key.name;
  if (state.isTyping) return typed(key, state, shown);
  if (key.name === "text" && /^[qQ]$/.test(key.text)) return "quit";
  return state.opened === undefined ? inList(key, state, shown) : inService(key, state, shown);
}

function typed(key: Key, state: TopState, shown: Shown): TopState {
  switch (key.name) {
    case "text":
      return { ...state, filter: state.filter + key.text };
    case "backspace":
      return { ...state, filter: Array.from(state.filter).slice(0, -1).join("") };
    case "eraseLine":
      return { ...state, filter: "" };
    case "enter":
      return { ...state, isTyping: false };
    case "escape":
      return { ...state, isTyping: false, filter: "" };
    default:
      return inList(key, state, shown);
  }
}

function inList(key: Key, state: TopState, { names, page }: Shown): TopState {
  const at = Math.max(0, names.indexOf(state.marked ?? ""));
  const marking = (index: number) => ({ ...state, marked: names[Math.max(0, Math.min(names.length - 1, index))] });
  switch (key.name) {
    case "up":
      return marking(at - 1);
    case "down":
      return marking(at + 1);
    case "pageUp":
      return marking(at - page);
    case "pageDown":
      return marking(at + page);
    case "home":
      return marking(0);
    case "end":
      return marking(names.length - 1);
    case "enter":
      return names.length === 0 ? state : { ...state, ...FOLLOW, marked: names[at], opened: names[at] };
    case "escape":
      return { ...state, filter: "" };
    case "text":
      return chosen(key.text, state, (step) => marking(at + step));
    default:
      return state;
  }
}

function chosen(text: string, state: TopState, moved: (step: number) => TopState): TopState {
  switch (text) {
    case "/":
      return { ...state, isTyping: true };
    case "s":
      return { ...state, order: ORDER_NAMES[(ORDER_NAMES.indexOf(state.order) + 1) % ORDER_NAMES.length]! };
    case "r":
      return { ...state, isReversed: !state.isReversed };
    case "j":
      return moved(1);
    case "k":
      return moved(-1);
    default:
      return state;
  }
}

function inService(key: Key, state: TopState, { log, page }: Shown): TopState {
  const end = state.logEnd ?? log.last;
  const showing = (line: number): TopState => {
    return { ...state, logEnd: line >= log.last ? undefined : Math.max(line, log.first + page - 1) };
  };
  switch (key.name) {
    case "up":
      return showing(end - 1);
    case "down":
      return showing(end + 1);
    case "pageUp":
      return showing(end - page);
    case "pageDown":
      return showing(end + page);
    case "home":
      return showing(log.first);
    case "end":
      return { ...state, logEnd: undefined };
    case "left":
      return { ...state, logLeft: Math.max(0, state.logLeft - SIDE_STEP) };
    case "right":
      return { ...state, logLeft: state.logLeft + SIDE_STEP };
    case "escape":
    case "backspace":
      return { ...state, ...FOLLOW, opened: undefined };
    case "text":
      if (key.text !== " ") return state;
      return { ...state, logEnd: state.logEnd === undefined ? log.last : undefined };
    default:
      return state;
  }
}
