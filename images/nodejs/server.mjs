// Answers every GET with one line that names the host asked for.
import { createServer } from "node:http";
import process from "node:process";

const GREETING = process.env.GREETING || "Hello";

const server = createServer({ keepAliveTimeout: 120_000 }, (request, response) => {
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.writeHead(405, { Allow: "GET, HEAD" }).end();
    return;
  }
  const host = (request.headers.host ?? "").replace(/:\d*$/, "");
  const body = `${GREETING} from Node.js at ${host}\n`;
  response.writeHead(200, {
    "Content-Type": "text/plain; charset=utf-8",
    "Content-Length": Buffer.byteLength(body),
  }).end(body);
});

server.listen({ host: "0.0.0.0", port: 8080, backlog: 1024 });

for (const signal of ["SIGTERM", "SIGINT"]) {
  process.once(signal, () => {
    server.close(); // ends the idle connections too, but not those that never sent a request
    setTimeout(() => server.closeAllConnections(), 500).unref();
  });
}
