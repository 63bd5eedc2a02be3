import { VERSION } from "../base/version.ts";
import { Flag } from "./flags.ts";
import type { Verb, VerbGroups } from "./verb.ts";

/** Text is wrapped to the terminal's width, within these limits. */
const MIN_COLUMNS = 60;
const MAX_COLUMNS = 100;

/** The text of `cless --help`. @param serve The default verb, whose flags it shows. */
export function topHelp(groups: VerbGroups, serve: Verb): string {
  const usage = (synopsis: string, text: string) => beside(synopsis, text, "       cless [serve] [FLAGS]   ".length);
  return [
    ...wrap(`cless ${VERSION}: turns container images into services that cost nothing while nobody calls them`),
    "",
    ...usage("Usage: cless [serve] [FLAGS]", "serve requests (the default)"),
    ...usage("       cless VERB [FLAGS]", "ask a running cless, or change what it does"),
    ...usage("       cless VERB --help", "show the arguments and flags of a verb"),
    "       cless --version",
    "",
    ...verbList(groups),
    "",
    "Flags of serve",
    "",
    ...flagHelp(serve.flags),
    ...notesOf(serve),
    "",
    ...examplesOf(serve),
  ].join("\n");
}

/** The text of `cless VERB --help`. */
export function verbHelp(verb: Verb): string {
  const { name, args = [], summary, flags } = verb;
  return [
    ...wrap(["Usage: cless", name, ...args, "[FLAGS]"].join(" ")),
    "",
    ...wrap(`${summary}.`),
    ...notesOf(verb),
    "",
    ...flagHelp(flags),
    "",
    ...examplesOf(verb),
  ].join("\n");
}

/** The verbs by group, one line each if the terminal is wide enough. */
function verbList(groups: VerbGroups): string[] {
  const column = Math.max(...Object.values(groups).flat().map(({ name }) => name.length)) + 4;
  return Object.entries(groups).flatMap(([group, verbs], at) => [
    ...(at > 0 ? [""] : []),
    `${group}:`,
    ...verbs.flatMap(({ name, summary }) => beside(`  ${name}`, summary, column)),
  ]);
}

function notesOf({ notes = [] }: Verb): string[] {
  return notes.flatMap((note) => ["", ...wrap(note)]);
}

function examplesOf({ example }: Verb): string[] {
  return ["Example:", ...example.map((line) => `  ${line}`)];
}

/** The flags by group, each with its text in a column beside it. */
export function flagHelp(flags: readonly Flag[]): string[] {
  const column = Math.max(...flags.map((flag) => flag.label.length)) + 4;
  const lines: string[] = [];
  for (const group of new Set(flags.map((flag) => flag.group))) {
    if (lines.length > 0) lines.push("");
    if (group !== undefined) lines.push(`${group}:`);
    for (const flag of flags.filter((flag) => flag.group === group)) {
      const remarks = [flag.default && `default ${flag.default}`, flag.repeatable && "repeatable"].filter(Boolean);
      const text = flag.help + (remarks.length > 0 ? ` (${remarks.join("; ")})` : "");
      lines.push(...beside(`  ${flag.label}`, text, column));
    }
  }
  return lines;
}

function beside(label: string, text: string, column: number): string[] {
  const [first = "", ...more] = wrap(text, " ".repeat(column));
  return [label.padEnd(column) + first.trimStart(), ...more];
}

/** Wraps a text between words. A word that is too long gets its own line. @param indent The beginning of each line. */
function wrap(text: string, indent = ""): string[] {
  const columns = columnsOfTerminal() - indent.length;
  const lines = text.match(new RegExp(`(?! )(?:.{1,${columns}}|\\S+)(?= |$)`, "g"))!;
  return lines.map((line) => indent + line);
}

function columnsOfTerminal(): number {
  try {
    return Math.min(MAX_COLUMNS, Math.max(MIN_COLUMNS, Deno.consoleSize().columns));
  } catch {
    return 80; // there is no terminal
  }
}
