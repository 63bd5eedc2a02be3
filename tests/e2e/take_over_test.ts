import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import { isDataDirInUse } from "../../src/control/data_dir.ts";
import { runProcess } from "../cli/run_main.ts";
import { build, noDocker } from "../support/docker.ts";
import { HttpReader } from "../support/http_message.ts";
import { Program, type ProgramOptions } from "../support/program.ts";
import { until } from "../support/until.ts";
import { asking } from "../support/websocket_peer.ts";

/** An app that waits as many seconds as the query says, adds up the bytes of uploads, and echoes over a WebSocket. */
const APP = `FROM python-docker
ENTRYPOINT ["python3", "-c", "import base64, hashlib, http.server as h, time\\n\\
class A(h.BaseHTTPRequestHandler):\\n\\
  protocol_version = 'HTTP/1.1'\\n\\
  def say(s, text):\\n\\
    s.send_response(200); s.send_header('content-length', str(len(text))); s.end_headers(); s.wfile.write(text)\\n\\
  def do_POST(s): s.say(str(len(s.rfile.read(int(s.headers['content-length'])))).encode())\\n\\
  def do_GET(s):\\n\\
    key = s.headers.get('sec-websocket-key')\\n\\
    if key is None:\\n\\
      time.sleep(float((s.path.split('?') + ['0'])[1])); return s.say(b'slept')\\n\\
    accept = base64.b64encode(hashlib.sha1((key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').encode()).digest()).decode()\\n\\
    s.send_response(101); s.send_header('upgrade', 'websocket'); s.send_header('connection', 'upgrade')\\n\\
    s.send_header('sec-websocket-accept', accept); s.end_headers(); s.wfile.flush()\\n\\
    while True:\\n\\
      head = s.rfile.read(2)\\n\\
      if len(head) < 2: return\\n\\
      mask = s.rfile.read(4); data = s.rfile.read(head[1] & 127)\\n\\
      data = bytes(b ^ mask[i % 4] for i, b in enumerate(data))\\n\\
      s.wfile.write(bytes([head[0], len(data)]) + data); s.wfile.flush()\\n\\
      if head[0] & 15 == 8: s.close_connection = True; return\\n\\
h.ThreadingHTTPServer(('', 8080), A).serve_forever()"]
STOPSIGNAL SIGKILL`;
const IMAGE = "e2e-take-over-docker";
const SERVICE = "e2e-take-over";

const TEXT = { "content-type": "text/plain" };

const encoder = new TextEncoder();

function dockerTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: noDocker }, fn);
}

/** The process that takes over from another one. */
function successorOf(old: Program, { flags = [], ...options }: ProgramOptions = {}): Promise<Program> {
  return Program.start({ ...options, dataDir: old.dataDir, flags: ["--take-over", ...flags] });
}

async function ids(program: Program): Promise<unknown[]> {
  return (await program.api("/v1/instances")).map(({ id }) => id).sort();
}

/** Opens a connection, and sends the head of a request for the app. */
async function open(program: Program, start: string, ...headers: string[]): Promise<Deno.Conn> {
  return await openFor(SERVICE, program, start, ...headers);
}

async function openFor(service: string, program: Program, start: string, ...headers: string[]): Promise<Deno.Conn> {
  const conn = await Deno.connect(program.proxy);
  await conn.write(encoder.encode([start, `host: ${service}.localhost`, ...headers, "", ""].join("\r\n")));
  return conn;
}

