import { assertEquals, assertStringIncludes } from "@std/assert";
import { ClessError } from "../../src/base/errors.ts";
import type { Waking } from "../../src/routing/service.ts";
import { WakeRules } from "../../src/routing/wake_rules.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { Harness } from "../support/harness.ts";
import type { HttpMessage } from "../support/http_message.ts";
import { Origin } from "../support/origin.ts";
import { netTest } from "../support/permissions.ts";
import { requestText } from "../support/raw_client.ts";

const WAKING: Waking = { rules: new WakeRules({ userAgents: ["robot"], paths: ["/up"] }), page: false };
const ROBOT = requestText("GET /", ["user-agent: UptimeRobot/2.0"]);
const PROBE = requestText("GET /up?now");
const PERSON = requestText("GET /", ["user-agent: Firefox"]);

function refusalOf(answer: HttpMessage) {
  const header = (name: string) => answer.headers.find(([one]) => one.toLowerCase() === name)?.[1];
  return [answer.status, header("cless-error"), header("retry-after")];
}

const ASLEEP = [503, "asleep", "60"];

netTest("a client that must not wake a service is told that it is asleep, and other clients wake it", async () => {
  await using origin = Origin.answering();
  await using harness = Harness.cold({ waking: WAKING });
  const { launcher } = harness;
  assertEquals(refusalOf(await harness.ask(ROBOT)), ASLEEP);
  assertEquals(refusalOf(await harness.ask(PROBE)), ASLEEP);
  assertEquals(launcher.calls, []);
  const page = await harness.ask(requestText("GET /", ["user-agent: ROBOT", "accept: text/html"]));
  assertStringIncludes(page.text, "The service is asleep, and this request does not wake it.");
  const woken = harness.ask(PERSON);
  const launch = await launcher.nextLaunch();
  assertEquals(refusalOf(await harness.ask(ROBOT)), ASLEEP); // also while it starts
  launch.succeed(origin.url);
  assertEquals((await woken).status, 200);
  assertEquals([(await harness.ask(ROBOT)).status, (await harness.ask(PROBE)).status], [200, 200]);
  assertEquals(launcher.called("launch").length, 1);
  launcher.pause(harness.instance.id);
  assertEquals(refusalOf(await harness.ask(ROBOT)), ASLEEP);
  assertEquals(launcher.called("resume"), []);
  await harness.idle();
});

netTest("where robots are excepted, none wakes a service by its first request ever, and a person does", async () => {
  const googlebot = requestText("GET /", ["user-agent: Mozilla/5.0 (compatible; Googlebot/2.1)"]);
  await using origin = Origin.answering();
  await using harness = Harness.cold({ origin, undeclared: { exceptRobots: true } });
  for (let n = 0; n < 2; n++) assertEquals(refusalOf(await harness.ask(googlebot)), ASLEEP);
  const unknown = requestText("GET /", [], "", "host: web.localhost");
  assertEquals(refusalOf(await harness.ask(unknown)).slice(0, 2), [404, "unknown_host"]);
  assertEquals(harness.launcher.calls, []);
  assertEquals((await harness.ask(PERSON)).status, 200);
  assertEquals((await harness.ask(googlebot)).status, 200);
  await harness.idle();
});

netTest(
  "a person's first request ever is held where robots are excepted, and each wakes where they are not",
  async () => {
    await using origin = Origin.answering();
    for (const [exceptRobots, headers] of [[true, []], [false, ["user-agent: Googlebot/2.1"]]] as const) {
      await using harness = Harness.cold({ origin, undeclared: { exceptRobots } });
      assertEquals((await harness.ask(requestText("GET /", headers))).status, 200);
      assertEquals(harness.launcher.called("launch").length, 1);
      await harness.idle();
    }
  },
);

netTest("a client that must not wake a service does not keep it awake either", async () => {
  const clock = new FakeClock();
  await using origin = Origin.answering();
  await using harness = await Harness.warm({ waking: WAKING, origin, clock });
  await harness.ask(PERSON);
  await harness.idle();
  const { idleSince, lastUsedAt } = harness.instance;
  await clock.advance(1000);
  await harness.ask(ROBOT);
  await harness.idle();
  assertEquals([harness.instance.idleSince, harness.instance.lastUsedAt], [idleSince, lastUsedAt]);
  await harness.ask(PERSON);
  await harness.idle();
  assertEquals(harness.instance.idleSince, clock.now());
});

netTest("a request that must not wake its service is not sent to another instance when its own ends", async () => {
  await using origin = Origin.serving(async (connection) => {
    await connection.reader.request();
    harness.launcher.end(harness.instance.id);
    await connection.ended();
  });
  await using harness = await Harness.warm({ waking: WAKING, origin });
  assertEquals(refusalOf(await harness.ask(ROBOT)), ASLEEP);
  assertEquals(harness.launcher.called("launch").length, 1);
});

netTest(
  "while the env of a service cannot be read, its requests fail with that error, and later it starts",
  async () => {
    let isBroken = true;
    await using origin = Origin.answering();
    await using harness = Harness.cold({
      origin,
      share: (pool) => ({
        percent: 100,
        get pool() {
          if (isBroken) throw new ClessError("start_failed", "The service could not be started");
          return pool;
        },
        get unmade() {
          return isBroken ? "app-00001" : undefined;
        },
      }),
    });
    for (let n = 0; n < 2; n++) assertEquals(refusalOf(await harness.ask(PERSON)).slice(0, 2), [502, "start_failed"]);
    isBroken = false;
    assertEquals((await harness.ask(PERSON)).status, 200);
    await harness.idle();
  },
);
