import { assert, assertEquals } from "@std/assert";
import { configureSync, type LogRecord, resetSync } from "@logtape/logtape";
import { jsonLine } from "../../src/base/log.ts";
import { newAdmin, OWNER } from "./kit.ts";

const HIDDEN = "hidden-value";

Deno.test("no value of a variable or a secret and no token gets into the log, whatever fails", async () => {
  const records: LogRecord[] = [];
  configureSync({
    reset: true,
    sinks: { all: (record) => void records.push(record) },
    loggers: [{ category: [], lowestLevel: "debug", sinks: ["all"] }],
  });
  try {
    const { ask, store, tokens } = await newAdmin({
      dataDir: {
        rotateToken: () => {
          throw new TypeError("broken");
        },
        backup: () => Promise.resolve([]),
      },
    });
    const requests: Parameters<typeof ask>[] = [
      ["PUT", "/v1/services/web", { body: { image: "web", env: { KEY: HIDDEN } } }],
      ["PUT", "/v1/services/web", { body: { image: "web", env: { KEY: HIDDEN }, prot: 1 } }],
      ["PUT", "/v1/services/web", { body: `{"env":{"KEY":"${HIDDEN}"` }],
      ["PUT", "/v1/secrets/x", { body: HIDDEN, headers: { "content-type": "text/plain" } }],
      ["PUT", "/v1/secrets/x", { body: `${HIDDEN}\0`, headers: { "content-type": "text/plain" } }],
      ["POST", "/v1/tokens/rotate"],
      ["GET", "/v1/services/web/revisions/web-00001"],
      ["GET", "/v1/services", { token: `${HIDDEN}` }],
    ];
    for (const request of requests) {
      store.failure = new TypeError("the store is broken");
      await (await ask(...request)).body?.cancel();
    }
    const lines = records.map(jsonLine);
    assertEquals(lines.filter((line) => line.includes("a request of the API has failed")).length, 2);
    for (const line of lines) {
      for (const secret of [HIDDEN, OWNER, ...Object.values(tokens)]) assert(!line.includes(secret), line);
    }
  } finally {
    resetSync();
  }
});
