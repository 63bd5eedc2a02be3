import { assert, assertEquals } from "@std/assert";
import { build, noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";
import { LIVE_APP } from "./live_app.ts";
import { until } from "../support/until.ts";
import { Load } from "./load.ts";

const LEAST_REQUESTS = 10_000;
const SLOW_LINES = 200;

Deno.test({
  name:
    "changes under load: of at least 10,000 requests none fails, whatever is deployed, split, rolled back or rebuilt",
  ignore: noDocker,
}, async () => {
  await using _live = await build("e2e-live-docker", LIVE_APP);
  await using _first = await build("e2e-found-docker", `${LIVE_APP}\nENV GREETING=found-1`);
  await using program = await Program.start({ logLevel: "info" });
  const ok = async (method: string, path: string, body?: unknown) => {
    const { status, text } = await program.send(method, `/v1/services/live${path}`, body);
    assert(status === 200 || status === 201, `${method} ${path}: ${status} ${text}`);
  };
  const deploy = (greeting: string, more = {}) =>
    ok("PUT", "", { image: "e2e-live-docker", env: { GREETING: greeting }, ...more });

  await deploy("one", { domains: ["localhost"] });
  await program.get("live");
  await program.get("e2e-found");
  const load = new Load();
  for (const fresh of [false, false, true]) {
    load.begin(program, "live", fresh);
    load.begin(program, "e2e-found", fresh);
  }
  load.beginWebSocket(program);
  const download = program.get("live", "/slow");

  const meets = (answer: string) => until(() => (load.answers.get(answer) ?? 0) > 50);
  await meets("one");
  await deploy("two");
  await meets("two");
  await ok("PUT", "/traffic", [{ revision: "live-00001", percent: 50 }, { revision: "latest", percent: 50 }]);
  const ones = load.answers.get("one")!;
  await until(() => load.answers.get("one")! > ones + 50);
  await ok("POST", "/rollback");
  await using _second = await build("e2e-found-docker", `${LIVE_APP}\nENV GREETING=found-2`);
  await meets("found-2");
  await deploy("three", { traffic: 10, tag: "next" });
  await meets("three");
  await ok("PUT", "/traffic", [{ revision: "latest", percent: 100 }]);
  await deploy("four");
  await meets("four");
  await program.send("PUT", "/v1/services/e2e-found", { image: "e2e-live-docker", env: { GREETING: "declared" } });
  await meets("declared");

  const { status, text } = await download;
  await until(() => load.requests >= LEAST_REQUESTS);
  await load.stop();
  assertEquals([status, text], [200, "one\n".repeat(SLOW_LINES)]);
  assertEquals(load.failures, []);
  const answers = [...load.answers].map(([answer, count]) => `${answer} ${count}`).join(", ");
  console.log(`changes under load: ${load.requests} requests, ${load.failures.length} failed (${answers})`);
});
