import type { Holder } from "../control/access/tokens.ts";
import { ClessError } from "../base/errors.ts";
import type { AdminParts } from "./parts.ts";

/** What is told to everybody who comes without a token. */
export const NO_TOKEN = "The token is missing or wrong";

/**
 * Finds out whose token a request shows.
 *
 * @param peer The address that it came from; too many wrong tokens close the API to more of them for a while.
 * @throws {ClessError} `unauthorized`, `too_many_attempts`
 */
export async function authenticate(
  headers: Headers,
  peer: string,
  { attempts, tokens }: Pick<AdminParts, "attempts" | "tokens">,
): Promise<Holder> {
  const shown = /^Bearer +(\S+)$/i.exec(headers.get("authorization") ?? "")?.[1];
  if (shown === undefined) throw new ClessError("unauthorized", NO_TOKEN);
  const holder = await tokens.check(shown);
  // Nobody guesses a token; but others on an address, or behind its proxy, could keep its owner out.
  if (holder !== undefined) return holder;
  const secondsLeft = attempts.secondsLeft(peer);
  if (secondsLeft !== undefined) {
    const message =
      `Too many wrong tokens came from this address; try again in ${secondsLeft} s, or with the right one`;
    throw new ClessError("too_many_attempts", message, { retryAfterS: secondsLeft });
  }
  attempts.wrong(peer);
  throw new ClessError("unauthorized", NO_TOKEN);
}
