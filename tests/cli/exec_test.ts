import { assertEquals, assertMatch } from "@std/assert";
import { KIND, resizeMessage } from "../../src/control/exec/messages.ts";
import type { ExecSessions } from "../../src/control/exec/sessions.ts";
import { type Admin, newAdmin, OWNER } from "../admin/kit.ts";
import { noNet, noRun } from "../support/permissions.ts";
import type { FakeProcess } from "../support/fake_exec.ts";
import { hasPseudoTerminals, PseudoTerminal } from "../support/pseudo_terminal.ts";
import { until } from "../support/until.ts";
import { apiTest } from "./fake_api.ts";
import { programArgs, runMain } from "./run_main.ts";

const decoder = new TextDecoder();
const isTerminalThere = !noRun && await hasPseudoTerminals();

/** `cless exec` as a process of its own, against the real API with an engine that does what the test says. */
class Scene implements AsyncDisposable {
  readonly admin: Admin;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  private constructor(admin: Admin) {
    this.admin = admin;
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request, { remoteAddr }) => admin.handle(request, remoteAddr.hostname),
    );
  }

  static async make(): Promise<Scene> {
    const admin = await newAdmin();
    admin.kit.launcher.on.launch = () => ({ origin: "http://10.0.0.2:8080" });
    await admin.ask("PUT", "/v1/services/web", { body: { image: "web" } });
    return new Scene(admin);
  }

  args(...args: string[]): string[] {
    const server = ["--server", `http://127.0.0.1:${this.#server.addr.port}`, "--token", OWNER];
    return programArgs("exec", ...server, ...args);
  }

  spawn(...args: string[]): Deno.ChildProcess {
    return new Deno.Command(Deno.execPath(), {
      args: this.args(...args),
      ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
    }).spawn();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

function execTest(name: string, fn: (scene: Scene) => Promise<void>): void {
  Deno.test({
    name,
    ignore: noNet || noRun,
    fn: async () => {
      await using scene = await Scene.make();
      await fn(scene);
    },
  });
}

/** Runs a command that does this, and has no input. */
async function outcome(scene: Scene, args: readonly string[], act: (process: FakeProcess) => void) {
  const child = scene.spawn(...args);
  await child.stdin.close();
  const [{ code, stderr, stdout }] = await Promise.all([child.output(), scene.admin.exec.next().then(act)]);
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

execTest("exec passes words, outputs and the exit code on, and keeps both outputs apart", async (scene) => {
  const args = ["web", "--user", "root", "--", "ls", "-l", "--user", "a  b"];
  const run = await outcome(scene, args, (process) => {
    process.say("out\n");
    process.say("err\n", "stderr");
    process.end(7);
  });
  assertEquals(run, { code: 7, out: "out\n", err: "err\n" });
  const command = ["ls", "-l", "--user", "a  b"];
  assertEquals(scene.admin.exec.calls, [{ id: "one", command, user: "root", terminal: undefined }]);
});

execTest(
  "bytes of any value and much of them pass through pipes in both directions, and the input's end too",
  async (scene) => {
    const bytes = Uint8Array.from({ length: 3_000_000 }, (_, at) => at * 31 % 251);
    const child = scene.spawn("web", "--", "cat");
    const feeding = (async () => {
      const writer = child.stdin.getWriter();
      for (let at = 0; at < bytes.length; at += 100_000) await writer.write(bytes.slice(at, at + 100_000));
      await writer.close();
    })();
    const output = child.output();
    const process = await scene.admin.exec.next();
    process.onWrite = (piece) => process.say(piece.slice());
    await feeding;
    await until(() => process.inputEnded);
    process.end(0);
    const { code, stderr, stdout } = await output;
    assertEquals([code, decoder.decode(stderr), stdout.length], [0, "", bytes.length]);
    assertEquals(stdout, bytes);
  },
);

execTest("without standard input, a command gets its end at once and nothing is read", async (scene) => {
  const child = scene.spawn("web", "--no-stdin", "--", "ls");
  const process = await scene.admin.exec.next();
  await until(() => process.inputEnded);
  process.end(0);
  const { code } = await child.output();
  assertEquals([code, process.text], [0, ""]);
  await child.stdin.close().catch(() => {});
});

execTest(
  "a command that is not run is one line on standard error, and the code that docker gives it",
  async (scene) => {
    const problem = 'the command cannot be run: "nosuch": executable file not found in $PATH';
    const run = await outcome(scene, ["web", "--", "nosuch"], (process) => process.end(127, { problem }));
    assertEquals(run, { code: 127, out: "", err: `cless: ${problem}\n` });
  },
);

execTest("a service that does not start is 125, with why and what its app wrote last", async (scene) => {
  const { launcher } = scene.admin.kit;
  launcher.written = "no database\n";
  launcher.on.launch = () => {
    throw new Error("no memory");
  };
  const child = scene.spawn("web");
  await child.stdin.close();
  const { code, stderr } = await child.output();
  const err = "cless: the revision web-00001 did not become ready: no memory\n  no database\n";
  assertEquals([code, decoder.decode(stderr)], [125, err]);
});

execTest(
  "the volumes of a service that does not start can be reached by the command that exec names",
  async (scene) => {
    const { ask, kit: { launcher } } = scene.admin;
    const volumes = [{ source: "data", path: "/data" }, { source: "keys", path: "/keys", readOnly: true }];
    const { status } = await ask("PUT", "/v1/services/web", { body: { image: "web", volumes } });
    assertEquals(status, 200);
    await ask("POST", "/v1/services/web/sleep");
    launcher.on.launch = () => {
      throw new Error("no memory");
    };
    const child = scene.spawn("web");
    await child.stdin.close();
    const { stderr } = await child.output();
    assertEquals(
      decoder.decode(stderr).trimEnd().split("\n").at(-1),
      "Where cless runs, this reaches the volumes without the app: docker run --rm -it -v data:/data -v keys:/keys:ro busybox",
    );
  },
);

execTest("an output that nobody reads any more ends exec as a broken pipe does", async (scene) => {
  const command = scene.args("web", "--", "yes").map((word) => `'${word}'`).join(" ");
  const child = new Deno.Command("bash", {
    args: ["-c", `${Deno.execPath()} ${command} </dev/null | head -c 4; echo " \${PIPESTATUS[0]}"`],
  }).output();
  const process = await scene.admin.exec.next();
  process.say("yes\n");
  const stopped = setInterval(() => process.say("yes\n"), 10);
  await until(() => process.disposed);
  clearInterval(stopped);
  assertEquals(decoder.decode((await child).stdout), "yes\n 141\n");
});

execTest("a cless that stops ends the session with one clear line", async (scene) => {
  const child = scene.spawn("web", "--", "sleep", "100");
  const process = await scene.admin.exec.next();
  await until(() => process.command !== undefined);
  await (scene.admin.parts.exec as ExecSessions).close("cless is stopping");
  const { code, stderr } = await child.output();
  assertEquals([code, decoder.decode(stderr)], [125, "cless: cless is stopping\n"]);
  await child.stdin.close().catch(() => {});
});

execTest("a signal that ends exec ends its session, with the code that shells give it", async (scene) => {
  const child = scene.spawn("web", "--", "sleep", "100");
  const process = await scene.admin.exec.next();
  process.say("here");
  const reader = child.stdout.getReader();
  await reader.read();
  child.kill("SIGTERM");
  assertEquals((await child.status).code, 143);
  await until(() => process.disposed);
  await Promise.all([reader.cancel(), child.stderr.cancel(), child.stdin.close().catch(() => {})]);
});

Deno.test({
  name: "a signal ends exec also while cless does not answer",
  ignore: noNet || noRun,
  fn: async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const server = `http://127.0.0.1:${listener.addr.port}`;
    const child = new Deno.Command(Deno.execPath(), {
      args: programArgs("exec", "web", "--server", server, "--token", "secret", "--", "ls"),
      ...{ stdin: "null", stdout: "null", stderr: "null" },
    }).spawn();
    using connection = await listener.accept();
    await connection.read(new Uint8Array(1000));
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
    assertEquals((await child.status).code, 143);
    clearTimeout(timer);
  },
});

Deno.test({
  name: "at a terminal, Ctrl-C ends exec while the service is woken",
  ignore: noNet || noRun || Deno.build.os !== "linux",
  fn: async () => {
    await using scene = await Scene.make();
    const launch = Promise.withResolvers<never>();
    scene.admin.kit.launcher.on.launch = () => launch.promise;
    const quoted = [Deno.execPath(), ...scene.args("web")].map((word) => `'${word}'`).join(" ");
    const child = new Deno.Command("script", {
      args: ["-qec", `${quoted}; echo "code $?"`, "/dev/null"],
      env: { SHELL: "/bin/bash" },
      ...{ stdin: "piped", stdout: "piped", stderr: "null" },
    }).spawn();
    const keys = child.stdin.getWriter();
    let text = "";
    const reading = (async () => {
      for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) text += piece;
    })();
    try {
      await until(() => text.includes("waking web"));
      await keys.write(new TextEncoder().encode("\x03"));
      await until(() => text.includes("code "));
    } finally {
      launch.reject(new Error("no memory"));
      await reading;
      await keys.close().catch(() => {});
      await child.status;
    }
    assertMatch(text, /code 130\r\n/);
  },
});

