import type { Flag } from "./flags.ts";
import { DOCTOR_FLAGS, SERVE_FLAGS } from "./serve_flags.ts";
import { VERSION } from "../base/version.ts";

const LEAST_WIDTH = 60;
const MOST_WIDTH = 100;

/** What `cless --help` shows of a verb. */
export interface VerbSummary {
  readonly name: string;
  readonly group: string;
  readonly summary: string;
  readonly usage: string;
}

/** What the help of a verb consists of. */
export interface VerbText {
  readonly name: string;
  readonly args: readonly string[];
  readonly summary: string;
  readonly notes?: readonly string[];
  readonly flags: readonly Flag[];
  readonly example: readonly string[];
}

/** The text of `cless --help`. */
export function topHelp(verbs: readonly VerbSummary[]): string {
  const usage = (synopsis: string, text: string) => beside(synopsis, text, "       cless [serve] [FLAGS]   ".length);
  return [
    ...wrap(`cless ${VERSION}: turns container images into services that cost nothing while nobody calls them`),
    "",
    ...usage("Usage: cless [serve] [FLAGS]", "serve requests (the default)"),
    ...usage("       cless VERB [FLAGS]", "ask the cless that serves, or change what it does"),
    ...usage("       cless VERB --help", "show the arguments and flags of a verb"),
    "       cless --version",
    "",
    ...verbList(verbs),
    "",
    "Flags of serve",
    "",
    ...flagHelp(SERVE_FLAGS),
    "",
    ...serveNotes(),
  ].join("\n");
}

/** The verbs by group, one line each where the terminal is wide enough. */
function verbList(verbs: readonly VerbSummary[]): string[] {
  const column = Math.max(...verbs.map(({ name }) => name.length)) + 4;
  return [...new Set(verbs.map(({ group }) => group))].flatMap((group, at) => [
    ...(at > 0 ? [""] : []),
    `${group}:`,
    ...verbs.filter((verb) => verb.group === group)
      .flatMap(({ name, summary }) => beside(`  ${name}`, summary, column)),
  ]);
}

/** The text of `cless VERB --help` of a verb that asks the admin API. */
export function verbHelp({ name, args, summary, notes = [], flags, example }: VerbText): string {
  return [
    ...wrap(["Usage: cless", name, ...args, "[FLAGS]"].join(" ")),
    "",
    ...wrap(`${summary}.`),
    ...notes.flatMap((note) => ["", ...wrap(note)]),
    "",
    ...flagHelp(flags),
    "",
    "Example:",
    ...example.map((line) => `  ${line}`),
  ].join("\n");
}

/** The text of `cless serve --help`. */
export function serveHelp(): string {
  return ["Usage: cless serve [FLAGS]", "", ...flagHelp(SERVE_FLAGS), "", ...serveNotes()].join("\n");
}

/** The text of `cless doctor --help`. */
export function doctorHelp(): string {
  return [
    "Usage: cless doctor [FLAGS OF SERVE] [--json]",
    "",
    ...wrap("Finds out what would keep `cless serve` with the same flags from working, and says what to do."),
    "Exit code 1 when something would not work.",
    "",
    ...flagHelp(DOCTOR_FLAGS),
  ].join("\n");
}

function serveNotes(): string[] {
  return [
    "Every flag can also be set by an environment variable: --stop-after is CLESS_STOP_AFTER; a flag wins.",
    "Durations are written 250ms, 30s, 5m or 1h; 0 means never.",
    "",
    "Example:",
    "  docker build -t golang-docker images/golang",
    "  cless --listen 127.0.0.1:8080",
    "  curl http://golang.localhost:8080/",
  ].flatMap((line) => wrap(line));
}

/** The flags by group, wrapped to the terminal. */
export function flagHelp(flags: readonly Flag[]): string[] {
  const label = (flag: Flag) => {
    const short = flag.short === undefined ? "" : `-${flag.short}, `;
    const name = flag.value === undefined && flag.default === "on" ? `--[no-]${flag.name}` : `--${flag.name}`;
    return short + name + (flag.value === undefined ? "" : ` ${flag.value}`);
  };
  const column = Math.max(...flags.map((flag) => label(flag).length)) + 4;
  const lines: string[] = [];
  for (const group of new Set(flags.map((flag) => flag.group))) {
    if (lines.length > 0) lines.push("");
    if (group !== undefined) lines.push(`${group}:`);
    for (const flag of flags.filter((flag) => flag.group === group)) {
      const remarks = [flag.default && `default ${flag.default}`, flag.repeatable && "repeatable"].filter(Boolean);
      const text = flag.help + (remarks.length > 0 ? ` (${remarks.join("; ")})` : "");
      lines.push(...beside(`  ${label(flag)}`, text, column));
    }
  }
  return lines;
}

/** A label, and beside it a text in a column of its own. */
function beside(label: string, text: string, column: number): string[] {
  const [first = "", ...more] = wrap(text, " ".repeat(column));
  return [label.padEnd(column) + first.trimStart(), ...more];
}

function width(): number {
  try {
    return Math.min(MOST_WIDTH, Math.max(LEAST_WIDTH, Deno.consoleSize().columns));
  } catch {
    return 80; // not on a terminal
  }
}

function wrap(text: string, indent = ""): string[] {
  const columns = width();
  const lead = /^ */.exec(text)![0];
  const lines: string[] = [];
  let line = indent + lead;
  for (const word of text.trim().split(" ")) {
    const fits = line.trim() === "" || line.length + 1 + word.length <= columns;
    if (!fits) {
      lines.push(line);
      line = indent + lead;
    }
    line += line.trim() === "" ? word : ` ${word}`;
  }
  return [...lines, line];
}
