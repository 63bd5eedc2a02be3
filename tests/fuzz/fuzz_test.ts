import { assert, assertEquals } from "@std/assert";
import { Origin } from "../support/origin.ts";
import { netTest } from "../support/permissions.ts";
import { RawClient } from "../support/raw_client.ts";
import type { FuzzCase } from "./fuzz_case.ts";
import { FuzzClient, type Got } from "./fuzz_client.ts";
import { fuzz } from "./fuzzer.ts";
import { read } from "./reading.ts";
import { judge } from "./verdict.ts";

netTest("20,000 mutated answers reach their own clients, or none", async () => {
  const { failures, counts } = await fuzz({ seed: 1, cases: 20_000 });
  assertEquals(failures.join("\n"), "");
  // A fuzzer with only one outcome would show nothing.
  for (const verdict of ["passed", "refused", "cut"]) assert((counts[verdict] ?? 0) > 500, JSON.stringify(counts));
});

Deno.test("the fuzzer reads answers as RFC 9112 says", () => {
  const head = (lines: string) => `HTTP/1.1 200 OK\r\n${lines}\r\n`;
  const none = { body: "", reusable: false };
  assertEquals(read("", "GET"), none);
  assertEquals(read("HTTP/1.1 200 OK\r\n", "GET"), none);
  assertEquals(read(head("content-length: 1\r\ncontent-length: 2\r\n") + "xx", "GET"), none);
  assertEquals(read(head("content-length: 2\r\nX: a\r\n") + "okmore", "GET"), {
    head: { status: 200, headers: [["x", "a"]] },
    body: "ok",
    end: head("content-length: 2\r\nX: a\r\n").length + 2,
    reusable: true,
  });
  const chunked = head("transfer-encoding: chunked\r\n");
  assertEquals(read(`${chunked}2;a\r\nok\r\n0\r\nt: 1\r\n\r\n`, "GET").end, chunked.length + 20);
  assertEquals(read(`${chunked}2\r\nok\r\n0\r\n`, "GET").end, undefined);
  assertEquals(read(`${chunked}5\r\nok`, "GET").body, "ok");
  assertEquals(read(`${head("")}all of it`, "GET").body, "all of it");
  assertEquals(read(`${head("content-length: 5\r\n")}`, "HEAD").end, head("content-length: 5\r\n").length);
});

/** What the fuzzer's client gets from a proxy that sends these bytes and closes the connection. */
async function got(bytes: string): Promise<Got> {
  await using proxy = Origin.serving(async (connection) => {
    await connection.reader.request();
    await connection.send(bytes);
  });
  using client = new FuzzClient({ connect: () => RawClient.connect(Number(new URL(proxy.url).port)) });
  return await client.ask("GET", "/");
}

/** A case without a good answer, so that only a cut connection is right. */
const HOPELESS: FuzzCase = {
  number: 0,
  method: "GET",
  pieces: ["\r"],
  reading: read("\r", "GET"),
  surplus: false,
  closesAfterMs: 0,
};

netTest("a connection that is closed without an answer counts as cut", async () => {
  assertEquals(judge(HOPELESS, await got("")), { verdict: "cut" });
  assertEquals(judge(HOPELESS, await got("HTTP/1.1 200 OK\r\ncontent-le")), { verdict: "cut" });
});

netTest("an ambiguous or malformed answer is wrong, whatever the app has sent", async () => {
  const head = (...lines: string[]) =>
    ["HTTP/1.1 502 x", "cless-error: upstream_failed", ...lines, "", ""].join("\r\n");
  const chunked = head("transfer-encoding: chunked");
  for (
    const [bytes, wrong] of [
      [head("content-length: 2", "content-length: 3") + "ok!", "2 lines of content-length"],
      [head("transfer-encoding: chunked", "transfer-encoding: chunked"), "2 lines of transfer-encoding"],
      [head("transfer-encoding: chunked", "content-length: 2"), "transfer-encoding: chunked, content-length: 2"],
      [head("transfer-encoding: gzip"), "transfer-encoding: gzip, content-length: undefined"],
      [head("content-length: 2, 2") + "ok", "content-length: 2, 2"],
      [`${chunked}ok\r\n`, 'no size of a chunk: "ok\\r\\n"'],
      [`${chunked}2\r\nok!\r\n`, "a chunk does not end where its size says"],
    ] as const
  ) assertEquals(judge(HOPELESS, await got(bytes)), { verdict: "unreadable", wrong }, bytes);
});
