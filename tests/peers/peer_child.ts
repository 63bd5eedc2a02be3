// A program for the tests: a peer with the identity in the folder of its argument, on a port that it prints. It stops
// accepting connections at the first line of its standard input, and ends when that is closed.
import { systemClock } from "../../src/base/clock.ts";
import { FileReserve } from "../../src/base/file_reserve.ts";
import { Server } from "../../src/http/server.ts";
import { stopAccepting } from "../../src/http/stop_accepting.ts";
import { peerApi } from "../../src/peers/api.ts";
import { openIdentity } from "../../src/peers/identity.ts";
import type { Handlers, StreamHandlers } from "../../src/peers/messages.ts";

// As the program does: the platform makes what it needs for signals once, and ends the process if no file can be opened.
const onSignal = () => {};
Deno.addSignalListener("SIGHUP", onSignal);
const identity = await openIdentity(Deno.args[0]!);
const released = Promise.withResolvers<void>();
const handlers: Partial<Handlers> = {
  status: () => Promise.resolve({ version: "first", instances: 0, memoryBytes: 0 }),
  instance: async () => {
    console.log("asked");
    await released.promise;
    return "released";
  },
};
const api = peerApi({
  ...{ identity, clock: systemClock, streams: {} as StreamHandlers },
  handlers: handlers as Handlers,
});
const tls = { cert: identity.certificate, key: identity.key };
const server = new Server({ hostname: "127.0.0.1", port: 0 }, api, systemClock, new FileReserve(systemClock, 0), tls);
server.listen();
console.log(server.endpoint.port);
let isFirst = true;
for await (const _ of Deno.stdin.readable) {
  if (!isFirst) {
    released.resolve();
    continue;
  }
  isFirst = false;
  await stopAccepting([server], systemClock, () => console.log("low"));
  server.shutdown(); // as a process does that was taken over
  console.log("stopped");
}
await server.shutdown();
Deno.removeSignalListener("SIGHUP", onSignal);
