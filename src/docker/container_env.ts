import type { Revision } from "../model/revision.ts";
import { messageOf } from "../base/errors.ts";
import { EngineError } from "./engine_error.ts";

const encoder = new TextEncoder();
/** The docker command's standard input, as the name of a file. */
const STDIN = "/dev/stdin";
/** The docker command reads lines of less than 64 KiB from a file; this leaves room for the name. */
const MAX_FILE_BYTES = 60 * 1024;
/** Linux passes no longer string to a program, name and end included. */
const MAX_BYTES = 128 * 1024 - 1;
/** A shorter text is no secret, and stands in many messages by chance. */
const MIN_SECRET_LENGTH = 8;
const REDACTED = "***";

/**
 * Names with a meaning for the docker command itself, for what it starts (ssh, a wrapper's shell), or for the libraries
 * below them. A name too many does little harm: it matters only for values of more than one line.
 */
const MEANT_FOR_THE_COMMAND = [
  /^(DOCKER|BUILDKIT|BUILDX|MOBY|CONTAINERD?|PODMAN|OTEL|GRPC|XDG|DBUS|BASH|LC|LD|DYLD|MALLOC|GLIBC)_/,
  /^GO(DEBUG|TRACEBACK|MAXPROCS|GC|MEMLIMIT|ROOT|RACE)$/,
  /^SSH_(AUTH_SOCK|ASKPASS.*|SK_.*|PKCS11_HELPER|TTY|CONNECTION|CLIENT)$|^SSL_CERT_(FILE|DIR)$/, // not a key in SSH_KEY
  /^(PATH|HOME|USER|LOGNAME|SHELL|PWD|OLDPWD|ENV|IFS|CDPATH|PS4|SHELLOPTS|TMPDIR|TEMP|TMP|TERM|COLUMNS|LINES)$/,
  /^(LANG|LANGUAGE|TZ|TZDIR|ZONEINFO|LOCPATH|NLSPATH|LOCALDOMAIN|HOSTALIASES|RES_OPTIONS)$/,
  /^(NO_COLOR|CLICOLOR(_FORCE)?|FORCE_COLOR)$|^(.*_)?PROXY$/i,
];

/** A container's environment, ready for the docker command. */
export interface CarriedEnv {
  /** Arguments of `docker run`, without any value. */
  readonly args: readonly string[];
  /** What the command gets beside its arguments. */
  readonly options: { readonly env: Readonly<Record<string, string>>; readonly stdin?: string };
}

/**
 * Hands a container's environment to the docker command so that nobody else sees the values. Everybody on the machine could
 * read them in arguments, and whoever may read its folder in a file.
 *
 * Values that fit on one line go as an `--env-file` that is the command's standard input: a pipe leaves nothing behind, and
 * cannot change what the command does. Other values go by the command's own environment and `--env=NAME`.
 *
 * @throws {EngineError} `refused` when there is no way, as {@linkcode envProblem} says.
 */
export function carryEnv(variables: Readonly<Record<string, string>>): CarriedEnv {
  const lines: string[] = [];
  const args: string[] = [];
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(variables)) {
    const problem = envProblem(name, value);
    if (problem !== undefined) throw new EngineError("refused", problem);
    if (isPlain(value) || (fitsOnLine(value) && isMeantForCommand(name))) lines.push(`${name}=${value}\n`);
    else {
      args.push(`--env=${name}`);
      env[name] = value;
    }
  }
  if (lines.length === 0) return { args, options: { env } };
  return { args: [`--env-file=${STDIN}`, ...args], options: { env, stdin: lines.join("") } };
}

/**
 * Why a variable cannot be given to a container, without its value; `undefined` if it can. Multi-line values are refused
 * for names with a meaning for the docker command; the rule is the same where the engine is asked over its socket, so that
 * a service does not depend on that.
 */
export function envProblem(name: string, value: string): string | undefined {
  if (!/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name)) return `${JSON.stringify(name)} is no name of an environment variable`;
  if (value.includes("\0")) return `the environment variable ${name} has a NUL in it`;
  if (encoder.encode(`${name}=${value}`).length > MAX_BYTES) return `the environment variable ${name} is too long`;
  if (isMeantForCommand(name) && !fitsOnLine(value)) {
    const limit = `has to be one line of at most ${MAX_FILE_BYTES / 1024} KiB`;
    return `the environment variable ${name} ${limit}, since the docker command has a meaning for that name`;
  }
  return undefined;
}

function isMeantForCommand(name: string): boolean {
  return MEANT_FOR_THE_COMMAND.some((pattern) => pattern.test(name));
}

/** Whether a line of Docker's env-file can hold the value: everything up to the line's end is taken as it is. */
function fitsOnLine(value: string): boolean {
  return !/[\r\n\0]/.test(value) && encoder.encode(value).length <= MAX_FILE_BYTES;
}

/** Whether every reader of env-files reads the same value: Podman removes quotes and spaces at the ends. */
function isPlain(value: string): boolean {
  return fitsOnLine(value) && !/^[\s"'`]|\s$/.test(value);
}

/**
 * The error of a start without what an operator may have meant for the app alone: values of the environment, and the
 * command's arguments, which the engine repeats when the program is missing. The program's name and plain paths of files
 * stay, since messages are about them.
 */
export function redactError(error: unknown, { command, env }: Pick<Revision, "command" | "env">): unknown {
  if (!(error instanceof EngineError)) return error;
  const [program = "", ...words] = command;
  const secrets = [/(?<=\s)\S.*$/s.exec(program)?.[0] ?? "", ...words, ...Object.values(env)]
    .flatMap((text) => [text, messageOf(text), quoted(text)])
    .filter((text) => text.length >= MIN_SECRET_LENGTH && !/^\/[\w./-]*$/.test(text))
    .sort((a, b) => b.length - a.length); // one may be part of another
  const said = messageOf(error);
  const message = secrets.reduce((message, secret) => message.replaceAll(secret, REDACTED), said);
  return message === said ? error : new EngineError(error.kind, message);
}

/** As the engine, which is written in Go, quotes a text. */
function quoted(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