/** A test with a program at a terminal. */
function terminalTest(name: string, fn: (scene: Scene, terminal: PseudoTerminal) => Promise<void>): void {
  Deno.test({
    name,
    ignore: noNet || noRun || !isTerminalThere,
    fn: async () => {
      await using scene = await Scene.make();
      const program = [Deno.execPath(), ...scene.args("web")];
      await using terminal = PseudoTerminal.start(program, { columns: 97, rows: 31 });
      await fn(scene, terminal);
      const { after, before } = terminal.settings;
      assertEquals(after, before);
    },
  });
}

terminalTest("at a terminal, keys go to the command, Ctrl-C too, and so does a new size", async (scene, terminal) => {
  const process = await scene.admin.exec.next();
  assertEquals(process.command.terminal, { columns: 97, rows: 31 });
  process.say("one\n  two\r\n");
  await terminal.shows("\n     two\n"); // a line feed goes down, and not to the left
  await terminal.press("ls\r\x03");
  await until(() => process.text === "ls\r\x03");
  await terminal.resize(132, 50);
  await until(() => process.sizes.at(-1)?.columns === 132 && process.sizes.at(-1)?.rows === 50);
  process.end(9);
  await terminal.end();
  assertEquals(terminal.code, 9);
});

terminalTest("a cless that stops ends the session, and the terminal is as before", async (scene, terminal) => {
  (await scene.admin.exec.next()).say("$ ");
  await terminal.shows("$");
  await (scene.admin.parts.exec as ExecSessions).close("it is over");
  await terminal.end();
  await terminal.shows("$\ncless: it is over\n");
  assertEquals(terminal.code, 125);
});

