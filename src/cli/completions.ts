import { UsageError } from "../base/errors.ts";
import { bashScript } from "./completions/bash.ts";
import { fishScript } from "./completions/fish.ts";
import { zshScript } from "./completions/zsh.ts";
import { parseFlags } from "./flags.ts";
import { verbHelp } from "./help.ts";
import type { Verb } from "./verb.ts";

const SCRIPTS: Readonly<Record<string, (verbs: readonly Verb[]) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

const TEXT = {
  name: "completions",
  group: "Keep",
  summary: "Print what lets a shell complete verbs, flags and names of services",
};

/**
 * `cless completions`: prints a script for a shell.
 *
 * @param verbs All verbs, this one too.
 */
export function completions(verbs: () => readonly Verb[]): Verb {
  const shells = Object.keys(SCRIPTS);
  return {
    ...TEXT,
    usage: shells.join("|"),
    flags: [],
    words: shells,
    run: (args) => {
      const { given, rest: [shell, surplus] } = parseFlags(args, []);
      if (given.get("help") === true) {
        console.log(verbHelp({
          ...TEXT,
          args: [shells.join("|")],
          flags: [],
          notes: ["Names of services are asked for as `cless services` does, with the same variables."],
          example: [
            "source <(cless completions bash)",
            "cless completions zsh > ~/.zfunc/_cless",
            "cless completions fish > ~/.config/fish/completions/cless.fish",
          ],
        }));
        return Promise.resolve(0);
      }
      const script = shell !== undefined && Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
      if (script === undefined) {
        const what = shell === undefined ? "needs a shell" : `does not know the shell "${shell}"`;
        throw new UsageError(`completions ${what}: cless completions ${shells.join("|")}`);
      }
      if (surplus !== undefined) {
        throw new UsageError(`completions takes no argument "${surplus}"; see cless completions --help`);
      }
      console.log(script(verbs()));
      return Promise.resolve(0);
    },
  };
}
