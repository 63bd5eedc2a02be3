import { assert, assertEquals } from "@std/assert";
import { portHolder } from "../../src/cli/port_holder.ts";
import { noNet, noRun } from "../support/permissions.ts";

const ignore = noNet || noRun;

Deno.test({
  name: "the program that listens on a port is named, where the machine tells",
  ignore,
  fn: async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const holder = await portHolder(listener.addr.port);
    assert(holder === undefined || holder === `deno (pid ${Deno.pid})`, holder);
  },
});

Deno.test({
  name: "a port that nobody listens on has no holder",
  ignore,
  fn: async () => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    listener.close();
    assertEquals(await portHolder(port), undefined);
  },
});
