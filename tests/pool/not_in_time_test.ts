import { assertEquals } from "@std/assert";
import { notInTime } from "../../src/pool/not_in_time.ts";
import type { Probed } from "../../src/pool/readiness.ts";
import { newRevision } from "../support/kit.ts";

Deno.test("an app that is not ready in time is told what it did, and what it should do", () => {
  const revision = { ...newRevision(), readinessPath: "/up" };
  const cases: [last: Probed, said: string][] = [
    ["refused", "nothing listens on port 8080 after 30s; the app must listen there on all addresses"],
    [
      "closed",
      "port 8080 closes connections without an answer after 30s; the app must listen there on all addresses, and speak HTTP",
    ],
    ["garbage", "what answers on port 8080 after 30s is no HTTP/1.1; the app must speak it there"],
    ["silent", "no answer on port 8080 within 30s; the app must listen there on all addresses, and answer GET /up"],
    [503, "GET /up on port 8080 still gives 503 after 30s; the app must give a status below 500 there"],
  ];
  for (const [last, said] of cases) assertEquals(notInTime(revision, last), said);
  assertEquals(
    notInTime({ ...revision, startTimeout: 1500 }, "refused"),
    "nothing listens on port 8080 after 1500ms; the app must listen there on all addresses",
  );
});
