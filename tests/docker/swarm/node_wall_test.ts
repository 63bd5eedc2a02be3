import { assertEquals } from "@std/assert";
import { rulesFor } from "../../../src/docker/swarm/node_wall.ts";

/** The rules that drop packets. */
function drops(ports: readonly (readonly [first: number, last: number])[]): string[] {
  const admission = { nodes: [], ports: ports.map(([first, last]) => ({ first, last })) };
  return rulesFor(admission, "IPv4").filter((rule) => rule.endsWith("-j DROP"));
}

Deno.test("nodes are admitted by the rules of their address family, and others neither to this node nor past it", () => {
  const admission = { nodes: ["10.0.0.1", "fd00::1", "10.0.0.2"], ports: [{ first: 20_000, last: 29_999 }] };
  assertEquals(rulesFor(admission, "IPv4"), [
    "-m conntrack --ctdir REPLY -j RETURN",
    "-s 10.0.0.1 -j RETURN",
    "-s 10.0.0.2 -j RETURN",
    "-p tcp -m multiport --dports 20000:29999 -m addrtype --dst-type LOCAL -j DROP",
    "-d 10.0.0.1 -p tcp -m multiport --dports 20000:29999 -j DROP",
    "-d 10.0.0.2 -p tcp -m multiport --dports 20000:29999 -j DROP",
  ]);
  assertEquals(rulesFor(admission, "IPv6"), [
    "-m conntrack --ctdir REPLY -j RETURN",
    "-s fd00::1 -j RETURN",
    "-p tcp -m multiport --dports 20000:29999 -m addrtype --dst-type LOCAL -j DROP",
    "-d fd00::1 -p tcp -m multiport --dports 20000:29999 -j DROP",
  ]);
});

Deno.test("where no ports are published, nothing is dropped", () => {
  assertEquals(drops([]), []);
});

Deno.test("adjacent ports are one range, in whatever order they come", () => {
  assertEquals(drops([[5, 5], [7, 7], [4, 4], [6, 6], [9, 9], [5, 6]]), [
    "-p tcp -m multiport --dports 4:7,9 -m addrtype --dst-type LOCAL -j DROP",
  ]);
});

Deno.test("a rule has at most the 15 numbers that iptables takes", () => {
  const single = Array.from({ length: 14 }, (_, index) => [2 * index + 2, 2 * index + 2] as const);
  const numbers = drops([...single, [100, 200], [300, 300], [302, 302]]).map((rule) =>
    rule.split(" ")[5]!.split(/[,:]/).map(Number)
  );
  assertEquals(numbers, [single.map(([port]) => port), [100, 200, 300, 302]]);
});
