import { within } from "../../base/async.ts";
import type { Clock } from "../../base/clock.ts";
import { plainMessageOf } from "../../base/errors.ts";
import { logger } from "../../base/log.ts";
import { feed, killGroup } from "../command.ts";
import { readCommandSettings } from "../command_settings.ts";
import { registryOf } from "./image_reference.ts";

const log = logger("images");
/** The key of Docker Hub's login. */
const HUB = "https://index.docker.io/v1/";
/** A program with passwords that says nothing for this long waits for somebody who is not there. */
const HELPER_MS = 5000;
/** What a program with passwords says if it has none for a registry. */
const NOT_FOUND = "credentials not found in native keychain";
/** The user's name if what belongs to it is a token for getting others. */
const TOKEN_USER = "<token>";

/** A login, as the engine takes it: https://docs.docker.com/reference/api/engine/version/v1.45/#section/Authentication */
type Login =
  | { readonly username: string; readonly password: string; readonly serveraddress: string }
  | { readonly identitytoken: string; readonly serveraddress: string };

/**
 * The logins of registries that `docker login` has made: in the docker command's settings, or in a program that keeps
 * passwords. They are looked for anew each time, since one may be made or taken back at any time.
 *
 * https://docs.docker.com/reference/cli/docker/login/
 */
export class RegistryLogins {
  readonly #folder: string | undefined;
  readonly #clock: Clock;

  /** @param folder Has the settings of the docker command; `undefined` if it is not known: then there are no logins. */
  constructor(folder: string | undefined, clock: Clock) {
    this.#folder = folder;
    this.#clock = clock;
  }

  /**
   * The login for an image's registry, as the value of the engine's header `X-Registry-Auth`; `undefined` if there is
   * none, or it cannot be read. Never rejects.
   */
  async headerFor(image: string): Promise<string | undefined> {
    if (this.#folder === undefined) return undefined;
    const server = registryOf(image) ?? HUB;
    try {
      const login = await this.#find(this.#folder, server);
      return login && new TextEncoder().encode(JSON.stringify(login)).toBase64({ alphabet: "base64url" });
    } catch (error) {
      // The platform's message for malformed text shows a part of it.
      const isMalformed = error instanceof SyntaxError || error instanceof TypeError;
      const reason = isMalformed ? "it is malformed" : plainMessageOf(error);
      log.warning("cannot read a registry's login; going on without", { registry: server, reason });
      return undefined;
    }
  }

  async #find(folder: string, server: string): Promise<Login | undefined> {
    const settings = await readCommandSettings(folder);
    const helper = member(settings.get("credhelpers"), server) ?? settings.get("credsstore");
    if (typeof helper === "string" && helper !== "") return await this.#ask(`docker-credential-${helper}`, server);
    const logins = settings.get("auths");
    return loginOf(member(logins, server) ?? loginByUrl(logins, server), server);
  }

  /** Asks a program for a login: https://github.com/docker/docker-credential-helpers#development */
  async #ask(program: string, server: string): Promise<Login | undefined> {
    const child = new Deno.Command(program, {
      ...{ args: ["get"], stdin: "piped", stdout: "piped", stderr: "null" },
      detached: true, // it leads a group then, with what it starts itself
    }).spawn();
    const fed = feed(child.stdin, server);
    const answer = await within(child.output(), this.#clock, HELPER_MS);
    if (answer === undefined) {
      killGroup(child, "SIGKILL");
      await child.status;
      throw new Error(`${program} does not answer`);
    }
    await fed;
    const text = new TextDecoder().decode(answer.stdout).trim();
    if (!answer.success && text === NOT_FOUND) return undefined;
    if (!answer.success) throw new Error(`${program} ended with code ${answer.code}`); // what it says may be secret
    const { Secret, Username } = JSON.parse(text) ?? {};
    return newLogin(Username, Secret, server);
  }
}

/**
 * A login of the settings, which have the name and the password as one text; `undefined` if there is none. @throws
 * {Error} If it is malformed.
 */
function loginOf(entry: unknown, server: string): Login | undefined {
  const token = member(entry, "identitytoken");
  if (typeof token === "string" && token !== "") return newLogin(TOKEN_USER, token, server);
  const auth = member(entry, "auth");
  if (typeof auth !== "string" || auth === "") return undefined;
  const [, username, password] = /^([^:]*):(.*)$/s.exec(new TextDecoder().decode(Uint8Array.fromBase64(auth))) ?? [];
  return newLogin(username, password, server);
}

/** @throws {Error} If a part is missing. */
function newLogin(username: unknown, secret: unknown, serveraddress: string): Login {
  if (typeof username !== "string" || username === "" || typeof secret !== "string" || secret === "") {
    throw new Error("it is not a name with a password");
  }
  return username === TOKEN_USER
    ? { identitytoken: secret, serveraddress }
    : { username, password: secret, serveraddress };
}

/** A login whose key is a URL, as older docker commands wrote it. */
function loginByUrl(logins: unknown, server: string): unknown {
  const key = Object.keys(logins ?? {}).find((key) => key.replace(/^https?:\/\//, "").replace(/\/.*/, "") === server);
  return key === undefined ? undefined : member(logins, key);
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}
