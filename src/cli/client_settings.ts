import { defaultDataDir, type GivenFlags, type Surroundings, variableOf } from "../base/config.ts";
import { OperatorError, plainMessageOf, UsageError } from "../base/errors.ts";
import type { Flag } from "./flags.ts";

const SERVER = "Server";
/** Where the admin API is that nobody has put elsewhere. */
export const DEFAULT_SERVER = "http://127.0.0.1:1323";

/** The flags of every verb that asks a running cless. */
export const CLIENT_FLAGS: readonly Flag[] = [
  {
    name: "server",
    value: "URL",
    group: SERVER,
    default: DEFAULT_SERVER,
    help: "Where the admin API answers; or CLESS_SERVER",
  },
  {
    name: "token",
    value: "TOKEN",
    group: SERVER,
    help: "What to show it; or CLESS_TOKEN, else the one in the data-dir",
  },
  {
    name: "data-dir",
    value: "DIR",
    group: SERVER,
    default: "/var/lib/cless as root, else the XDG state folder",
    help: "Where serve keeps its token; or CLESS_DATA_DIR",
  },
];

/** A token, and where it is from. */
export interface Token {
  readonly text: string;
  /** The file, if it is from one. */
  readonly file?: string;
}

/** Where the admin API is, and what to show it. */
export interface ClientSettings {
  /** Without a slash at the end. */
  readonly server: string;
  /** Reads the token where it is needed. @throws {OperatorError} When there is none; the message says what to do. */
  readonly token: () => Promise<Token>;
}

/**
 * Works out where the admin API is; a flag wins over its variable.
 *
 * @throws {UsageError} When a value is wrong.
 */
export function readClientSettings(given: GivenFlags, surroundings: Surroundings): ClientSettings {
  const textOf = (flag: string): string | undefined => {
    const onCommandLine = given.get(flag);
    return Array.isArray(onCommandLine) ? onCommandLine[0] : surroundings.env(variableOf(flag))?.trim() || undefined;
  };
  const server = parseServer(textOf("server") ?? DEFAULT_SERVER);
  const token = textOf("token");
  if (token !== undefined) {
    if (!/^[!-~]+$/.test(token)) throw new UsageError("--token: a token has no white space and only ASCII characters");
    return { server, token: () => Promise.resolve({ text: token }) };
  }
  return { server, token: () => readToken(`${textOf("data-dir") ?? defaultDataDir(surroundings)}/admin-token`) };
}

function parseServer(text: string): string {
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username || url.search || url.hash) {
    throw new UsageError(`--server: "${text}" is not allowed: expected a URL such as ${DEFAULT_SERVER}`);
  }
  return url.href.replace(/\/+$/, "");
}

async function readToken(file: string): Promise<Token> {
  try {
    return { text: (await Deno.readTextFile(file)).trim(), file };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new OperatorError(
        `there is no token in ${file}; use sudo if cless runs as root, name its folder with --data-dir, or give a token with --token`,
      );
    }
    const reason = error instanceof Deno.errors.PermissionDenied ? "permission denied" : plainMessageOf(error);
    throw new OperatorError(`cannot read the token in ${file}: ${reason}; use sudo, or give a token with --token`);
  }
}
