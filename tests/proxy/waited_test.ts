import { assertEquals } from "@std/assert";
import type { RevisionName } from "../../src/model/revision.ts";
import { MOST_LATELY } from "../../src/proxy/pace.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { Harness } from "../support/harness.ts";
import { Origin } from "../support/origin.ts";
import { netTest } from "../support/permissions.ts";
import { requestText } from "../support/raw_client.ts";
import { until } from "../support/until.ts";

netTest("a request that waits for a start is told of with its time, one that finds an instance is not", async () => {
  await using app = Origin.answering();
  const clock = new FakeClock();
  const waits: [service: string, ms: number][] = [];
  const metrics = {
    requested: () => {},
    waited: ({ service }: RevisionName, ms: number) => void waits.push([service, ms]),
  };
  await using cless = Harness.cold({ clock, metrics });
  const asked = cless.ask(requestText());
  const launch = await cless.launcher.nextLaunch();
  await clock.advance(70);
  launch.succeed(app.url);
  assertEquals((await asked).status, 200);
  assertEquals(waits, [["app", 70]]);
  assertEquals((await cless.ask(requestText())).status, 200);
  assertEquals(waits.length, 1);
});

netTest("a request whose start fails is told of by its answer, not by its wait", async () => {
  const waits: string[] = [];
  const answers: (string | number | undefined)[] = [];
  const metrics = {
    requested: (service: string | undefined, _: unknown, status: number) => void answers.push(service, status),
    waited: ({ service }: RevisionName) => void waits.push(service),
  };
  await using cless = Harness.cold({ metrics });
  const asked = cless.ask(requestText());
  (await cless.launcher.nextLaunch()).fail(new Error("no such image"));
  assertEquals((await asked).status, 502);
  assertEquals([waits, answers], [[], ["app", 502]]);
});

netTest(
  "of many requests at once only so many begin; the others wait, whatever takes long, and their time counts",
  async () => {
    await using app = Origin.answering();
    const clock = new FakeClock();
    const times: number[] = [];
    const metrics = {
      requested: (_: unknown, __: unknown, ___: number, ms: number) => void times.push(ms),
      waited() {},
    };
    await using cless = Harness.cold({ clock, metrics });
    const count = MOST_LATELY + 10;
    const asked = Array.from({ length: count }, () => cless.ask(requestText()));
    const launch = await cless.launcher.nextLaunch();
    await until(() => cless.unanswered.pace.waiting === 10);
    assertEquals(cless.unanswered.size, MOST_LATELY); // all of these wait for the start
    await clock.advance(4);
    assertEquals([cless.unanswered.size, cless.unanswered.pace.waiting], [count, 0]);
    launch.succeed(app.url);
    for (const { status } of await Promise.all(asked)) assertEquals(status, 200);
    assertEquals([times.length, new Set(times)], [count, new Set([4])]);
  },
);
