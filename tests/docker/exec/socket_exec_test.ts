import { assertEquals, assertRejects } from "@std/assert";
import {
  type ExecCommand,
  type ExecEnd,
  ExecError,
  type ExecPiece,
  type ExecProcess,
} from "../../../src/control/exec/process.ts";
import { EngineError } from "../../../src/docker/engine_error.ts";
import { SocketApi } from "../../../src/docker/socket_api.ts";
import { type Answering, ExecEngineSocket, frame, handOver, json, writeAll } from "../../support/exec_engine.ts";
import { never } from "../../support/kit.ts";
import { noNet, noWrite } from "../../support/permissions.ts";
import { until } from "../../support/until.ts";

const LS: ExecCommand = { command: ["ls", "-l"], user: undefined, terminal: undefined };
const MAKE = "POST /containers/one/exec";
const START = "POST /exec/e1/start";
const STATE = "GET /exec/e1/json";
const RUNS = json(200, { Running: true, ExitCode: null, Pid: 7 });

/** An engine that makes the command `e1`, and does this when it is started. */
function execTest(
  name: string,
  answers: Readonly<Record<string, Answering>>,
  fn: (api: SocketApi, engine: ExecEngineSocket) => Promise<void>,
): void {
  Deno.test({
    name,
    ignore: noNet || noWrite,
    fn: async () => {
      await using engine = await ExecEngineSocket.start({
        [MAKE]: json(201, { Id: "e1" }),
        [STATE]: ended(0),
        ...answers,
      });
      using api = new SocketApi(engine.path);
      await fn(api, engine);
    },
  });
}

/** The command has ended. */
function ended(ExitCode: number, Pid = 7): Answering {
  return json(200, { Running: false, ExitCode, Pid });
}

/** All the output of a command by stream, and how it ended. */
async function outcome(process: ExecProcess) {
  const output: Record<ExecPiece["stream"], number[]> = { stdout: [], stderr: [] };
  const pieces = process.run();
  for (;;) {
    const next = await pieces.next();
    if (next.done) {
      const text = (bytes: number[]) => new TextDecoder().decode(new Uint8Array(bytes));
      process[Symbol.dispose]();
      return { stdout: text(output.stdout), stderr: text(output.stderr), end: next.value as ExecEnd, output };
    }
    output[next.value.stream].push(...next.value.bytes);
  }
}

execTest("a command's two outputs are told apart, however they are cut into pieces, and it ends with its code", {
  [START]: handOver(async (connection) => {
    const all = [...frame(1, "out"), ...frame(2, "err"), ...frame(1, ""), ...frame(1, "put\n")];
    for (const byte of all) await connection.write(new Uint8Array([byte]));
  }),
  [STATE]: ended(7),
}, async (api, engine) => {
  const { end, stderr, stdout } = await outcome(await api.exec("one", LS, never()));
  assertEquals([stdout, stderr, end], ["output\n", "err", { code: 7 }]);
  const [make, start] = engine.requests;
  assertEquals(make!.body, {
    ...{ AttachStdin: true, AttachStdout: true, AttachStderr: true, Tty: false, Cmd: ["ls", "-l"] },
    DetachKeys: "ctrl-^,ctrl-@,ctrl-^,ctrl-@",
  });
  assertEquals([start!.line, start!.body], [START, { Detach: false, Tty: false }]);
});

execTest("bytes of any value pass in both directions, and the end of the input reaches the command", {
  [START]: handOver(async (connection) => {
    const room = new Uint8Array(1000);
    for (let count = await connection.read(room); count !== null; count = await connection.read(room)) {
      await writeAll(connection, frame(1, room.subarray(0, count)));
    }
    await writeAll(connection, frame(2, "the end"));
  }),
}, async (api) => {
  const process = await api.exec("one", LS, never());
  const bytes = crypto.getRandomValues(new Uint8Array(60_000));
  const got = outcome(process);
  await process.write(bytes);
  await process.endInput();
  const { end, output, stderr } = await got;
  assertEquals([new Uint8Array(output.stdout), stderr, end], [bytes, "the end", { code: 0 }]);
});

