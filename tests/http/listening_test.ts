import { assertEquals, assertThrows } from "@std/assert";
import { type Config, readConfig } from "../../src/base/config.ts";
import { checkNewAddresses, withPorts } from "../../src/http/listening.ts";
import { ListenError } from "../../src/http/server.ts";
import { noNet } from "../support/permissions.ts";

/** The settings of a process that listens at these addresses. */
function listeningAt(admin: string, ...listen: string[]): Config {
  const surroundings = { env: () => undefined, variables: () => [], root: true, terminal: false, memory: () => 8e9 };
  return readConfig(new Map([["admin", [admin]], ["listen", listen]]), surroundings);
}

Deno.test("a successor listens on the ports that the system chose for its predecessor, each once", () => {
  const given = { hostname: "127.0.0.1", port: 0 };
  const at = (port: number) => ({ ...given, port });
  const listening = [4001, 4002, 4003].map((port) => ({ given, actual: at(port) }));
  const { admin, listen } = withPorts(
    listeningAt("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:80", "127.0.0.1:0"),
    [{ given: at(80), actual: at(80) }, ...listening],
  );
  assertEquals([...listen, admin].map(({ port }) => port), [4001, 80, 4002, 4003]);
  assertEquals(withPorts(listeningAt("127.0.0.1:0", "0.0.0.0:0"), listening).listen, [{
    hostname: "0.0.0.0",
    port: 0,
  }]);
  assertEquals(withPorts(listeningAt("127.0.0.1:0", "127.0.0.1:0")).admin, given);
});

Deno.test({
  name: "an address that another program than the predecessor has taken is refused before anything changes",
  ignore: noNet,
  fn() {
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const actual = { hostname: "127.0.0.1", port: (taken.addr as Deno.NetAddr).port };
    const config = listeningAt("127.0.0.1:0", `127.0.0.1:${actual.port}`);
    assertThrows(() => checkNewAddresses(config, []), ListenError);
    checkNewAddresses(config, [{ given: actual, actual }]);
    taken.close();
    checkNewAddresses(config, []);
    Deno.listen(actual).close(); // it was only tried
  },
});