/** Sends requests, each on a new connection, until it is stopped. Returns how many, and what went wrong. */
function load(program: Program, service = SERVICE): { stop: () => Promise<{ sent: number; failures: string[] }> } {
  let isOver = false;
  const failures: string[] = [];
  const pending = new Set<Promise<void>>();
  let sent = 0;
  const one = async () => {
    try {
      using conn = await openFor(service, program, "GET / HTTP/1.1", "connection: close");
      const status = (await new HttpReader(conn).response())?.status;
      if (status !== 200) failures.push(`status ${status}`);
    } catch (error) {
      failures.push(String(error));
    }
  };
  const sending = (async () => {
    while (!isOver) {
      sent++;
      const done: Promise<void> = one().finally(() => pending.delete(done));
      pending.add(done);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
  return {
    stop: async () => {
      isOver = true;
      await sending;
      await Promise.all(pending);
      return { sent, failures };
    },
  };
}

/** A masked text frame of a WebSocket, with a mask of zeros. */
function frame(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array([0x81, 0x80 | text.length, 0, 0, 0, 0, ...encoder.encode(text)]);
}

async function echo(conn: Deno.Conn, text: string): Promise<string> {
  await conn.write(frame(text));
  const bytes = new Uint8Array(100);
  const count = await conn.read(bytes) ?? 0;
  return new TextDecoder().decode(bytes.subarray(2, count));
}

dockerTest("what was begun before a take-over ends whole, and no request fails meanwhile", async () => {
  await using _image = await build(IMAGE, APP);
  const flags = ["--pause-after", "300ms", "--stop-after", "1s"]; // what the old process uses must not be idle
  const old = await Program.start({ flags });
  await old.get(SERVICE);
  const slow = old.get(SERVICE, "/?4");
  using socket = await open(old, "GET / HTTP/1.1", ...asking());
  const answer = new Uint8Array(1000);
  assertMatch(new TextDecoder().decode(answer.subarray(0, await socket.read(answer) ?? 0)), /^HTTP\/1.1 101/);
  assertEquals(await echo(socket, "before"), "before");
  const before = await ids(old); // the instance stays as long as the WebSocket is open
  using upload = await open(old, "POST / HTTP/1.1", "content-length: 20");
  await upload.write(new Uint8Array(10));
  const sending = load(old);

  await using next = await successorOf(old, { flags });
  assertEquals(next.proxy, old.proxy);
  assertEquals(next.admin, old.admin);
  await new Promise((resolve) => setTimeout(resolve, 1500)); // longer than an instance may be idle
  await upload.write(new Uint8Array(10));
  assertEquals((await new HttpReader(upload).response("POST"))?.body, encoder.encode("20"));
  const { sent, failures } = await sending.stop();
  assertEquals(failures, [], `of ${sent}`);
  assert(sent > 50);
  await new Promise((resolve) => setTimeout(resolve, 1500)); // now only the old process uses it
  assertEquals(await echo(socket, "after"), "after");
  assertEquals((await slow).text, "slept");
  assertEquals(await ids(next), before);
  socket.close();
  assertEquals(await old.exit(), 0);
  assertEquals((await next.get(SERVICE)).status, 200);
  await until(async () => (await ids(next)).length === 0); // and then it is idle
});

for (const step of ["locked", "migrated", "adopted", "installed", "listening"]) {
  dockerTest(`a successor that is killed once it has "${step}" leaves the old process as it was`, async () => {
    const old = await Program.start();
    await old.get("golang");
    const before = await ids(old);
    await assertRejects(() => successorOf(old, { entry: ["tests/support/ends_at.ts", step, "--"] }), Error, "ended");
    await old.logged("changes are accepted again");
    assertEquals((await old.get("golang")).status, 200);
    assertEquals(await ids(old), before);
    assertEquals((await old.send("PUT", "/v1/secrets/key", "v", TEXT)).status, 201);
    const names = [...Deno.readDirSync(old.dataDir)].map(({ name }) => name).filter((name) => /next|repl/.test(name));
    assertEquals(names, []);
    // The next one can.
    await using next = await successorOf(old);
    assertEquals(await old.exit(), 0);
    assertEquals(await ids(next), before);
    assertEquals((await next.send("GET", "/v1/secrets")).json.length, 1);
  });

  dockerTest(`if the old process is killed once its successor has "${step}", the successor serves`, async () => {
    const old = await Program.start();
    await old.get("golang");
    const before = await ids(old);
    await old.send("PUT", "/v1/secrets/key", "v", TEXT);
    await using next = await successorOf(old, { entry: ["tests/support/ends_at.ts", step, String(old.pid), "--"] });
    assertNotEquals(await old.exit(), 0);
    assertEquals((await next.get("golang")).status, 200);
    assertEquals(await ids(next), before);
    assertEquals((await next.send("PUT", "/v1/secrets/other", "v", TEXT)).status, 201);
    assertEquals((await next.send("GET", "/v1/secrets")).json.length, 2);
  });
}

dockerTest("an old process that is told to stop during a take-over serves until its successor does", async () => {
  const old = await Program.start();
  await old.get("golang");
  const before = await ids(old);
  const sending = load(old, "golang");
  const entry = ["tests/support/ends_at.ts", "locked", String(old.pid), "SIGTERM", "--"];
  await using next = await successorOf(old, { entry });
  assertEquals(await old.exit(), 0);
  const { failures, sent } = await sending.stop();
  assertEquals(failures, [], `of ${sent}`);
  assertEquals(await ids(next), before);
});

dockerTest("a successor that cannot use the data leaves the old process as it was", async () => {
  await using old = await Program.start();
  await old.send("PUT", "/v1/secrets/key", "v", TEXT);
  await assertRejects(() => successorOf(old, { env: { CLESS_SECRET_KEY: "short" } }), Error, "CLESS_SECRET_KEY");
  const { reason } = await old.logged("the process that was to take over has failed");
  assertMatch(String(reason), /CLESS_SECRET_KEY must be 32 bytes/);
  await old.logged("changes are accepted again");
  assertEquals((await old.send("PUT", "/v1/secrets/other", "v", TEXT)).status, 201);
});

dockerTest("the service manager is told of a start, of a take-over, and which process is the main one", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/notify`;
  const manager = Deno.listenDatagram({ transport: "unixpacket", path });
  const next = async () => new TextDecoder().decode((await manager.receive())[0]).split("\n");
  try {
    const env = { NOTIFY_SOCKET: path };
    const old = await Program.start({ env });
    assertEquals(await next(), [`MAINPID=${old.pid}`, "READY=1"]);
    await using successor = await successorOf(old, { env });
    assertEquals(await next(), ["RELOADING=1"]);
    assertEquals(await next(), [`MAINPID=${successor.pid}`, "READY=1"]);
    assertEquals(await old.exit(), 0);
    await assertRejects(() => successorOf(successor, { env, entry: ["tests/support/ends_at.ts", "adopted", "--"] }));
    assertEquals([await next(), await next()], [["RELOADING=1"], ["READY=1"]]);
  } finally {
    manager.close();
    await Deno.remove(folder, { recursive: true });
  }
});

dockerTest("upgrade puts a new process with the same settings in the place of the running one", async () => {
  const old = await Program.start({ flags: ["--domain", "example.org"], env: { CLESS_MAX_PENDING: "7" } });
  const file = `${old.dataDir}/serve.json`;
  assertEquals((await Deno.stat(file)).mode! & 0o777, 0o600);
  await old.get("golang");
  const before = await ids(old);
  const { code, err, out } = await runProcess("upgrade", "--data-dir", old.dataDir);
  assertEquals([code, err], [0, ""]);
  const [, from, to] = /^pid (\d+) is cless [\d.]+; starting cless [\d.]+\npid (\d+) has taken over\n$/.exec(out) ?? [];
  try {
    assertEquals(Number(from), old.pid);
    await old.logged("stopped");
    const call = JSON.parse(await Deno.readTextFile(file));
    assertEquals([call.pid, call.env.CLESS_MAX_PENDING], [Number(to), "7"]);
    assert(call.args.includes("example.org"));
    assertEquals(await ids(old), before);
  } finally {
    Deno.kill(Number(to), "SIGTERM");
    assertEquals(await old.exit(), 0); // the new process writes to the same log
    await until(async () => (await old.containers()).length === 0);
    await until(() => Promise.resolve(![...Deno.readDirSync(old.dataDir)].some(({ name }) => name === "serve.json")));
    await Deno.remove(old.dataDir, { recursive: true });
  }
});

dockerTest("upgrade ends even if the new process cannot store how it was started", async () => {
  const old = await Program.start();
  const blocked = `${old.dataDir}/serve.json.new`;
  await Deno.mkdir(blocked);
  await Deno.writeTextFile(`${blocked}/file`, "");
  const { code, err, out } = await runProcess("upgrade", "--data-dir", old.dataDir);
  assertEquals([code, err], [0, ""]);
  const pid = Number(/pid (\d+) has taken over\n$/.exec(out)?.[1]);
  Deno.kill(pid, "SIGTERM");
  assertEquals(await old.exit(), 0);
  await until(async () => !await isDataDirInUse(old.dataDir));
  await Deno.remove(old.dataDir, { recursive: true });
});

dockerTest("upgrade says why it cannot", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const nobody = await runProcess("upgrade", "--data-dir", folder);
    assertEquals([nobody.code, nobody.out], [1, ""]);
    assertMatch(nobody.err, /no cless is running/);
    await using program = await Program.start();
    const wrong = await runProcess("upgrade", "--data-dir", program.dataDir, "--binary", "/bin/true");
    assertEquals([wrong.code, wrong.out], [1, ""]);
    assertMatch(wrong.err, /\/true is not cless/);
    const noProgram = await runProcess("upgrade", "--data-dir", program.dataDir, "--binary", "deno.json");
    assertEquals([noProgram.code, noProgram.out], [1, ""]);
    assertMatch(noProgram.err, /^cless: cannot run .*\/deno\.json: .*Permission denied.*\n$/);
    const file = `${program.dataDir}/serve.json`;
    const call = JSON.parse(await Deno.readTextFile(file));
    for (
      const [change, reason] of [
        [{ pid: 1 }, /process 1 of a container/],
        [{ uid: 4711 }, /user with the id 4711/],
        [{ env: { INVOCATION_ID: "a", NOTIFY_SOCKET: "/run/x" } }, /systemctl reload cless/],
      ] as const
    ) {
      await Deno.writeTextFile(file, JSON.stringify({ ...call, ...change }));
      const refused = await runProcess("upgrade", "--data-dir", program.dataDir);
      assertEquals([refused.code, refused.out], [1, ""]);
      assertMatch(refused.err, reason);
    }
    assertEquals((await program.get("golang")).status, 200);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