execTest("a command with a terminal gets its size, also a new one, and its output is not cut into frames", {
  [START]: handOver(async (connection) => {
    await writeAll(connection, "\x01\x00 as it is");
    await connection.read(new Uint8Array(10));
  }),
  [STATE]: ended(130),
  "POST /exec/e1/resize?h=31&w=97": json(200, {}),
  "POST /exec/e1/resize?h=50&w=132": json(200, {}),
}, async (api, engine) => {
  const command = { ...LS, user: "root", terminal: { columns: 97, rows: 31 } };
  const process = await api.exec("one", command, never());
  const pieces = process.run();
  const first = await pieces.next();
  assertEquals(new TextDecoder().decode((first.value as ExecPiece).bytes), "\x01\x00 as it is");
  await until(() => engine.requests.some(({ line }) => line === "POST /exec/e1/resize?h=31&w=97")); // for Podman
  await process.resize({ columns: 132, rows: 50 });
  await process.write(new Uint8Array([3]));
  assertEquals(await pieces.next(), { done: true, value: { code: 130 } });
  process[Symbol.dispose]();
  const [make, start] = engine.requests.map(({ body }) => body as Record<string, unknown>);
  assertEquals([make!["Tty"], make!["User"], make!["ConsoleSize"]], [true, "root", [31, 97]]);
  assertEquals(start, { Detach: false, Tty: true, ConsoleSize: [31, 97] });
});

execTest("the end of the input is typed at a terminal, and the output after it is not lost", {
  [START]: handOver(async (connection) => {
    const room = new Uint8Array(10);
    const count = await connection.read(room);
    // An engine ends the connection with the input of a command that has a terminal.
    await writeAll(connection, `got ${room.subarray(0, count ?? 0)}`);
  }),
}, async (api) => {
  const process = await api.exec("one", { ...LS, terminal: { columns: 80, rows: 24 } }, never());
  const got = outcome(process);
  await process.endInput();
  assertEquals((await got).stdout, "got 4,4");
});

const REASONS: Record<string, [said: string, end: ExecEnd]> = {
  "that the image does not have": [
    'OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuch": executable file not found in $PATH: unknown\r\n',
    { code: 127, problem: 'the command cannot be run: "nosuch": executable file not found in $PATH' },
  ],
  "that is no program": [
    'OCI runtime exec failed: exec failed: unable to start container process: exec: "/etc": is a directory: unknown: permission denied\r\n',
    { code: 126, problem: 'the command cannot be run: "/etc": is a directory: permission denied' },
  ],
  "that the image does not have, in Podman": [
    'Error: runc: exec failed: unable to start container process: exec: "nosuch": executable file not found in $PATH: ' +
    "OCI runtime attempted to invoke a command that was not found\nError: read unixpacket: connection reset by peer\n",
    { code: 127, problem: 'the command cannot be run: "nosuch": executable file not found in $PATH' },
  ],
  "that the image does not have, in Podman with crun": [
    "Error: crun: executable file `nosuch` not found in $PATH: No such file or directory: " +
    "OCI runtime attempted to invoke a command that was not found\n",
    {
      code: 127,
      problem: "the command cannot be run: executable file `nosuch` not found in $PATH: No such file or directory",
    },
  ],
  "that is no program, in Podman": [
    'Error: runc: exec failed: unable to start container process: exec: "/etc": is a directory: OCI runtime error\n',
    { code: 126, problem: 'the command cannot be run: "/etc": is a directory' },
  ],
  "of a user that the image does not have": [
    "unable to find user nobody7: no matching entries in passwd file\r\n",
    {
      code: 126,
      problem: "the command cannot be run: unable to find user nobody7: no matching entries in passwd file",
    },
  ],
};

