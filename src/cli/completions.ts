import bash from "./completions.bash" with { type: "text" };
import fish from "./completions.fish" with { type: "text" };
import zsh from "./completions.zsh" with { type: "text" };
import { UsageError } from "../base/errors.ts";
import { COMMON, type Flag } from "./flags.ts";
import type { Verb } from "./verb.ts";

/** What a shell needs to know about a verb. */
type VerbWords = ReturnType<typeof wordsOf>;

/** Writes the script of each shell. */
const SCRIPTS: Readonly<Record<string, (verbs: readonly VerbWords[]) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};
const SHELLS = Object.keys(SCRIPTS).join("|");

/** `cless completions`: prints a script for a shell. @param others All other verbs. */
export function completionsOf(others: readonly Verb[]): Verb {
  const completions: Verb = {
    name: "completions",
    summary: "Print a script that lets a shell complete verbs, flags and names of services",
    args: [SHELLS],
    flags: [],
    notes: ["The script asks `cless services` for the names of services, with the same environment variables."],
    example: [
      "source <(cless completions bash)",
      "cless completions zsh > ~/.zfunc/_cless",
      "cless completions fish > ~/.config/fish/completions/cless.fish",
    ],
    run: ({ args: [shell = ""] }) => {
      const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
      if (script === undefined) {
        throw new UsageError(`completions does not know the shell "${shell}": cless completions ${SHELLS}`);
      }
      console.log(script([...others, completions].map(wordsOf)));
      return Promise.resolve();
    },
  };
  return completions;
}

function wordsOf({ name, summary, flags: own, args: [first = ""] = [] }: Verb) {
  const flags = [...own, ...COMMON];
  const spellings = ({ name, short }: Flag) => [`--${name}`, ...(short === undefined ? [] : [`-${short}`])];
  const followedBy = (value: RegExp) => flags.filter((flag) => value.test(flag.value ?? "")).flatMap(spellings);
  return {
    name,
    summary,
    flags,
    /** All flags as they are written on the command line. */
    written: flags.flatMap(({ label, name }) =>
      label.includes("--[no-]") ? [`--${name}`, `--no-${name}`] : [`--${name}`]
    ),
    valued: followedBy(/./),
    files: followedBy(/^FILE$/),
    folders: followedBy(/^DIR$/),
    /** The possible words of the first argument. */
    words: first.includes("|") ? first.replaceAll(/[[\]]/g, "").split("|") : [],
    /** Which arguments are names of services. */
    services: /^(NAME|\[NAME\])$/.test(first) ? "first" : first === "[NAME…]" ? "all" : "none",
  };
}

/** Quotes a text as one word of bash or zsh. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Fills in the script of bash or zsh: the names of the verbs, and the variables for each verb. */
function filled(
  script: string,
  verbs: readonly VerbWords[],
  names: string[],
  variablesOf: (verb: VerbWords) => string[],
) {
  const cases = verbs.flatMap((verb) => [
    `    ${verb.name})`,
    ...[...variablesOf(verb), `services=${verb.services}`, ";;"].map((line) => `      ${line}`),
  ]);
  return script.replace("VERBS", () => names.join(" ")).replace("    # CASES", () => cases.join("\n")).trimEnd();
}

function bashScript(verbs: readonly VerbWords[]): string {
  const names = verbs.map(({ name }) => name);
  return filled(
    bash,
    verbs,
    names,
    ({ written, valued, files, folders, words }) =>
      Object.entries({ flags: written, valued, files, folders, words })
        .map(([variable, list]) => `${variable}=${quoted(list.join(" "))}`),
  );
}

function zshScript(verbs: readonly VerbWords[]): string {
  const described = (name: string, text: string) => quoted(`${name.replaceAll(":", "\\:")}:${text}`);
  const names = verbs.map(({ name, summary }) => described(name, summary));
  return filled(zsh, verbs, names, ({ flags, valued, files, folders, words }) => {
    const texts = flags.map((flag) => described(`--${flag.name}`, flag.help));
    return Object.entries({ flags: texts, valued, files, folders, names: words })
      .map(([variable, list]) => `${variable}=(${list.join(" ")})`);
  });
}

function fishScript(verbs: readonly VerbWords[]): string {
  const quoted = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const flagWords = ({ name, short, value }: Flag, { files, folders }: VerbWords) => {
    const names = `-l ${name}${short === undefined ? "" : ` -s ${short}`}`;
    if (value === undefined) return names;
    if (files.includes(`--${name}`)) return `${names} -r -F`;
    return folders.includes(`--${name}`) ? `${names} -x -a '(__fish_complete_directories)'` : `${names} -x`;
  };
  const linesOf = (verb: VerbWords) => {
    const anywhere = `complete -c cless -n '__cless_verb ${verb.name}'`;
    const first = `complete -c cless -n '__cless_first ${verb.name}'`;
    return [
      ...verb.flags.map((flag) => `${anywhere} ${flagWords(flag, verb)} -d ${quoted(flag.help)}`),
      ...(verb.words.length > 0 ? [`${first} -a ${quoted(verb.words.join(" "))}`] : []),
      ...(verb.services === "first" ? [`${first} -a '(__cless_services)'`] : []),
      ...(verb.services === "all" ? [`${anywhere} -a '(__cless_services)'`] : []),
    ];
  };
  return [
    fish.trimEnd(),
    ...verbs.map(({ name, summary }) => `complete -c cless -n __cless_alone -a ${name} -d ${quoted(summary)}`),
    ...verbs.flatMap(linesOf),
  ].join("\n");
}
