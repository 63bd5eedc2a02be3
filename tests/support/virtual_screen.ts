/** A character of the screen, and how it looks: SGR codes of ECMA-48. */
export interface ScreenCell {
  readonly text: string;
  readonly style: string;
}

const BLANK: ScreenCell = { text: " ", style: "" };

/** One of the two screens of a terminal. */
interface Page {
  rows: ScreenCell[][];
  row: number;
  column: number;
}

/**
 * What a terminal shows. Knows only what the program should need, and throws for any other sequence. Like many
 * terminals, it gives each code point its own width, so that characters of several code points are wider than others
 * think.
 */
export class VirtualScreen {
  #columns: number;
  #rows: number;
  #main: Page;
  #other: Page | undefined;
  #style = "";
  #rest = "";
  isCursorShown = true;
  wraps = true;
  /** How often the whole screen was erased. */
  erased = 0;

  constructor(columns: number, rows: number) {
    [this.#columns, this.#rows] = [columns, rows];
    this.#main = this.#newPage();
  }

  /** Whether the other screen is shown, which a program has for itself. */
  get isOther(): boolean {
    return this.#other !== undefined;
  }

  /** The rows without spaces at their ends. */
  get lines(): string[] {
    return this.#page.rows.map((row) => row.map(({ text }) => text).join("").trimEnd());
  }

  get text(): string {
    return this.lines.join("\n").trimEnd();
  }

  get cells(): readonly (readonly ScreenCell[])[] {
    return this.#page.rows;
  }

  /** The main screen's text, also while the other one is shown. */
  get mainText(): string {
    return this.#main.rows.map((row) => row.map(({ text }) => text).join("").trimEnd()).join("\n").trimEnd();
  }

  resize(columns: number, rows: number): void {
    [this.#columns, this.#rows] = [columns, rows];
    for (const page of [this.#main, this.#other]) {
      if (page === undefined) continue;
      page.rows = this.#newPage().rows.map((blank, row) =>
        blank.map((cell, column) => page.rows[row]?.[column] ?? cell)
      );
      [page.row, page.column] = [Math.min(page.row, rows - 1), Math.min(page.column, columns - 1)];
    }
  }

  write(output: string): void {
    const text = this.#rest + output;
    this.#rest = "";
    // deno-lint-ignore no-control-regex
    for (const [part] of text.matchAll(/\x1b\[[0-?]*[@-~]|\x1b(?:\[[0-?]*)?$|[^]/gu)) {
      if (part.startsWith("\x1b") && !/[@-~]$/.test(part.slice(2))) this.#rest = part;
      else if (part.startsWith("\x1b")) this.#obey(part.slice(2, -1), part.at(-1)!);
      else this.#put(part);
    }
  }

  #newPage(): Page {
    const rows = Array.from({ length: this.#rows }, () => Array<ScreenCell>(this.#columns).fill(BLANK));
    return { rows, row: 0, column: 0 };
  }

  get #page(): Page {
    return this.#other ?? this.#main;
  }

  #obey(given: string, kind: string): void {
    const page = this.#page;
    switch (`${given.startsWith("?") ? given : ""}${kind}`) {
      case "H": {
        const [row = 1, column = 1] = given.split(";").map(Number);
        if (row > this.#rows || column > this.#columns) throw new Error(`the cursor would leave the screen: ${given}`);
        [page.row, page.column] = [row - 1, column - 1];
        return;
      }
      case "G": // Deno itself writes that at its start, and below it what erases its progress
        page.column = Math.max(1, Number(given)) - 1;
        return;
      case "J":
        if (given === "") page.rows = page.rows.map((row, at) => at > page.row ? row.map(() => BLANK) : row);
        else if (given === "2") page.rows = this.#newPage().rows;
        else throw new Error(`not known: ESC [ ${given} J`);
        if (given === "2") this.erased++;
        return;
      case "K":
        if (this.#style !== "") throw new Error("a row is erased in another style than the plain one");
        page.rows[page.row] = page.rows[page.row]!.map((cell, at) => given === "" && at < page.column ? cell : BLANK);
        return;
      case "m":
        this.#style = given.replace(/^0?;?/, "");
        return;
      case "?1049h":
        if (this.#other !== undefined) throw new Error("the other screen is there already");
        this.#other = this.#newPage();
        return;
      case "?1049l":
        if (this.#other === undefined) throw new Error("the other screen is not there");
        this.#other = undefined;
        return;
      case "?25h":
      case "?25l":
        this.isCursorShown = kind === "h";
        return;
      case "?7h":
      case "?7l":
        this.wraps = kind === "h";
        return;
      default:
        throw new Error(`not known: ESC [ ${given} ${kind}`);
    }
  }

  #put(char: string): void {
    const page = this.#page;
    if (char === "\r") page.column = 0;
    else if (char === "\n") this.#feed(page);
    else if (char === "\b") page.column = Math.max(0, page.column - 1);
    else if (char < " ") throw new Error(`a control character: ${char.charCodeAt(0)}`);
    else {
      const width = widthOf(char);
      if (width === 0) return;
      if (page.column + width > this.#columns) {
        if (this.wraps) {
          page.column = 0;
          this.#feed(page);
        } else page.column = this.#columns - width;
      }
      const row = page.rows[page.row]!;
      row[page.column] = { text: char, style: this.#style };
      if (width === 2) row[page.column + 1] = { text: "", style: this.#style };
      page.column += width;
    }
  }

  #feed(page: Page): void {
    if (page.row < this.#rows - 1) page.row++;
    else {
      page.rows.shift();
      page.rows.push(Array<ScreenCell>(this.#columns).fill(BLANK));
    }
  }
}

function widthOf(char: string): number {
  if (/[\p{M}\p{Cf}\ufe0f]/u.test(char)) return 0;
  return /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60\u{1f300}-\u{1faff}]/u.test(char) ? 2 : 1;
}