for (const [what, [said, end]] of Object.entries(REASONS)) {
  execTest(`a command ${what} has no output, but one line that says why it cannot be run`, {
    [START]: handOver((connection) => writeAll(connection, frame(1, said))),
    [STATE]: ended(126, 0),
  }, async (api) => {
    const got = await outcome(await api.exec("one", LS, never()));
    assertEquals([got.stdout, got.stderr, got.end], ["", "", end]);
  });
}

execTest("output that only looks like the engine's reason is passed on", {
  [START]: handOver((connection) => writeAll(connection, frame(1, "OCI runtime exec failed: no\r\n"))),
  [STATE]: ended(126),
}, async (api) => {
  const { end, stdout } = await outcome(await api.exec("one", LS, never()));
  assertEquals([stdout, end], ["OCI runtime exec failed: no\r\n", { code: 126 }]);
});

execTest("the output of a command that has ended at once is its output, though Podman gives it no process id then", {
  [START]: handOver((connection) => writeAll(connection, frame(1, "quick\n"))),
  [STATE]: ended(0, 0),
}, async (api) => {
  const { end, stdout } = await outcome(await api.exec("one", LS, never()));
  assertEquals([stdout, end], ["quick\n", { code: 0 }]);
});

let asked = 0;
execTest("a code that the engine does not know at once is waited for", {
  [START]: handOver(() => Promise.resolve()),
  [STATE]: (...args) => (++asked < 3 ? RUNS : ended(4))(...args),
}, async (api) => {
  assertEquals((await outcome(await api.exec("one", LS, never()))).end, { code: 4 });
  assertEquals(asked, 3);
});

execTest("a command that is gone with its container has been killed", {
  [START]: handOver(() => Promise.resolve()),
  [STATE]: json(404, { message: "No such exec instance: e1" }),
}, async (api) => {
  const { end } = await outcome(await api.exec("one", LS, never()));
  assertEquals(end, { code: 137, problem: "the instance has ended" });
});

execTest("an engine that fails after the command is a failure of its own", {
  [START]: handOver(() => Promise.resolve()),
  [STATE]: json(500, { message: "out of order" }),
}, async (api) => {
  using process = await api.exec("one", LS, never());
  await assertRejects(() => outcome(process), ExecError, "out of order");
});

execTest("a container that is gone, paused or refuses the command is told as the engine tells it", {
  [MAKE]: json(409, { message: "container 0a is not running" }),
  "POST /containers/two/exec": json(201, { Id: "e2" }),
  "POST /exec/e2/start": json(409, { message: "Container 0b is paused" }),
  "POST /containers/three/exec": json(404, { message: "No such container: three" }),
}, async (api) => {
  const kindOf = async (id: string) => {
    const error = await assertRejects(() => api.exec(id, LS, never()), EngineError);
    return [error.kind, error.message];
  };
  assertEquals(await kindOf("one"), ["refused", "container 0a is not running"]);
  assertEquals(await kindOf("two"), ["refused", "Container 0b is paused"]);
  assertEquals(await kindOf("three"), ["gone", "No such container: three"]);
});

execTest("a signal ends the wait for a command with its own reason", {
  [START]: async (connection) => void await connection.read(new Uint8Array(1)).catch(() => {}),
}, async (api, engine) => {
  const controller = new AbortController();
  const running = api.exec("one", LS, controller.signal);
  await until(() => engine.requests.length === 2);
  controller.abort(new RangeError("over"));
  await assertRejects(() => running, RangeError, "over");
});

execTest("disposing of a command closes its connection, which ends its input", {
  [START]: handOver(async (connection) => {
    assertEquals(await connection.read(new Uint8Array(1)), null);
  }),
}, async (api) => {
  const process = await api.exec("one", LS, never());
  const reading = process.run().next();
  process[Symbol.dispose]();
  process[Symbol.dispose]();
  await assertRejects(() => reading, ExecError, "the engine has cut the connection");
});
