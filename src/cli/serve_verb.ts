import { SERVE_FLAGS } from "./serve_flags.ts";
import type { Verb } from "./verb.ts";

/** `cless serve`. All that serves is loaded when it is run: no other verb needs it, and it needs none of theirs. */
export const serveVerb: Verb = {
  name: "serve",
  group: "Run",
  summary: "Serve requests, until it is told to stop",
  usage: "",
  flags: SERVE_FLAGS,
  run: async (args) => {
    const { serve } = await import("./serve.ts");
    return await serve(args);
  },
};
