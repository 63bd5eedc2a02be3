import type { DockerCommand } from "../../../src/docker/command.ts";
import type { ClessUnderTest } from "../support/cless_under_test.ts";
import { BenchError } from "../support/errors.ts";

const PATIENCE_MS = 10_000;

/** Pauses the one instance that cless has, and waits until it knows. */
export async function pauseInstance(cless: ClessUnderTest, docker: DockerCommand): Promise<void> {
  const [instance] = await cless.instances();
  if (instance === undefined) throw new BenchError("cless has no instance to pause");
  await docker.run(["pause", instance.id]);
  await untilState(cless, "paused");
}

/** Waits until the first instance that cless has is in a state. */
export async function untilState(cless: ClessUnderTest, state: string): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while ((await cless.instances())[0]?.state !== state) {
    if (performance.now() > end) throw new BenchError("cless does not notice what happens to its container");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
