import { z } from "zod";
import { ClessError } from "../../base/errors.ts";
import { LONGEST_HOSTNAME } from "../ask.ts";
import { operation } from "../operation.ts";

/** `GET /v1/ask`, for the document: it is answered before a token is asked for. */
export const askOperation = operation({
  id: "ask",
  method: "get",
  path: "/v1/ask",
  tag: "about",
  summary: "Whether cless serves a hostname",
  description: "Answered without a token, to programs on this machine only; for a TLS proxy that gets certificates.",
  query: {
    domain: z.string().max(LONGEST_HOSTNAME).meta({
      description: "A hostname, without a port",
      examples: ["shop.example.org"],
    }),
  },
  answers: { 200: { description: "It does", type: "text/plain" } },
  errors: ["invalid", "forbidden", "not_found"],
  run: () => {
    throw new ClessError("not_found", "There is no such resource");
  },
});
