import { messageOf } from "../../base/errors.ts";
import { EXEC_CODE, type ExecEnd } from "../../control/exec/process.ts";

/** The engine's text for a command that it could not start. */
const BEGINNING = /^(OCI runtime exec failed: |unable to find (user|group) )/;

/** Whether a text is what an engine says about a command that it could not start. */
export function isFailedStart(text: string): boolean {
  return BEGINNING.test(text);
}

/** How a command has ended that the engine could not start. @param text What the engine says. */
export function failedStart(text: string): ExecEnd {
  const reason = messageOf(text).replace(/^OCI runtime exec failed: (exec failed: )?/, "")
    .replace(/^unable to start container process: /, "").replace(/: unknown(: |$)/, "$1").replace(/^exec: /, "");
  const isMissing = /executable file not found|no such file or directory/.test(reason);
  // Some engines give 126 for both.
  const code = isMissing ? EXEC_CODE.notFound : EXEC_CODE.notRunnable;
  return { code, problem: `the command cannot be run: ${reason}` };
}
