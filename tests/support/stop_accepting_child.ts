// A program for the tests: serves on a port that it prints, answers with a request's body or echoes over a WebSocket,
// stops accepting connections at the first line of its standard input, and ends when that is closed.
import { systemClock } from "../../src/base/clock.ts";
import { FileReserve } from "../../src/base/file_reserve.ts";
import { Server } from "../../src/http/server.ts";
import { stopAccepting } from "../../src/http/stop_accepting.ts";

const answer = async (request: Request) => {
  if (request.headers.get("upgrade") !== "websocket") return new Response(await request.text() || "ok");
  const { socket, response } = Deno.upgradeWebSocket(request);
  socket.onmessage = ({ data }) => socket.send(data);
  return response;
};
const server = new Server({ hostname: "127.0.0.1", port: 0 }, answer, systemClock, new FileReserve(systemClock, 0));
server.listen();
console.log(server.endpoint.port);
let isFirst = true;
for await (const _ of Deno.stdin.readable) {
  if (!isFirst) continue;
  isFirst = false;
  await stopAccepting([server], systemClock, () => console.log("low"));
  console.log("stopped");
  using _file = Deno.openSync("/dev/null"); // fails while the limit is low
  console.log("opened");
}
await server.shutdown();
