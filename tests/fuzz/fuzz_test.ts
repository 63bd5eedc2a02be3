import { assert, assertEquals } from "@std/assert";
import { netTest } from "../support/permissions.ts";
import { fuzz } from "./fuzzer.ts";
import { read } from "./reading.ts";

netTest("20,000 mutated answers reach those they are for, or nobody", async () => {
  const { failures, counts } = await fuzz({ seed: 1, cases: 20_000 });
  assertEquals(failures.join("\n"), "");
  // A fuzzer that only ever saw one outcome would show nothing.
  for (const verdict of ["passed", "refused", "cut"]) assert((counts[verdict] ?? 0) > 500, JSON.stringify(counts));
});

Deno.test("the fuzzer's own reading of answers is that of RFC 9112", () => {
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
