// A program for the tests: takes all of its file descriptors but those in reserve, and asks the engine whose socket it
// reads from its standard input. It prints the outcome of each way of asking, with descriptors in reserve and without.
import { FileReserve } from "../../src/base/file_reserve.ts";
import { systemClock } from "../../src/base/clock.ts";
import { DockerCommand } from "../../src/docker/command.ts";
import { EngineError } from "../../src/docker/engine_error.ts";
import { SocketApi } from "../../src/docker/socket_api.ts";
import { probe } from "../../src/pool/probe.ts";

const room = new Uint8Array(4096);
const path = new TextDecoder().decode(room.subarray(0, await Deno.stdin.read(room) ?? 0)).trim();

/** Does something without a free descriptor, and says how it ends. */
async function outcome(work: () => Promise<unknown>): Promise<string> {
  const files: Deno.FsFile[] = [];
  try {
    for (;;) files.push(Deno.openSync("/dev/null"));
  } catch {
    // There is none left.
  }
  const said = await work().catch((error) => error instanceof EngineError ? error.kind : String(error));
  for (const file of files) file.close();
  return `${said}`.trim();
}

for (const count of [16, 0]) {
  const reserve = new FileReserve(systemClock, count);
  reserve.take();
  using api = new SocketApi(path, { timeoutMs: 5000, reserve });
  const command = new DockerCommand("echo", systemClock, reserve);
  await command.run(["warm"]); // the code is loaded before there is no descriptor for that
  console.log(`socket ${await outcome(() => api.version())}`);
  reserve.take();
  console.log(`command ${await outcome(() => command.run(["done"]))}`);
  reserve.release();
}
const { signal } = new AbortController();
console.log(`probe ${await outcome(() => probe("http://127.0.0.1:9/", signal))}`);
