import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { build, docker, noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";

const decoder = new TextDecoder();

/** Runs a verb of the command line against a program. */
async function cless(program: Program, ...args: string[]) {
  const { hostname, port } = program.admin;
  const server = ["--server", `http://${hostname}:${port}`, "--data-dir", program.dataDir];
  const { code, stderr, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "main.ts", ...args, ...server],
    stdin: "null",
  }).output();
  return { code, out: decoder.decode(stdout).trim(), err: decoder.decode(stderr).trim() };
}

for (const way of ["socket", "command"]) {
  Deno.test({
    name:
      `a volume that the image's user cannot write to is told by deploy and describe, until that is changed (${way})`,
    ignore: noDocker,
  }, async () => {
    const volume = `e2e-volume-user-${way}`;
    const dockerfile = `FROM python-docker\nUSER 1234\n`;
    await using _image = await build("e2e-volume-user", dockerfile);
    await using _broken = await build("e2e-volume-writer", `${dockerfile}ENTRYPOINT ["touch", "/data/x"]\n`);
    await using _volume = { [Symbol.asyncDispose]: async () => void await docker("volume", "rm", "--force", volume) };
    await using program = await Program.start({ flags: ["--engine-api", way] });
    const mount = ["--volume", `${volume}:/data`];
    const problem = `its user 1234 cannot write to the volume ${volume} at /data, which belongs to 0:0 (mode 755)`;

    const failed = await cless(program, "deploy", "writer", "--image", "e2e-volume-writer", ...mount);
    assertEquals(failed.code, 1);
    assertStringIncludes(failed.err, `; ${problem}`);

    const deployed = await cless(program, "deploy", "app", "--image", "e2e-volume-user", ...mount);
    assertEquals(deployed.code, 0, deployed.err);
    assertStringIncludes(deployed.err, `warning: ${problem}`);
    assertStringIncludes((await cless(program, "describe", "app")).out, `Warnings\n  app-00001: ${problem}`);

    await docker(
      "run",
      "--rm",
      "--user=0",
      "--entrypoint=chown",
      `--volume=${volume}:/v`,
      "python-docker",
      "1234",
      "/v",
    );
    const again = await cless(program, "deploy", "app", "--renew");
    assertEquals([again.code, again.err.includes("cannot write")], [0, false], again.err);
    assert(!(await cless(program, "describe", "app")).out.includes("Warnings"));
  });
}
