import type { Revision } from "../model/revision.ts";
import { messageOf } from "../base/errors.ts";
import { EngineError } from "./engine_error.ts";

const encoder = new TextEncoder();
/** The docker command's standard input as a file name. */
const STDIN = "/dev/stdin";
/** The docker command's limit for a line of an env-file is 64 KiB. This leaves room for the name. */
const MAX_FILE_BYTES = 60 * 1024;
/** Linux's limit for one variable, including its name and final NUL. */
const MAX_BYTES = 128 * 1024 - 1;
/** A shorter text is not redacted: it is hardly a secret, and would occur in messages by chance. */
const MIN_SECRET_LENGTH = 8;
const REDACTED = "***";

/**
 * Names that have a meaning for the docker command, for what it starts (ssh, a wrapper's shell), or for their
 * libraries. If this list has a name too many, that does little harm: only multi-line and very long values are
 * refused for it.
 */
const MEANT_FOR_THE_COMMAND = [
  /^(DOCKER|BUILDKIT|BUILDX|MOBY|CONTAINERD?|PODMAN|OTEL|GRPC|XDG|DBUS|BASH|LC|LD|DYLD|MALLOC|GLIBC)_/,
  /^GO(DEBUG|TRACEBACK|MAXPROCS|GC|MEMLIMIT|ROOT|RACE)$/,
  // Not every name with SSH_: SSH_KEY, for example, may give an app a key of several lines.
  /^SSH_(AUTH_SOCK|ASKPASS.*|SK_.*|PKCS11_HELPER|TTY|CONNECTION|CLIENT)$|^SSL_CERT_(FILE|DIR)$/,
  /^(PATH|HOME|USER|LOGNAME|SHELL|PWD|OLDPWD|ENV|IFS|CDPATH|PS4|SHELLOPTS|TMPDIR|TEMP|TMP|TERM|COLUMNS|LINES)$/,
  /^(LANG|LANGUAGE|TZ|TZDIR|ZONEINFO|LOCPATH|NLSPATH|LOCALDOMAIN|HOSTALIASES|RES_OPTIONS)$/,
  /^(NO_COLOR|CLICOLOR(_FORCE)?|FORCE_COLOR)$|^(.*_)?PROXY$/i,
];

/** A container's environment, ready for the docker command. */
export interface CarriedEnv {
  /** Arguments of `docker run`, without any value. */
  readonly args: readonly string[];
  readonly options: { readonly env: Readonly<Record<string, string>>; readonly stdin?: string };
}

/**
 * Passes a container's environment to the docker command without showing the values to anybody else. Arguments would be
 * readable by everybody on the machine, and a file by everybody with access to its folder.
 *
 * Most values go through an `--env-file` that is the command's standard input: a pipe leaves nothing behind, and its
 * content cannot change what the command does. The others go through the command's own environment and `--env=NAME`:
 * multi-line and very long values, which do not fit into such a file, and values from which Podman would remove quotes
 * or spaces at the ends. But a variable whose name has a meaning for the command always goes through the file.
 *
 * @throws {EngineError} `refused` for the reasons of {@linkcode envProblem}.
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
 * Why a container cannot get a variable; `undefined` if it can. The text does not contain the value. If a name has a
 * meaning for the docker command, multi-line values and those of more than 60 KiB are refused. The rule also applies
 * with the engine's socket, so that a service works the same in both cases.
 */
export function envProblem(name: string, value: string): string | undefined {
  if (!/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name)) {
    return `${JSON.stringify(name)} is not a valid name of an environment variable`;
  }
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

/** Whether a line of Docker's env-file can hold the value. Docker takes everything up to the line's end unchanged. */
function fitsOnLine(value: string): boolean {
  return !/[\r\n\0]/.test(value) && encoder.encode(value).length <= MAX_FILE_BYTES;
}

/** Whether Podman reads the same value from an env-file: it removes quotes, and spaces at the ends. */
function isPlain(value: string): boolean {
  return fitsOnLine(value) && !/^[\s"'`]|\s$/.test(value);
}

/**
 * Redacts the error of a failed start: puts `***` in place of what may be secret. That is the values of the
 * environment, and the command's arguments, which the engine repeats when the program is missing. The program's name
 * and plain file paths stay, since the messages are about them.
 */
export function redactError(error: unknown, { command, env }: Pick<Revision, "command" | "env">): unknown {
  if (!(error instanceof EngineError)) return error;
  const [program = "", ...words] = command;
  const secrets = [/(?<=\s)\S.*$/s.exec(program)?.[0] ?? "", ...words, ...Object.values(env)]
    .flatMap((text) => [text, messageOf(text), quoted(text)])
    .filter((text) => text.length >= MIN_SECRET_LENGTH && !/^\/[\w./-]*$/.test(text))
    .sort((a, b) => b.length - a.length); // the longest first, since one may be part of another
  const said = messageOf(error);
  const message = secrets.reduce((message, secret) => message.replaceAll(secret, REDACTED), said);
  return message === said ? error : new EngineError(error.kind, message);
}

/** Quotes a text like Go, the engine's language. */
function quoted(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
