import { assertEquals } from "@std/assert";
import { Connection } from "../../../src/http/exact/connection.ts";

const KB = 1024;

/** A connection on which nothing ever arrives. */
function newConnection(): Connection {
  const tcp = { setNoDelay: () => {}, read: () => new Promise(() => {}), close: () => {} };
  return new Connection(tcp as unknown as Deno.TcpConn);
}

Deno.test("a connection keeps the memory of a large response only until it is idle", () => {
  const connection = newConnection();
  const usual = connection.incoming.length;
  connection.makeRoom(usual, 1000 * KB);
  assertEquals(connection.incoming.length > 1000 * KB, true);
  connection.becomeIdle(0);
  assertEquals(connection.incoming.length, usual);
});

Deno.test("there is always room for a byte more than is expected", () => {
  const connection = newConnection();
  const usual = connection.incoming.length;
  for (const expected of [usual - 1, usual, usual + 1, 100 * KB]) {
    const room = connection.makeRoom(100, expected);
    assertEquals(room.length > expected - 100, true, `${expected}`);
  }
});

Deno.test("the bytes that have arrived stay when room is made", () => {
  const connection = newConnection();
  connection.incoming.set([1, 2, 3]);
  connection.makeRoom(3, 100 * KB);
  assertEquals([...connection.incoming.subarray(0, 3)], [1, 2, 3]);
});
