import { assertEquals } from "@std/assert";
import type { Key } from "../../../src/cli/top/keys.ts";
import { readKeys } from "../../../src/cli/top/keys.ts";
import { firstState, type Reaction, reactionTo, type Shown, type TopState } from "../../../src/cli/top/state.ts";

const FIRST = firstState({ order: "state", isReversed: false, filter: "" });
const SHOWN: Shown = { names: ["a", "b", "c", "d", "e"], page: 2, log: { first: 10, last: 99 } };
const ESCAPE: Key = { name: "escape" };

/** What keys make of a state one after the other. */
function after(state: TopState, ...keys: (string | Key)[]): TopState {
  for (const key of keys) {
    for (const one of typeof key === "string" ? readKeys(new TextEncoder().encode(key)).keys : [key]) {
      const reaction: Reaction = reactionTo(one, state, SHOWN);
      if (typeof reaction === "string") throw new Error(`it is no change: ${reaction}`);
      state = reaction;
    }
  }
  return state;
}

const [UP, DOWN, RIGHT, LEFT, PAGE_UP, PAGE_DOWN] = ["\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[5~", "\x1b[6~"];
const [HOME, END] = ["\x1b[H", "\x1b[F"];

Deno.test("q leaves, and Ctrl-C too, also where a text is typed", () => {
  const q: Key = { name: "text", text: "q" };
  const opened = after(FIRST, "\r");
  for (const state of [FIRST, opened]) assertEquals(reactionTo(q, state, SHOWN), "quit");
  const typing = after(FIRST, "/");
  assertEquals(after(typing, q).filter, "q");
  for (const state of [FIRST, opened, typing]) {
    for (const name of ["interrupt", "suspend", "redraw"] as const) {
      assertEquals(reactionTo({ name }, state, SHOWN), name);
    }
  }
});

Deno.test("the mark moves within the list", () => {
  const marked = (...keys: string[]) => after(FIRST, ...keys).marked;
  assertEquals(marked(DOWN!), "b");
  assertEquals(marked("jj", "k"), "b");
  assertEquals(marked(UP!), "a");
  assertEquals(marked(PAGE_DOWN!), "c");
  assertEquals(marked(END!, DOWN!), "e");
  assertEquals(marked(END!, PAGE_UP!), "c");
  assertEquals(marked(END!, HOME!), "a");
  assertEquals(after({ ...FIRST, marked: "gone" }, DOWN!).marked, "b", "without the marked one, it is at the top");
});

Deno.test("s sorts by the next thing, and r reverses", () => {
  assertEquals(after(FIRST, "s").order, "name");
  assertEquals(after(FIRST, "s".repeat(9)).order, "state");
  assertEquals([after(FIRST, "r").isReversed, after(FIRST, "rr").isReversed], [true, false]);
});

Deno.test("a filter is typed, kept with Enter, and cleared with Escape", () => {
  const typed = after(FIRST, "/sh q", "\x7f");
  assertEquals([typed.filter, typed.isTyping], ["sh ", true]);
  assertEquals(after(typed, DOWN!).marked, "b", "the arrows still move the mark");
  const kept = after(typed, "\r");
  assertEquals([kept.filter, kept.isTyping, kept.opened], ["sh ", false, undefined]);
  for (const state of [typed, kept]) {
    assertEquals([after(state, ESCAPE).filter, after(state, ESCAPE).isTyping], ["", false]);
  }
  assertEquals(after(typed, "\x15x").filter, "x");
});

Deno.test("Enter opens the marked service, and Escape goes back to it", () => {
  const opened = after(FIRST, DOWN!, "\r");
  assertEquals([opened.opened, opened.marked], ["b", "b"]);
  assertEquals(after(FIRST, "\r").opened, "a");
  const back = after(opened, UP!, RIGHT!, ESCAPE);
  assertEquals([back.opened, back.marked, back.logEnd, back.logLeft], [undefined, "b", undefined, 0]);
  assertEquals(reactionTo({ name: "enter" }, FIRST, { ...SHOWN, names: [] }), FIRST, "there may be nothing to open");
});

Deno.test("a log is held and moved, and followed again at its end", () => {
  const opened = after(FIRST, "\r");
  const end = (...keys: string[]) => after(opened, ...keys).logEnd;
  assertEquals(end(" "), 99);
  assertEquals(end("  "), undefined);
  assertEquals(end(UP!), 98);
  assertEquals(end(UP!, DOWN!), undefined);
  assertEquals(end(PAGE_UP!, PAGE_UP!), 95);
  assertEquals(end(PAGE_UP!, PAGE_UP!, PAGE_DOWN!), 97);
  assertEquals(end(HOME!), 11, "the first page is full");
  assertEquals(end(HOME!, UP!), 11);
  assertEquals(end(HOME!, END!), undefined);
  const left = (...keys: string[]) => after(opened, ...keys).logLeft;
  assertEquals([left(RIGHT!), left(RIGHT!, RIGHT!, LEFT!), left(LEFT!)], [16, 16, 0]);
  assertEquals(after(opened, "s/x"), opened, "keys of the list do nothing here");
});
