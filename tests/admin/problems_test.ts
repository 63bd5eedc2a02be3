import { assertEquals } from "@std/assert";
import { configureSync, type LogRecord, resetSync } from "@logtape/logtape";
import { problemOf } from "../../src/admin/problems.ts";
import { SecretKeyError, UnreadableSecretError } from "../../src/control/secrets/secret_key.ts";
import { StoreUnavailable } from "../../src/control/store.ts";
import { OperatorError } from "../../src/base/errors.ts";

Deno.test("an error for the operator is shown with its own message", async () => {
  const errors = [
    new StoreUnavailable("the disk is full; make room"),
    new SecretKeyError("version 1 of the secret a was sealed with another key"),
    new UnreadableSecretError("version 1 of the secret a is damaged"),
    new OperatorError("cannot write /data/admin-token: permission denied; the token is as before"),
  ];
  for (const error of errors) {
    const answer = await problemOf(error);
    const { code, detail } = await answer.json();
    assertEquals([answer.status, code, detail], [503, "store_unavailable", error.message]);
  }
});

Deno.test("an unexpected error is logged, unless it is that the client has left", async () => {
  const records: LogRecord[] = [];
  configureSync({
    reset: true,
    sinks: { all: (record) => void records.push(record) },
    loggers: [{ category: ["cless", "admin"], lowestLevel: "debug", sinks: ["all"] }],
  });
  try {
    for (const thrown of [new DOMException("left", "AbortError"), new TypeError("broken")]) {
      assertEquals((await problemOf(thrown)).status, 500);
    }
    assertEquals(records.map(({ properties }) => properties.reason), ["broken"]);
  } finally {
    resetSync();
  }
});
