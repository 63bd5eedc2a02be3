import { assertEquals, assertRejects } from "@std/assert";
import { dockerTest, type FakeDocker } from "../../support/fake_docker.ts";
import { BenchError } from "../support/errors.ts";
import { STAGES, type Stages, stagesOf } from "./stages.ts";

const BEGAN = Date.parse("2026-01-31T12:00:00Z");

/** An event of the engine, some ms after the beginning. */
function event(type: string, action: string, id: string, attributes: Record<string, string>, ms: number): string {
  const timeNano = (BEGAN + ms) * 1e6;
  return JSON.stringify({ Type: type, Action: action, Actor: { ID: id, Attributes: attributes }, timeNano }) + "\n";
}

const mine = { "cless.owner": "mine" };
const start = event("container", "start", "c1", mine, 200.5);

/** The stages of a start that was answered after 210 ms. */
async function stagesIn(docker: FakeDocker, events: string, created: string): Promise<Stages> {
  await docker.on("events", events);
  await docker.on("container inspect", `${created}\n`);
  return await stagesOf(docker.command, "mine", { began: BEGAN, answered: BEGAN + 210 });
}

function assertStages(stages: Stages, ...expected: number[]): void {
  assertEquals(STAGES.map((stage) => Math.round(stages[stage] * 100) / 100), expected);
}

dockerTest(
  "each stage of a start ends with what the engine has noted, whatever others do meanwhile",
  async (docker) => {
    const events = [
      event("container", "create", "c2", { "cless.owner": "other" }, 10),
      event("container", "create", "c1", mine, 50),
      event("network", "connect", "n1", { container: "c2" }, 60),
      event("network", "connect", "n1", { container: "c1" }, 120.25),
      event("container", "start", "c2", { "cless.owner": "other" }, 130),
      start,
    ];
    assertStages(
      await stagesIn(docker, events.join(""), "2026-01-31T12:00:00.030500001Z"),
      30.5,
      19.5,
      70.25,
      80.25,
      9.5,
    );
  },
);

dockerTest("what was over before a start began took none of its time", async (docker) => {
  assertStages(await stagesIn(docker, start, "2026-01-31T11:59:00Z"), 0, 0, 0, 200.5, 9.5);
});

dockerTest("an event that the engine has forgotten is missed", async (docker) => {
  const events = event("container", "create", "c1", mine, 50) + start;
  await assertRejects(() => stagesIn(docker, events, "2026-01-31T12:00:00.03Z"), BenchError, "has forgotten");
});

dockerTest("no start, or more than one, tells nothing", async (docker) => {
  for (const [events, count] of [["", 0], [start + start, 2]] as const) {
    const { message } = await assertRejects(() => stagesIn(docker, events, "2026-01-31T12:00:00Z"), BenchError);
    assertEquals(message, `${count} containers were started`);
  }
});
