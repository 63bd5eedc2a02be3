import { assertEquals, assertMatch } from "@std/assert";
import { build, docker, noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";
import { until } from "../support/until.ts";

/** Says whether it can connect to `/HOST/PORT`. */
const SCRIPT = `
const { connect } = require("node:net");
require("node:http").createServer((request, response) => {
  const [, host, port] = request.url.split("/");
  if (!port) return response.end("ready");
  const socket = connect({ host, port: Number(port), timeout: 1500 });
  const end = (said) => { socket.destroy(); response.end(said); };
  socket.on("connect", () => end("open"));
  socket.on("timeout", () => end("silent"));
  socket.on("error", (error) => end(error.code));
}).listen(8080);
process.on("SIGTERM", () => process.exit(0));
`;
const APP = `FROM nodejs-docker\nENTRYPOINT ${JSON.stringify(["node", "-e", SCRIPT])}`;

/** The rules of iptables that keep a program's apps from the host. */
async function rulesOf({ dataDir }: Program): Promise<string[]> {
  const owner = (await Deno.readTextFile(`${dataDir}/owner`)).trim();
  const { stdout } = await new Deno.Command("iptables", { args: ["-w", "-t", "mangle", "-S"] }).output();
  return new TextDecoder().decode(stdout).split("\n").filter((rule) => rule.includes(`CLESS-${owner}`));
}

async function setsFirewall(): Promise<boolean> {
  const { state } = await Deno.permissions.query({ name: "sys", kind: "uid" });
  return state === "granted" && Deno.uid() === 0;
}

const ignore = noDocker || !await setsFirewall();

/** An address of the host other than the loopback and those of containers' networks. */
function hostAddress(): string {
  return Deno.networkInterfaces().find(({ family, name }) => family === "IPv4" && !/^(lo|docker|br-)/.test(name))!
    .address;
}

Deno.test(
  { name: "with --no-host-access an app reaches the proxy, and no other port of its host", ignore },
  async () => {
    await using _image = await build("e2e-wall-docker", APP);
    using other = Deno.listen({ hostname: "0.0.0.0", port: 0 });
    const { port } = other.addr;
    const published = "e2e-wall-published";
    try {
      await docker("run", "--detach", "--name", published, "--publish", "28995:8080", "golang-docker");
      {
        await using program = await Program.start({ flags: ["--listen", "0.0.0.0:0"] });
        const to = async (host: string, port: number) => (await program.get("e2e-wall", `/${host}/${port}`)).text;
        assertEquals(await to("host.docker.internal", port), "open");
        assertEquals(await rulesOf(program), []);
      }
      const flags = ["--listen", "0.0.0.0:0", "--no-host-access"];
      await using program = await Program.start({ flags });
      const to = async (host: string, port: number) => (await program.get("e2e-wall", `/${host}/${port}`)).text;
      const [, proxy] = (await program.logged("serving")).listen as string[];
      assertEquals(await to("host.docker.internal", Number(proxy!.split(":")[1])), "open");
      assertEquals(await to(hostAddress(), Number(proxy!.split(":")[1])), "open");
      const [instance] = await program.api("/v1/instances");
      const gateway = String(instance!.address).replace(/\d+:\d+$/, "1");
      const hosts = ["host.docker.internal", hostAddress(), gateway];
      const tried = hosts.flatMap((host) => [port, 28_995].map((port) => [host, port] as const));
      const said = await Promise.all(tried.map(async ([host, port]) => [host, port, await to(host, port)]));
      assertEquals(said, tried.map(([host, port]) => [host, port, "silent"]));
      assertMatch((await rulesOf(program)).join("\n"), /^-A PREROUTING -i br-\w+ -j CLESS-\w+$/m);
    } finally {
      await docker("rm", "--force", published);
    }
  },
);

Deno.test({
  name: "the rules of --no-host-access go with cless, and those of one that was killed with the next",
  ignore,
}, async () => {
  const flags = ["--no-host-access"];
  const killed = await Program.start({ flags });
  await until(async () => (await rulesOf(killed)).length > 3);
  await killed.end("SIGKILL");
  assertEquals((await rulesOf(killed)).length > 3, true);
  const next = await Program.start({ dataDir: killed.dataDir });
  assertEquals(await rulesOf(next), []);
  await next.end();
  await using last = await Program.start({ flags, dataDir: killed.dataDir });
  assertEquals((await rulesOf(last)).length > 3, true);
  await last.end();
  assertEquals(await rulesOf(last), []);
});

Deno.test({ name: "where the rules cannot be set, cless says so, and does not start", ignore }, async () => {
  const dataDir = await Deno.makeTempDir();
  const { code, stderr } = await new Deno.Command("setpriv", {
    args: [
      ...["--bounding-set", "-net_admin", Deno.execPath(), "run", "-A", "main.ts", "serve", "--no-host-access"],
      ...["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data-dir", dataDir, "--log-level", "warning"],
    ],
    stdin: "null",
  }).output();
  await Deno.remove(dataDir, { recursive: true });
  const said = new TextDecoder().decode(stderr);
  assertEquals(code, 1, said);
  assertMatch(said, /--no-host-access cannot be enforced: iptables[^\n]+; leave it out, or fix that/);
});
