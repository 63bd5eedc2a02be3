import { defaultDataDir, type GivenFlags, type Surroundings, variableOf } from "../base/config.ts";
import { OperatorError, plainMessageOf, UsageError } from "../base/errors.ts";
import { formatEndpoint, isAnyAddress, parseEndpoint } from "../model/host.ts";
import { type Flag, inGroup, readGiven } from "./flags.ts";

/** The default address of the admin API. */
export const DEFAULT_SERVER = "http://127.0.0.1:1323";

/** The flags of verbs that use a running cless. */
export const CLIENT_FLAGS: readonly Flag[] = inGroup("Server", {
  [`--server URL = ${DEFAULT_SERVER}`]:
    "Where the admin API answers; or CLESS_SERVER or CLESS_ADMIN, else where the serve with this data-dir listens",
  "--token TOKEN": "The token to send; or CLESS_TOKEN, else the one in the data-dir",
  "--data-dir DIR = /var/lib/cless as root, else the XDG state folder":
    "Where serve keeps its token; or CLESS_DATA_DIR",
});

/** A token of the admin API. */
export interface Token {
  readonly text: string;
  readonly file?: string;
}

/** The admin API's address, and the token for it. */
export interface ClientSettings {
  /** A URL without a slash at the end. */
  readonly server: string;
  /** Reads the token. @throws {OperatorError} If there is none; the message says what to do. */
  readonly token: () => Promise<Token>;
}

/**
 * Finds the admin API by `--server`, CLESS_SERVER or CLESS_ADMIN, by the file that `serve` writes into the data-dir, or
 * at the default address.
 *
 * @throws {UsageError} If a value is wrong.
 */
export function readClientSettings(given: GivenFlags, surroundings: Surroundings): ClientSettings {
  const textOf = (flag: string): string | undefined => {
    const onCommandLine = given.get(flag);
    return Array.isArray(onCommandLine) ? onCommandLine[0] : surroundings.env(variableOf(flag))?.trim() || undefined;
  };
  const dataDir = () => textOf("data-dir") ?? defaultDataDir(surroundings);
  const named = textOf("server");
  const server = named !== undefined
    ? parseServer(named)
    : adminVariable(surroundings) ?? adminFile(dataDir) ?? DEFAULT_SERVER;
  const token = textOf("token");
  if (token !== undefined && !/^[!-~]+$/.test(token)) {
    throw new UsageError("--token: a token has no white space and only ASCII characters");
  }
  return {
    server,
    token: () => token === undefined ? readToken(`${dataDir()}/admin-token`) : Promise.resolve({ text: token }),
  };
}

function parseServer(text: string): string {
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username || url.search || url.hash) {
    throw new UsageError(`--server: "${text}" is not allowed: expected a URL such as ${DEFAULT_SERVER}`);
  }
  return url.href.replace(/\/+$/, "");
}

/** The server from CLESS_ADMIN, the variable of serve's `--admin`. */
function adminVariable({ env }: Surroundings): string | undefined {
  const name = variableOf("admin");
  const text = env(name)?.trim();
  return text ? readGiven(text, urlOf, `${name}: `) : undefined;
}

/** The server from the file that a listening `serve` writes; `undefined` if it cannot be read. */
function adminFile(dataDir: () => string): string | undefined {
  try {
    return urlOf(Deno.readTextFileSync(`${dataDir()}/admin-address`).trim());
  } catch {
    return undefined;
  }
}

/** The URL of an address that serve listens on; `undefined` for port 0, which means any port. @throws {RangeError} */
function urlOf(address: string): string | undefined {
  const { hostname, port } = parseEndpoint(address);
  const reached = isAnyAddress(hostname) ? hostname.includes(":") ? "::1" : "127.0.0.1" : hostname;
  return port === 0 ? undefined : `http://${formatEndpoint({ hostname: reached, port })}`;
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
