import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { VERBS } from "../../src/cli/verbs.ts";
import { noRead, noRun, noWrite } from "../support/permissions.ts";
import { runMain } from "./run_main.ts";

/** Scripts that make each shell print how it completes its arguments, the last of which is incomplete. */
const SHELLS: Record<string, { flags: string[]; script: string; source: string }> = {
  bash: {
    flags: ["--norc", "-c"],
    source: "source ./script",
    script: `COMP_WORDS=(cless "$@")
COMP_CWORD=$#
_cless cless "\${@: -1}" "\${@: -2:1}"
((\${#COMPREPLY[@]})) && printf '%s\\n' "\${COMPREPLY[@]}"
true`,
  },
  zsh: {
    flags: ["-f", "-c"],
    // The widgets of completion work only inside the line editor.
    source: `compdef() { }
_files() { print -l -- \${(M)\${(f)"$(ls -a)"}:#$words[CURRENT]*} }
_describe() { local -a all=(\${(P)@[-1]}); print -l -- \${(M)\${all%%:*}:#$words[CURRENT]*} }
compadd() { local -a all=(\${@[2,-1]}); [[ $1 == -a ]] && all=(\${(P)2}); print -l -- \${(M)all:#$words[CURRENT]*} }
source ./script`,
    script: "words=(cless $@[1,-1]); CURRENT=$(($# + 1)); (($# )) && words[CURRENT]=$@[-1]; _cless",
  },
  fish: {
    flags: ["--no-config", "-c"],
    source: "source ./script",
    script: `complete -C "cless "(string join ' ' -- $argv) | string replace -r '\\t.*' ''; true`,
  },
};

/** Whether a program is installed. */
async function isThere(program: string): Promise<boolean> {
  if (noRun) return false;
  try {
    return (await new Deno.Command(program, { args: ["-c", "true"], stderr: "null", stdout: "null" }).output()).success;
  } catch {
    return false;
  }
}

for (const [shell, { flags, script, source }] of Object.entries(SHELLS)) {
  // bash is always there; for another shell that is not installed no test is declared.
  if (shell !== "bash" && !await isThere(shell)) continue;
  Deno.test({
    name: `${shell} completes verbs, flags, files and the names of services`,
    ignore: noRun || noWrite || noRead,
    fn: async () => {
      const folder = await Deno.makeTempDir({ prefix: "completions-" });
      try {
        const fake = '#!/bin/sh\n[ "$*" = "services --quiet" ] && printf "shop\\nweb\\nwork\\n"\n';
        await Deno.writeTextFile(`${folder}/cless`, fake, { mode: 0o755 });
        await Deno.writeTextFile(`${folder}/script`, (await runMain("completions", shell)).out);
        await Deno.writeTextFile(`${folder}/file.yaml`, "");
        /** How a line is completed. */
        const complete = async (...words: string[]): Promise<string[]> => {
          const { stdout, stderr, code } = await new Deno.Command(shell, {
            args: [...flags, `${source}\n${script}`, ...(shell === "fish" ? [] : ["test"]), ...words],
            cwd: folder,
            env: { PATH: `${folder}:${Deno.env.get("PATH")}`, HOME: folder },
          }).output();
          const decoder = new TextDecoder();
          assertEquals([code, decoder.decode(stderr)], [0, ""], words.join(" "));
          return decoder.decode(stdout).split("\n").filter((line) => line !== "").sort();
        };
        assertEquals(await complete(""), VERBS.map(({ name }) => name).sort());
        assertEquals(await complete("de"), ["delete", "deploy", "describe"]);
        assertEquals(await complete("deploy", "w"), ["web", "work"]);
        assertEquals(await complete("deploy", "--image", "x", "w"), shell === "fish" ? [] : ["web", "work"]);
        assertEquals(await complete("describe", "web", "w"), []);
        assertEquals(await complete("instances", "web", "s"), ["shop"]);
        assertEquals(await complete("services", "w"), ["web", "work"]);
        assertEquals(await complete("services", "web", ""), []);
        assertEquals(await complete("secret", ""), ["delete", "set"]);
        assertEquals(await complete("completions", "z"), ["zsh"]);
        assertEquals(await complete("deploy", "web", "--start"), ["--start-timeout"]);
        assertEquals(await complete("deploy", "web", "--live"), ["--liveness-every", "--liveness-path"]);
        assertEquals(await complete("serve", "--trusted"), ["--trusted-proxy"]);
        assertEquals(await complete("apply", "--file", "fi"), ["file.yaml"]);
        assertEquals(await complete("apply", "-f", "fi"), ["file.yaml"]);
        assert((await complete("logs", "--")).includes("--follow"));
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

Deno.test("an unknown or missing shell is exit code 2", async () => {
  const shells = "cless completions bash|zsh|fish";
  assertEquals((await runMain("completions")).err, `cless: completions needs bash|zsh|fish: ${shells}`);
  const { code, err } = await runMain("completions", "tcsh");
  assertEquals([code, err], [2, `cless: completions does not know the shell "tcsh": ${shells}`]);
  assertEquals((await runMain("completions", "bash", "x")).code, 2);
  assertStringIncludes((await runMain("completions", "-h")).out, "Usage: cless completions bash|zsh|fish [FLAGS]");
});
