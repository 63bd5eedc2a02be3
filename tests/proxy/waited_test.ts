import { assertEquals } from "@std/assert";
import type { RevisionName } from "../../src/model/revision.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { Harness } from "../support/harness.ts";
import { Origin } from "../support/origin.ts";
import { netTest } from "../support/permissions.ts";
import { requestText } from "../support/raw_client.ts";

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
