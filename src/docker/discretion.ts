import type { Revision } from "../model/revision.ts";
import { messageOf } from "../base/errors.ts";
import { DockerError } from "./command.ts";

/** A shorter text is no secret, and stands in many a message by chance. */
const SHORTEST = 8;
const HIDDEN = "***";

/**
 * The error of a start without what an operator may have meant for the app alone: values of the environment, and the
 * command but for the name of its program, which the engine repeats where there is none. What is nothing but a path of
 * files stays: messages are about those.
 */
export function discreetError(error: unknown, { command, env }: Pick<Revision, "command" | "env">): unknown {
  if (!(error instanceof DockerError)) return error;
  const [program = "", ...words] = command;
  const secrets = [/(?<=\s)\S.*$/s.exec(program)?.[0] ?? "", ...words, ...Object.values(env)]
    .flatMap((text) => [text, onOneLine(text), quoted(text)])
    .filter((text) => text.length >= SHORTEST && !/^\/[\w./-]*$/.test(text))
    .sort((a, b) => b.length - a.length); // one may be a part of another
  const said = messageOf(error);
  const message = secrets.reduce((message, secret) => message.replaceAll(secret, HIDDEN), said);
  return message === said ? error : new DockerError(message);
}

/** As {@linkcode messageOf} writes it. */
function onOneLine(text: string): string {
  return text.trim().replaceAll(/\s*\n\s*/g, "; ");
}

/** As the engine, which is written in Go, quotes it. */
function quoted(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
