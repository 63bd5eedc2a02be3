// A program for the tests: serves on a port that it prints, until its standard input is closed, and then ends.
import { FileReserve } from "../../src/base/file_reserve.ts";
import { Server } from "../../src/http/server.ts";
import { configureLogging } from "../../src/base/log.ts";
import { systemClock } from "../../src/base/clock.ts";

configureLogging({ format: "json", level: "info", colour: false });
const reserve = new FileReserve(systemClock, 32);
reserve.take();
const server = new Server({ hostname: "127.0.0.1", port: 0 }, () => new Response("ok"), systemClock, reserve);
server.listen();
console.log(server.endpoint.port);
for await (const _ of Deno.stdin.readable);
await server.shutdown();
