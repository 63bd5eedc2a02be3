import type { RequestHead } from "../../http/request_head.ts";
import { CALLBACK_PATH, FINISH_PATH, isFor, onlyFor, queryOf } from "./addresses.ts";
import { redirect, tooLate } from "./pages.ts";
import { openState, type SignIn } from "./sign_in.ts";

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

  /**
   * Answers a browser that comes from the provider; returns `undefined` for all other requests. Rejects with a
   * {@linkcode ClessError} `method_not_allowed` for other methods than GET.
   */
  answer(head: RequestHead): Promise<Response> | undefined {
    if (head.hostname.name !== this.#name || !isFor(head, CALLBACK_PATH)) return undefined;
    return this.#sendOn(head);
  }

  async #sendOn(head: RequestHead): Promise<Response> {
    onlyFor(head.method, "GET");
    const query = queryOf(head);
    const state = await openState(this.#signIn, query.get("state") ?? "");
    if (state === undefined || !this.#signIn.addresses.has(state.origin)) return tooLate();
    return redirect(`${state.origin}${FINISH_PATH}?${query}`);
  }
}
