import { assertEquals, assertMatch } from "@std/assert";
import { runProcess } from "../cli/run_main.ts";
import { noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";
import { until } from "../support/until.ts";

// Engines other than the machine's own Docker: Podman, where it is installed, and those whose sockets are listed in
// CLESS_TEST_ENGINES, such as that of a rootless Docker. They get the sample image from the machine's Docker.

const decoder = new TextDecoder();

/** Runs a shell script, and returns what it prints. */
async function shell(script: string, env: Record<string, string> = {}): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("sh", { args: ["-ec", script], env, stdin: "null" })
    .output();
  if (!success) throw new Error(decoder.decode(stderr));
  return decoder.decode(stdout).trim();
}

/** Podman's service on a socket and in folders of its own. */
class Podman implements AsyncDisposable {
  readonly socket: string;
  readonly #folder: string;
  readonly #child: Deno.ChildProcess;

  private constructor(folder: string) {
    this.#folder = folder;
    this.socket = `${folder}/podman.sock`;
    this.#child = new Deno.Command("podman", {
      args: [...this.#options, "system", "service", "--time=0", `unix://${this.socket}`],
      env: { PODMAN_IGNORE_CGROUPSV1_WARNING: "1" },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
  }

  static async start(): Promise<Podman> {
    const podman = new Podman(await Deno.makeTempDir({ prefix: "podman-" }));
    await until(() => Deno.stat(podman.socket).then(() => true, () => false));
    return podman;
  }

  get #options(): string[] {
    const folders = { "root": "root", "runroot": "run", "network-config-dir": "net", "tmpdir": "tmp" };
    return [
      ...Object.entries(folders).map(([option, name]) => `--${option}=${this.#folder}/${name}`),
      ...["--runtime=runc", "--cgroup-manager=cgroupfs", "--events-backend=file"],
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#child.status;
    await shell(
      `findmnt -rno TARGET | grep '^${this.#folder}/' | sort -r | xargs -r umount -l; rm -rf '${this.#folder}'`,
    );
  }
}

/** What works with every engine; `pauses` says whether instances can be paused. */
async function tryEngine(socket: string, pauses: boolean): Promise<void> {
  const env = { DOCKER_HOST: `unix://${socket}` };
  await shell(`docker save golang-docker | docker --host=unix://${socket} load`);
  const flags = ["--pause-after", "300ms", "--stop-after", "5s", "--convention"];
  const program = await Program.start({ flags, env });
  try {
    const { status, text } = await program.get("golang");
    assertEquals([status, text.trim()], [200, "Hello from Go at golang.localhost"]);
    if (pauses) {
      await until(async () => (await program.api("/v1/instances"))[0]?.state === "paused");
      assertEquals((await program.get("golang")).status, 200);
    }
    const own = { image: "golang-docker", readOnly: true, user: "1000:1000", capabilities: { drop: ["ALL"] } };
    assertEquals((await program.send("PUT", "/v1/services/own", own)).status, 201);
    assertEquals((await program.get("own")).text.trim(), "Hello from Go at own.localhost");
    const failing = await program.send("PUT", "/v1/services/failing", {
      image: "golang-docker",
      user: "nobody-there",
    });
    assertEquals([failing.status, failing.json.code], [422, "revision_failed"]);
    const { hostname, port } = program.admin;
    const server = ["--server", `http://${hostname}:${port}`, "--data-dir", program.dataDir];
    const second = await runProcess("exec", "golang", ...server, "--", "/hello"); // the first one has the port
    assertEquals([second.code, second.out], [1, ""]);
    assertMatch(second.err, /address already in use/);
    const missing = await runProcess("exec", "golang", ...server, "--", "nosuch");
    const err = 'cless: the command cannot be run: "nosuch": executable file not found in $PATH\n';
    assertEquals(missing, { code: 127, out: "", err });
    await until(async () => (await program.api("/v1/instances")).length === 0); // idle ones are stopped
  } finally {
    assertEquals(await program.end(), 0);
  }
  const left = await shell(
    "docker ps --all --format '{{.Names}}'; docker network ls --format '{{.Name}}' | grep cless || :",
    env,
  );
  assertEquals(left, "");
  await Deno.remove(program.dataDir, { recursive: true });
}

async function hasPodman(): Promise<boolean> {
  if (noDocker || Deno.uid() !== 0) return false;
  return await shell("command -v podman runc nft").then(() => true, () => false);
}

if (await hasPodman()) {
  Deno.test("with Podman's socket, instances start, are paused, resumed and stopped", async () => {
    await using podman = await Podman.start();
    await tryEngine(podman.socket, true);
  });
}

const sockets = noDocker ? undefined : Deno.env.get("CLESS_TEST_ENGINES");
for (const socket of sockets?.split(",") ?? []) {
  Deno.test(`with the engine at ${socket}, instances start and are stopped`, async () => {
    await tryEngine(socket, false);
  });
}
