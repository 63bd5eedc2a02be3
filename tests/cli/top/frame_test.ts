import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { changesOf, type Frame, frameOf, type Ink, type Line, span } from "../../../src/cli/top/frame.ts";
import { CODE_POINT } from "../../support/code_point.ts";
import { VirtualScreen } from "../../support/virtual_screen.ts";

const SIZE = { columns: 20, rows: 4 };

/** A screen that shows frames one after the other. */
function shown(...frames: Frame[]): VirtualScreen {
  const screen = new VirtualScreen(SIZE.columns, SIZE.rows);
  screen.write("\x1b[?7l");
  frames.forEach((frame, at) => screen.write(changesOf(frames[at - 1], frame)));
  return screen;
}

function frame(...texts: string[]): Frame {
  return frameOf(texts.map((text) => [span(text)]), SIZE, true);
}

Deno.test("lines are cut to the screen, and never between the columns of a wide character", () => {
  assertEquals(shown(frame("a".repeat(30), `${"b".repeat(19)}世`, "c", "d", "e")).lines, [
    "a".repeat(20),
    "b".repeat(19),
    "c",
    "d",
  ]);
});

Deno.test("what has not changed is not written again", () => {
  const before = frame("shop   12 requests/s", "blog    3 requests/s", "", "");
  assertEquals(changesOf(before, before), "");
  assertEquals(changesOf(before, frame("shop   13 requests/s", "blog    3 requests/s")), "\x1b[1;9H3");
  assertEquals(changesOf(before, frame("shop   12 requests/s", "blog")), "\x1b[2;9H\x1b[K");
  assertEquals(changesOf(before, frame("shop   12 requests/s", "blog    3 r")), "\x1b[2;12H\x1b[K");
  assertEquals(changesOf(before, frame("Shop   12 requests/S", "blog    3 requests/s")), "\x1b[1;1HS\x1b[1;20HS");
});

Deno.test("a row with characters of doubtful width is written as a whole", () => {
  const before = frame("one", "世界 1", "three");
  assertEquals(changesOf(before, frame("one", "世界 2", "three")), "\x1b[2;1H\x1b[K世界 2              ");
  assertEquals(shown(before, frame("one", "two", "three")).lines, ["one", "two", "three", ""]);
});

Deno.test("without colours, texts are still bold, dim and reversed", () => {
  const lines: Line[] = [[span("a", "red"), span("b", "bold", "red"), span("c", "dim"), span("d", "reverse")]];
  const styles = (isColoured: boolean) =>
    shown(frameOf(lines, SIZE, isColoured)).cells[0]!.slice(0, 5).map(({ style }) => style);
  assertEquals(styles(true), ["31", "1;31", "2", "7", ""]);
  assertEquals(styles(false), ["", "1", "2", "7", ""]);
});

const inks = fc.array(fc.constantFrom<Ink>("red", "bold", "reverse"), { maxLength: 2 });
const spans = (text: fc.Arbitrary<string>) => fc.array(fc.tuple(text, inks), { maxLength: 4 });
const linesOf = (text: fc.Arbitrary<string>) =>
  fc.array(spans(text).map((list): Line => list.map(([text, inks]) => span(text, ...inks))), { maxLength: 5 });

Deno.test("after any frames, the screen shows the last one as if it were the first", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", " ", "█", "  "), maxLength: 12 });
  fc.assert(fc.property(fc.array(linesOf(text), { minLength: 1, maxLength: 4 }), (all) => {
    const frames = all.map((lines) => frameOf(lines, SIZE, true));
    const [screen, fresh] = [shown(...frames), shown(frames.at(-1)!)];
    assertEquals(screen.cells, fresh.cells);
    assertEquals(screen.cells.map((row) => row.map((cell) => ({ ...cell }))), frames.at(-1)!.map((row) => [...row]));
  }));
});

Deno.test("no text, whatever is in it, changes another row or controls the terminal", () => {
  const unit = fc.oneof(
    fc.constantFrom(
      "\x1b[2J",
      "\x1b]0;x\x07",
      "\r",
      "\n",
      "世",
      "👩‍💻",
      "e\u0301",
      "\u202e",
      "\ud83d",
      "\t",
      "\x9b",
      "🇩🇪",
    ),
    fc.string({ unit: CODE_POINT, maxLength: 3 }),
  );
  const foreign = fc.array(unit, { maxLength: 15 }).map((parts) => parts.join(""));
  fc.assert(fc.property(fc.array(foreign, { minLength: 1, maxLength: 4 }), (texts) => {
    const frames = texts.map((text) => frame("first", text, "third", text));
    const screen = shown(...frames); // throws for any control character
    assertEquals([screen.lines[0], screen.lines[2]], ["first", "third"]);
    for (const row of frames.at(-1)!) assert(row.length === SIZE.columns);
  }));
});
