import { type CommandOptions, DockerError } from "./command.ts";

const encoder = new TextEncoder();
/** What the docker command reads as its standard input, under the name of a file. */
const STDIN = "/dev/stdin";
/** The docker command reads lines of less than 64 KiB from a file; this leaves room for the name. */
const LONGEST_IN_FILE = 60 * 1024;
/** Linux passes no longer string to a program, with its name and its end; in bytes. */
const LONGEST = 128 * 1024 - 1;

/**
 * Names that mean something to the docker command itself, to what it starts (ssh, a wrapper's shell), or to the
 * libraries below them. Rather one too many: a name in vain costs something only where a value has more than one line.
 */
const MEANT_FOR_THE_COMMAND = [
  /^(DOCKER|BUILDKIT|BUILDX|MOBY|CONTAINERD?|PODMAN|OTEL|GRPC|XDG|DBUS|BASH|LC|LD|DYLD|MALLOC|GLIBC)_/,
  /^GO(DEBUG|TRACEBACK|MAXPROCS|GC|MEMLIMIT|ROOT|RACE)$/,
  /^SSH_(AUTH_SOCK|ASKPASS.*|SK_.*|PKCS11_HELPER|TTY|CONNECTION|CLIENT)$|^SSL_CERT_(FILE|DIR)$/, // not a key in SSH_KEY
  /^(PATH|HOME|USER|LOGNAME|SHELL|PWD|OLDPWD|ENV|IFS|CDPATH|PS4|SHELLOPTS|TMPDIR|TEMP|TMP|TERM|COLUMNS|LINES)$/,
  /^(LANG|LANGUAGE|TZ|TZDIR|ZONEINFO|LOCPATH|NLSPATH|LOCALDOMAIN|HOSTALIASES|RES_OPTIONS)$/,
  /^(NO_COLOR|CLICOLOR(_FORCE)?|FORCE_COLOR)$|^(.*_)?PROXY$/i,
];

/** How a container's environment gets to the docker command. */
export interface CarriedEnv {
  /** Arguments of `docker run`; there is no value in them. */
  readonly args: readonly string[];
  /** What the command gets beside its arguments. */
  readonly options: Pick<CommandOptions, "env" | "stdin">;
}

/**
 * Finds a way for each variable that shows its value to nobody. Arguments could be read by everybody on the machine,
 * and so could a file by who gets at its folder.
 *
 * What fits on one line goes as an `--env-file` that is the command's standard input: a pipe, of which nothing is left,
 * and the only way that cannot change what the command does. What does not fit there goes by the command's environment
 * and `--env=NAME`. The engine's API would take anything, but it is not always to be had ({@linkcode ContainerMaker}), and
 * what can be given to a container should not depend on that.
 *
 * @throws {DockerError} When there is no way, as {@linkcode envProblem} says.
 */
export function carryEnv(variables: Readonly<Record<string, string>>): CarriedEnv {
  const lines: string[] = [];
  const args: string[] = [];
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(variables)) {
    const problem = envProblem(name, value);
    if (problem !== undefined) throw new DockerError(problem);
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
 * Why a variable cannot be given to a container, without its value; `undefined` where it can. Multi-line values are
 * refused for those names alone that mean something to the docker command.
 */
export function envProblem(name: string, value: string): string | undefined {
  if (!/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name)) return `${JSON.stringify(name)} is no name of an environment variable`;
  if (value.includes("\0")) return `the environment variable ${name} has a NUL in it`;
  if (encoder.encode(`${name}=${value}`).length > LONGEST) return `the environment variable ${name} is too long`;
  if (isMeantForCommand(name) && !fitsOnLine(value)) {
    const limit = `has to be one line of at most ${LONGEST_IN_FILE / 1024} KiB`;
    return `the environment variable ${name} ${limit}, since the docker command has a meaning for that name`;
  }
  return undefined;
}

function isMeantForCommand(name: string): boolean {
  return MEANT_FOR_THE_COMMAND.some((pattern) => pattern.test(name));
}

/** Whether a line of Docker's env-file can hold the value: all up to the line's end is taken as it is. */
function fitsOnLine(value: string): boolean {
  return !/[\r\n\0]/.test(value) && encoder.encode(value).length <= LONGEST_IN_FILE;
}

/** Whether everybody who reads env-files reads the same: Podman takes quotes and spaces at the ends away. */
function isPlain(value: string): boolean {
  return fitsOnLine(value) && !/^[\s"'`]|\s$/.test(value);
}
