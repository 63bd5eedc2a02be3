import { assertEquals } from "@std/assert";
import { KernelSockets, parseQueues, peerKey } from "../../src/http/client_sockets.ts";
import { netTest, noRun } from "../support/permissions.ts";

Deno.test("the kernel's queues are read from what ss prints, whatever kind of address there is", () => {
  const text = [
    "ESTAB      0 2565120          127.0.0.1:8080          127.0.0.1:51234 ",
    "CLOSE-WAIT 0 7       [::ffff:127.0.0.1]:8080 [::ffff:10.0.0.7]:443   ",
    "ESTAB      0 8                    [::1]:8080          [2001:db8::1]:99",
    "ESTAB      0 9       [fe80::1]%eth0:8080      [fe80::2]%eth0:5   ",
    "",
  ].join("\n");
  assertEquals(
    [...parseQueues(text)],
    [["127.0.0.1 51234", 2565120], ["10.0.0.7 443", 7], ["2001:db8::1 99", 8], ["fe80::2 5", 9]],
  );
  assertEquals(parseQueues(""), new Map());
});

Deno.test("an IPv4 address means the same in an IPv6 socket", () => {
  assertEquals(peerKey("::ffff:127.0.0.1", 80), peerKey("127.0.0.1", "80"));
});

Deno.test("without knowing its own ports, cless asks for no sockets and closes none", async () => {
  assertEquals(await new KernelSockets().queues(), undefined);
  await new KernelSockets().destroy([{ hostname: "127.0.0.1", port: 1 }]);
});

if (!noRun) {
  for (const hostname of ["127.0.0.1", "::"]) {
    netTest(`what a client does not read is seen in the kernel's queue, listening on ${hostname}`, async () => {
      using listener = Deno.listen({ hostname, port: 0 });
      using client = await Deno.connect({ port: listener.addr.port });
      using accepted = await listener.accept();
      const sockets = new KernelSockets();
      sockets.listenOn([listener.addr.port]);
      const { port } = client.localAddr as Deno.NetAddr;
      const before = await sockets.queues();
      if (before === undefined) return; // there is no ss here
      assertEquals(before.get(peerKey("127.0.0.1", port)), 0);
      const writing = accepted.write(new Uint8Array(32 * 1024 * 1024));
      const queues = await sockets.queues();
      assertEquals(queues!.get(peerKey("127.0.0.1", port))! > 0, true);
      accepted.close();
      await writing.catch(() => {});
    });
  }
}