terminalTest("a signal ends the session, and the terminal is as before", async (scene, terminal) => {
  (await scene.admin.exec.next()).say("here\r\n");
  await terminal.shows("here");
  Deno.kill(terminal.pid, "SIGTERM");
  await terminal.end();
  assertEquals(terminal.code, 143);
});

execTest("while a service starts, Ctrl-C ends the wait", async (scene) => {
  const starting = Promise.withResolvers<{ origin: string }>();
  scene.admin.kit.launcher.on.launch = () => starting.promise;
  const child = scene.spawn("web");
  await until(() => scene.admin.kit.launcher.called("launch").length === 1);
  child.kill("SIGINT");
  assertEquals((await child.status).code, 130);
  starting.resolve({ origin: "http://10.0.0.2:8080" });
  assertEquals(scene.admin.exec.calls, []);
  await Promise.all([child.stdout.cancel(), child.stderr.cancel(), child.stdin.close().catch(() => {})]);
});

apiTest("a connection that breaks off is told, and what is in front of cless and opens no WebSocket, too", {
  "GET /v1/services/web/exec": () => new Response("busy", { status: 502 }),
}, async (api) => {
  const run = async (...args: string[]) => await runMain("exec", ...args, "--server", api.url, "--token", "secret");
  const { code, err } = await run("web");
  assertEquals(code, 125);
  assertMatch(err, /^cless: the server at \S+ is not an admin API of cless \(status 502\)/);
  assertEquals((await run("shop")).err, "cless: there is no /v1/services/shop/exec");
});

Deno.test({
  name: "a session whose connection breaks off has failed",
  ignore: noNet,
  fn: async () => {
    await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
      const { response, socket } = Deno.upgradeWebSocket(request);
      socket.onopen = () => {
        socket.send(new Uint8Array([KIND.stdout, 33]));
        socket.send(resizeMessage({ columns: 1, rows: 1 })); // a client ignores what it does not know
        socket.close();
      };
      return response;
    });
    const url = `http://127.0.0.1:${server.addr.port}`;
    const run = await runMain("exec", "web", "--no-stdin", "--server", url, "--token", "secret", "--", "ls");
    assertEquals(run, { code: 125, out: "!", err: "cless: the connection to cless has broken off" });
  },
});
