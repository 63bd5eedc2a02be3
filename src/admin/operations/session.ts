import { z } from "zod";
import { SCOPES } from "../../control/access/tokens.ts";
import { strict } from "../../control/schema/check.ts";
import { answeredEarlier, tagged } from "../operation.ts";

const operation = tagged("session");

const session = z.strictObject({
  name: z.string().meta({ description: "Of the token" }),
  scope: z.enum(SCOPES),
  csrf: z.string().meta({ description: "The value of the header `cless-csrf`, which all changes need" }),
}).meta({ id: "Session" });

const signIn = strict({ token: z.string().max(1000).meta({ examples: ["cless_…"] }) }).meta({ id: "SignIn" });

/** The operations on a browser's session. */
export function sessionOperations() {
  return [
    operation({
      id: "signIn",
      route: "POST /v1/session",
      summary: "Begin a session with a token",
      description:
        "The answer sets a cookie. All other operations take it in place of the token, with the same rights; " +
        "then all but GET and HEAD need the header `cless-csrf`. The session ends with its token, after 12 hours " +
        "without use, and after 7 days.",
      body: { schema: signIn, example: { token: "cless_…" } },
      answers: { 200: { description: "The session", schema: session, headers: { "Set-Cookie": "The session" } } },
      errors: ["invalid", "unauthorized", "forbidden", "too_large", "unsupported_type", "too_many_attempts"],
      run: answeredEarlier,
    }),
    operation({
      id: "showSession",
      route: "GET /v1/session",
      summary: "Who has signed in with this browser",
      description: "Needs the session's cookie.",
      answers: { 200: { description: "The session", schema: session } },
      errors: ["unauthorized", "forbidden"],
      run: answeredEarlier,
    }),
    operation({
      id: "signOut",
      route: "DELETE /v1/session",
      summary: "End the session of this browser at once",
      description: "Needs the session's cookie, and the header `cless-csrf`.",
      answers: { 204: { description: "It has ended", headers: { "Set-Cookie": "Removes the cookie" } } },
      errors: ["unauthorized", "forbidden"],
      run: answeredEarlier,
    }),
  ];
}
