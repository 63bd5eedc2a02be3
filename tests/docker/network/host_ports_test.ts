import { assertEquals, assertThrows } from "@std/assert";
import { HostPorts } from "../../../src/docker/network/host_ports.ts";
import { noNet } from "../../support/permissions.ts";
import { freePorts } from "../free_ports.ts";

/** A range of free ports. */
function freeRange(size: number): { first: number; last: number } {
  const first = freePorts(size);
  return { first, last: first + size - 1 };
}

/** A test that listens on ports of this machine. */
function portTest(name: string, fn: () => void): void {
  Deno.test({ name, ignore: noNet, fn });
}

portTest("ports are handed out in sequence", () => {
  const { first, last } = freeRange(3);
  const ports = new HostPorts({ first, last });
  assertEquals([ports.take(), ports.take()], [first, first + 1]);
  ports.free(first);
  assertEquals([ports.take(), ports.take()], [last, first]);
});

portTest("a port that another program has is passed over, until it is free", () => {
  const { first, last } = freeRange(2);
  const ports = new HostPorts({ first, last });
  {
    using _other = Deno.listen({ hostname: "127.0.0.1", port: first });
    assertEquals(ports.take(), last);
  }
  assertEquals(ports.take(), first);
});

portTest("a port that a container has already is not handed out", () => {
  const { first, last } = freeRange(3);
  const ports = new HostPorts({ first, last });
  ports.occupy(first + 1);
  ports.occupy(last + 1);
  assertEquals([ports.take(), ports.take()], [last, first]);
});

portTest("where every port is in use, by containers or by others, that is said, and what to do", () => {
  const { first, last } = freeRange(3);
  const ports = new HostPorts({ first, last });
  ports.occupy(first);
  const message = "every port of the range is in use; give cless another one with --port-range";
  const others = [first + 1, last].map((port) => Deno.listen({ hostname: "127.0.0.1", port }));
  try {
    for (let n = 0; n < 3; n++) assertThrows(() => ports.take(), RangeError, message);
  } finally {
    for (const other of others) other.close();
  }
  assertEquals([ports.take(), ports.take()].sort(), [first + 1, last]);
  assertThrows(() => ports.take(), RangeError, message);
});
