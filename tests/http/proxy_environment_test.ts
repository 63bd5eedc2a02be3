import { assert, assertEquals } from "@std/assert";
import { FORWARDERS } from "../support/forwarders.ts";
import { Origin } from "../support/origin.ts";
import { noNet, noRun } from "../support/permissions.ts";

const SRC = new URL("../../src/", import.meta.url);
const SUPPORT = new URL("../support/", import.meta.url);
const PROXY = "http://127.0.0.1:9"; // nobody is there

for (const forward of FORWARDERS) {
  Deno.test({
    name: `${forward}: requests go straight to the app, even if the environment names a proxy`,
    ignore: noNet || noRun,
    fn: async () => {
      await using app = Origin.answering();
      const script = `
        import { systemClock } from "${SRC}base/clock.ts";
        import { ExactForwarder } from "${SRC}http/exact/forwarder.ts";
        import { FetchForwarder } from "${SRC}http/fetch_forwarder.ts";
        import { SlowClients } from "${SRC}http/slow_clients.ts";
        import { requestHead } from "${SUPPORT}request_head.ts";
        using forwarder = ${
        forward === "exact" ? "new ExactForwarder(systemClock)" : "new FetchForwarder(new SlowClients(systemClock))"
      };
        for (const method of ["GET", "POST"]) {
          const head = requestHead({ method });
          const answer = await forwarder.forward("${app.url}", head, undefined, new AbortController().signal);
          await answer.text();
          console.log(method, answer.status);
        }
        console.log(Deno.env.get("NO_PROXY"));
      `;
      const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["eval", "--no-lock", script],
        env: { HTTP_PROXY: PROXY, http_proxy: PROXY, ALL_PROXY: PROXY, all_proxy: PROXY, NO_PROXY: "example.org" },
        stdin: "null",
      }).output();
      assert(success, new TextDecoder().decode(stderr));
      assertEquals(new TextDecoder().decode(stdout), "GET 200\nPOST 200\nexample.org\n");
    },
  });
}
