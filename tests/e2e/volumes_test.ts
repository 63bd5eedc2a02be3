import { assert, assertEquals } from "@std/assert";
import { build, docker, noDocker } from "../support/docker.ts";
import { Program } from "../support/program.ts";
import { until } from "../support/until.ts";
import { Load } from "./load.ts";

const VOLUME = "cless-e2e-volume";

/** An app that writes down when another one has its folder; its answer says that too. */
const SCRIPT = `
import fcntl, os, signal, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
who = os.environ["GREETING"]
lock = open("/data/lock", "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    open("/data/shared", "a").write(who + " ")
if who == "broken":
    sys.exit("this one does not work")
if who == "mute":
    time.sleep(600)
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(1)
        body = (who + (", and at once " + open("/data/shared").read() if os.path.exists("/data/shared") else "")).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
class Server(ThreadingHTTPServer):
    request_queue_size = 512
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
Server(("0.0.0.0", 8080), Handler).serve_forever()
`;

Deno.test({
  name: "a volume is handed over under load: no request fails, and never do two revisions have it",
  ignore: noDocker,
}, async () => {
  const dockerfile = `FROM python-docker\nUSER 0\nENTRYPOINT ${JSON.stringify(["python3", "-c", SCRIPT])}`;
  await using _image = await build("cless-e2e-volume", dockerfile);
  await using _volume = { [Symbol.asyncDispose]: async () => void await docker("volume", "rm", "--force", VOLUME) };
  await using program = await Program.start({ logLevel: "info" });
  const deploy = (greeting: string, more = {}, query = "") =>
    program.send("PUT", `/v1/services/vol${query}`, {
      image: "cless-e2e-volume",
      env: { GREETING: greeting },
      volumes: [{ source: VOLUME, path: "/data" }],
      ...more,
    });
  assertEquals((await deploy("one")).status, 201);
  const load = new Load();
  for (let worker = 0; worker < 24; worker++) load.begin(program, "vol", worker % 4 === 0);
  const meets = (answer: string) => {
    const before = load.answers.get(answer) ?? 0;
    return until(() => (load.answers.get(answer) ?? 0) > before + 20);
  };
  await meets("one");
  const inFlight = program.get("vol", "/slow");
  assertEquals((await deploy("two")).status, 200);
  assertEquals((await inFlight).text, "one");
  await meets("two");

  const broken = await deploy("broken");
  assertEquals([broken.status, broken.json.code], [422, "revision_failed"]);
  assertEquals(broken.json.output, ["this one does not work"]);
  await meets("two");
  assertEquals((await deploy("mute", { startTimeout: "2s" })).json.code, "revision_failed");
  await meets("two");

  assertEquals((await program.send("POST", "/v1/services/vol/rollback")).status, 200);
  await meets("one");
  assertEquals((await deploy("three", {}, "?wait=false")).status, 200);
  await meets("three");
  const both = await Promise.all([deploy("four"), deploy("five")]);
  assertEquals(both.map(({ status }) => status), [200, 200]);
  const { json: { latestRevision } } = await program.send("GET", "/v1/services/vol");
  await meets(both.find(({ json }) => json.latestRevision === latestRevision) === both[0] ? "four" : "five");
  const dark = await deploy("dark", { traffic: 0, tag: "dark" });
  assertEquals([dark.status, dark.json.code], [409, "conflict"]);
  await load.stop();

  assertEquals(load.failures, []);
  const answers = [...load.answers].map(([answer, count]) => `${answer} ${count}`).join(", ");
  assert(!answers.includes("at once"), answers);
  assertEquals((await program.api("/v1/instances")).length, 1);
  const slowest = Math.round(load.slowest);
  console.log(`volume handed over: ${load.requests} requests, 0 failed, the slowest ${slowest} ms (${answers})`);
});

Deno.test({
  name: "after a kill amid a handover nobody is left with the volume but the revision that has the traffic",
  ignore: noDocker,
}, async () => {
  const dockerfile = `FROM python-docker\nUSER 0\nENTRYPOINT ${JSON.stringify(["python3", "-c", SCRIPT])}`;
  await using _image = await build("cless-e2e-volume", dockerfile);
  await using _volume = { [Symbol.asyncDispose]: async () => void await docker("volume", "rm", "--force", VOLUME) };
  const killed = await Program.start({ logLevel: "info" });
  const deploy = (program: Program, greeting: string) =>
    program.send("PUT", "/v1/services/vol", {
      image: "cless-e2e-volume",
      env: { GREETING: greeting },
      volumes: [{ source: VOLUME, path: "/data" }],
    });
  assertEquals((await deploy(killed, "one")).status, 201);
  const handedOver = deploy(killed, "mute").catch(() => {});
  await untilRuns(killed, "vol-00002");
  killed.signal("SIGKILL");
  await killed.exit();
  await handedOver;
  await using next = await Program.start({ dataDir: killed.dataDir, logLevel: "info" });
  assertEquals((await next.get("vol")).text, "one");
  assertEquals((await next.api("/v1/instances")).map(({ revision }) => revision), ["vol-00001"]);
  assertEquals((await deploy(next, "two")).json.latestRevision, "vol-00002");
  assertEquals((await next.get("vol")).text, "two");
});

Deno.test({
  name: "a deploy warns of a volume that a service of another data-dir uses",
  ignore: noDocker,
}, async () => {
  const volume = "cless-e2e-common-volume";
  await using _volume = { [Symbol.asyncDispose]: async () => void await docker("volume", "rm", "--force", volume) };
  await using first = await Program.start({ logLevel: "info" });
  await using second = await Program.start({ logLevel: "info" });
  const body = { image: "golang-docker", volumes: [{ source: volume, path: "/data" }] };
  assertEquals((await first.send("PUT", "/v1/services/mine", body)).status, 201);
  assertEquals((await second.send("PUT", "/v1/services/theirs", body)).status, 201);
  const owner = (await Deno.readTextFile(`${first.dataDir}/owner`)).trim();
  const message = "another cless uses the same volume";
  await second.logged(message, { service: "theirs", volume, others: `mine of ${owner}` });
  assertEquals(first.log.some((line) => line.message === message), false);
});

/** Resolves when there is a container of a revision. */
function untilRuns(program: Program, revision: string): Promise<void> {
  return until(async () => (await program.containers("vol")).some((name) => name.includes(revision)));
}
