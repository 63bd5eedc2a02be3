import type { Flag } from "../flags.ts";
import type { Verb } from "../verb.ts";
import { type VerbWords, wordsOf } from "./words.ts";

/** A script that makes fish complete the command line of cless. */
export function fishScript(verbs: readonly Verb[]): string {
  const all = wordsOf(verbs);
  return [
    "# Completions of cless for fish. To load them: cless completions fish | source",
    "function __cless_services",
    "  cless services --quiet 2>/dev/null",
    "end",
    "function __cless_alone",
    "  test (count (commandline -opc)) -eq 1",
    "end",
    "function __cless_verb",
    "  set -l words (commandline -opc)",
    '  test (count $words) -ge 2; and test "$words[2]" = "$argv[1]"',
    "end",
    "function __cless_first",
    "  test (count (commandline -opc)) -eq 2; and __cless_verb $argv",
    "end",
    "complete -c cless -f",
    ...all.map(({ name, summary }) => `complete -c cless -n __cless_alone -a ${name} -d ${quoted(summary)}`),
    ...all.flatMap(linesOf),
  ].join("\n");
}

function linesOf(verb: VerbWords): string[] {
  const condition = `complete -c cless -n '__cless_verb ${verb.name}'`;
  const first = `complete -c cless -n '__cless_first ${verb.name}'`;
  return [
    ...verb.flags.map((flag) => `${condition} ${flagWords(flag, verb)} -d ${quoted(flag.help)}`),
    ...(verb.words.length > 0 ? [`${first} -a ${quoted(verb.words.join(" "))}`] : []),
    ...(verb.services === "first" ? [`${first} -a '(__cless_services)'`] : []),
    ...(verb.services === "all" ? [`${condition} -a '(__cless_services)'`] : []),
  ];
}

function flagWords({ name, short, value }: Flag, { files, folders }: VerbWords): string {
  const names = `-l ${name}${short === undefined ? "" : ` -s ${short}`}`;
  if (value === undefined) return names;
  if (files.includes(`--${name}`)) return `${names} -r -F`;
  return folders.includes(`--${name}`) ? `${names} -x -a '(__fish_complete_directories)'` : `${names} -x`;
}

/** A text as one word of fish. */
function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
