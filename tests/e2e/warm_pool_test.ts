import { assertEquals } from "@std/assert";
import { docker, noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";
import { until } from "../support/until.ts";

const WARM = { image: "golang-docker", warmPool: 1 };

/** The containers of a program that were made and not started. */
async function made(program: Program): Promise<string[]> {
  const owner = (await Deno.readTextFile(`${program.dataDir}/owner`)).trim();
  const filters = [`--filter=label=cless.owner=${owner}`, "--filter=status=created"];
  return (await docker("ps", "--all", "--format={{.Names}}", ...filters)).split("\n").filter(Boolean);
}

/** The one container that was made in advance, once there is one. */
async function untilMade(program: Program): Promise<string> {
  let names: string[] = [];
  await until(async () => {
    const [revision] = await program.api("/v1/services/warm/revisions");
    names = revision?.spares === 1 ? await made(program) : [];
    return names.length === 1;
  });
  return names[0]!;
}

/** A program with a service that has one container in advance, and no instance. */
async function startCold(options: Parameters<typeof Program.start>[0] = {}): Promise<Program> {
  const program = await Program.start(options);
  await program.send("PUT", "/v1/services/warm", WARM);
  await program.send("POST", "/v1/services/warm/sleep");
  return program;
}

async function idsOf(program: Program): Promise<unknown[]> {
  return (await program.api("/v1/instances")).map(({ id }) => id);
}

Deno.test(
  { name: "the first request starts what was made in advance, and it is made anew", ignore: noDocker },
  async () => {
    await using program = await startCold();
    const spare = await untilMade(program);
    assertEquals(await idsOf(program), []);
    assertEquals((await program.get("warm")).status, 200);
    assertEquals(await idsOf(program), [spare]);
    const next = await untilMade(program);
    assertEquals((await program.containers()).sort(), [spare, next].sort());
    await program.send("DELETE", "/v1/services/warm");
    assertEquals(await program.containers(), []);
  },
);

Deno.test({ name: "whatever a person does to it, the next request is answered", ignore: noDocker }, async (t) => {
  await using program = await startCold();
  for (const [verb, ...more] of [["rm"], ["start"], ["rename"]] as const) {
    await t.step(`docker ${verb}`, async () => {
      const spare = await untilMade(program);
      await docker(verb, ...more, spare, ...(verb === "rename" ? [`${spare}-other`] : []));
      assertEquals((await program.get("warm")).status, 200);
      await program.send("POST", "/v1/services/warm/sleep");
    });
  }
  await t.step("docker network rm", async () => {
    await untilMade(program);
    const owner = (await Deno.readTextFile(`${program.dataDir}/owner`)).trim();
    await docker("network", "rm", `cless-${owner}`);
    assertEquals((await program.get("warm")).status, 200);
  });
});

Deno.test({ name: "a new revision has its own, with its own variables", ignore: noDocker }, async () => {
  await using program = await startCold();
  const set = (value: string) => program.send("PUT", "/v1/secrets/greeting", value, { "content-type": "text/plain" });
  const old = await untilMade(program);
  for (const value of ["first", "second"]) {
    await set(value);
    await program.send("PUT", "/v1/services/warm", { ...WARM, secretEnv: { GREETING: "greeting" } });
    const spare = await untilMade(program);
    const { Env } = JSON.parse(await docker("inspect", "--format={{json .Config}}", spare));
    assertEquals(Env.filter((one: string) => one.startsWith("GREETING=")), [`GREETING=${value}`]);
    await program.send("POST", "/v1/services/warm/sleep");
    assertEquals((await program.get("warm")).text, `${value} from Go at warm.localhost\n`);
    await untilMade(program);
  }
  assertEquals((await program.containers()).includes(old), false);
});

Deno.test({ name: "none is left at the end, and those of a killed cless go", ignore: noDocker }, async () => {
  await using killed = await startCold();
  const { dataDir } = killed;
  const stale = await untilMade(killed);
  await killed.get("warm");
  await untilMade(killed);
  await killed.end("SIGKILL");
  const program = await Program.start({ dataDir, flags: ["--on-exit", "keep"] });
  await untilMade(program);
  assertEquals(await idsOf(program), [stale]); // which runs, and was taken over
  const before = await made(program);
  assertEquals(await program.end(), 0);
  assertEquals([before.length, await made(program), await program.containers()], [1, [], [stale]]);
  const last = await Program.start({ dataDir });
  await untilMade(last);
  assertEquals(await last.end(), 0);
  assertEquals(await last.containers(), []);
});
