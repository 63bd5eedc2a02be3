import { EXEC_CODE, type ExecEnd } from "../../control/exec/process.ts";

/** How engines begin to say why they could not start a command: Docker's, and those of Podman with its runtimes. */
const BEGINNING = /^(OCI runtime exec failed: |unable to find (user|group) |Error: (runc|crun|OCI runtime)\b)/;
/** What they add to the reason. */
const ADDED = [
  /^(OCI runtime exec failed|Error): /,
  /^(runc|crun|OCI runtime error): /,
  /^exec failed: /,
  /^unable to start container process: /,
  /^exec: /,
  /: OCI runtime [\w ]+$/,
  /: unknown(?=: |$)/,
];

/** Whether a text may be what an engine says about a command that it could not start. */
export function isFailedStart(text: string): boolean {
  return BEGINNING.test(text);
}

/** How a command has ended that the engine could not start. @param text What the engine says. */
export function failedStart(text: string): ExecEnd {
  const [line = ""] = text.trim().split(/\s*\n/); // the next lines tell consequences
  const reason = ADDED.reduce((rest, added) => rest.replace(added, ""), line);
  const isMissing = /executable file .*not found|no such file or directory/i.test(reason);
  // Some engines give 126 for both.
  const code = isMissing ? EXEC_CODE.notFound : EXEC_CODE.notRunnable;
  return { code, problem: `the command cannot be run: ${reason}` };
}
