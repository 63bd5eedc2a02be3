import { ClessError } from "../../base/errors.ts";
import { problem } from "../../http/problem.ts";
import type { RequestHead } from "../../http/request_head.ts";
import { CALLBACK_PATH, FINISH_PATH, isFor, queryOf } from "./addresses.ts";
import { openState, type SignIn, tooLate } from "./authenticator.ts";
import { redirect } from "./pages.ts";

/**
 * The one host to which the provider sends the browsers of all services back. It sends each on to its service, where the
 * sign-in was begun. Only cless can have made the `state` that names the service's address, and the code is of no use
 * without the cookie that the browser has there.
 */
export class CallbackHost {
  readonly #name: string;
  readonly #signIn: Pick<SignIn, "addresses" | "now" | "sealer">;

  constructor(name: string, signIn: Pick<SignIn, "addresses" | "now" | "sealer">) {
    this.#name = name;
    this.#signIn = signIn;
  }

  /** Answers a browser that comes from the provider; returns `undefined` for all other requests. */
  answer(request: Request, head: RequestHead): Promise<Response> | undefined {
    if (head.hostname.name !== this.#name || !isFor(head, CALLBACK_PATH)) return undefined;
    return this.#sendOn(request, head);
  }

  async #sendOn(request: Request, head: RequestHead): Promise<Response> {
    if (head.method !== "GET") {
      const error = new ClessError("method_not_allowed", "This path of cless can only be read", { allow: "GET" });
      return problem(error, request);
    }
    const query = queryOf(head);
    const state = await openState(this.#signIn, query.get("state") ?? "");
    if (state === undefined || !this.#signIn.addresses.has(state.origin)) return tooLate();
    return redirect(`${state.origin}${FINISH_PATH}?${query}`);
  }
}
